//! Files that are not what they seem: damaged, of another run, or none at all.
#![allow(clippy::unwrap_used)] // a test may panic

use agentgen_testing::files::{Written, config, generated, read, rows};
use agentgen_trace::manifest::{FileEntry, Manifest};
use agentgen_trace::schema::Column;
use agentgen_trace::source::{ReadOptions, find, open, resolve};
use agentgen_trace::{Cancel, Layout};
use arrow_array::RecordBatch;

const ROW: &str = r#"{"session_id":"a","input_length":5,"output_length":1,"hash_ids":[1],"timestamp":0.0}"#;

/// Why the directory cannot be read.
fn error(dir: &Written) -> String {
    resolve(&[dir.path("")], ReadOptions::default()).unwrap_err().to_string()
}

#[test]
fn only_files_that_the_manifest_lists_are_the_runs() {
    let dir = Written::new("dataset.jsonl", ROW);
    // Of an older run, and preferred to JSONL.
    generated(config("default"), 2, Layout::Incremental, (0, 1)).write(&dir, "dataset.parquet");
    dir.manifest("dataset.jsonl", Layout::Incremental, 512, (0, 1));
    let source = resolve(&[dir.path("")], ReadOptions::default()).unwrap();
    assert!(source.files[0].path.ends_with("dataset.jsonl"));
    assert_eq!(rows(&read(&source)).len(), 1);
    std::fs::remove_file(dir.path("dataset.jsonl")).unwrap();
    let message = error(&dir);
    assert!(
        message.ends_with("found no data file, expected one that manifest.json lists (dataset.jsonl)"),
        "{message}"
    );
}

#[test]
fn a_data_file_that_is_not_the_manifests_is_refused() {
    let dir = Written::new("dataset.jsonl", ROW);
    dir.manifest("dataset.jsonl", Layout::Incremental, 512, (0, 1));
    for (text, found) in [
        (format!("{ROW}\n"), "digest: found 85 bytes, expected 84 bytes, as manifest.json says"),
        (ROW.replace("[1]", "[2]"), "digest: found SHA-256 "),
    ] {
        std::fs::write(dir.path("dataset.jsonl"), text).unwrap();
        for path in ["", "dataset.jsonl", "manifest.json"] {
            let message = resolve(&[dir.path(path)], ReadOptions::default()).unwrap_err().to_string();
            assert!(message.contains(&format!("dataset.jsonl: {found}")), "{path}: {message}");
        }
        find(&[dir.path("")], ReadOptions::default()).unwrap();
    }
}

#[test]
fn names_of_a_manifest_stay_in_its_directory() {
    let dir = Written::new("dataset.jsonl", ROW);
    dir.manifest("dataset.jsonl", Layout::Incremental, 512, (0, 1));
    let manifest = Manifest::read(&dir.path("")).unwrap();
    for name in ["/dev/zero", "../dataset.jsonl", "a/b", "./a", "a/", "..", "."] {
        let mut changed = manifest.clone();
        changed.files.push(FileEntry { name: name.into(), bytes: 0, sha256: String::new() });
        std::fs::write(dir.path("manifest.json"), serde_json::to_vec(&changed).unwrap()).unwrap();
        let message = error(&dir);
        let expected = format!("files: found a file {name:?}, expected the name of a file beside it");
        assert!(message.ends_with(&expected), "{message}");
    }
}

#[test]
#[cfg(unix)]
fn devices_are_no_files_of_a_run() {
    let dir = Written::new("dataset.jsonl", ROW);
    dir.manifest("dataset.jsonl", Layout::Incremental, 512, (0, 1));
    std::fs::remove_file(dir.path("dataset.jsonl")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path("dataset.jsonl")).unwrap();
    assert!(error(&dir).contains("found no data file"));
    let source = resolve(&[dir.path("dataset.jsonl")], ReadOptions::default()).unwrap_err().to_string();
    assert!(source.ends_with("found a pipe or a device, expected a file (write it to a file first)"), "{source}");
    std::fs::remove_file(dir.path("manifest.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", dir.path("manifest.json")).unwrap();
    let message = Manifest::read(&dir.path("")).unwrap_err().to_string();
    assert!(message.contains("manifest.json: found a pipe or a device"), "{message}");
}

#[test]
fn a_set_lists_every_shard_once() {
    let shard = |index| {
        let dir = Written::new("dataset.jsonl", ROW);
        dir.manifest("dataset.jsonl", Layout::Incremental, 512, (index, 2));
        dir
    };
    let (first, second, set) = (shard(0), shard(1), Written::new("x", ""));
    set.set_of(&[first.path(""), second.path("")]);
    resolve(&[set.path("")], ReadOptions::default()).unwrap();
    set.set_of(&[first.path(""), first.path("")]);
    assert!(error(&set).contains("found another shard, expected the one that was merged"));
}

/// A small file with wrong bytes at many places: an error or other rows, never a panic.
#[test]
fn damaged_parquet_is_an_error() {
    let dir = Written::new("x", "");
    let made = generated(config("default"), 1, Layout::Incremental, (0, 1));
    let path = made.write(&dir, "t.parquet");
    let whole = std::fs::read(&path).unwrap();
    let (mut failed, mut tried) = (0, 0);
    // The footer says what the rest means.
    let places = (0..whole.len()).filter(|at| at % 16 == 0 || at % 3 == 0 && *at > whole.len() / 2);
    for at in places {
        for change in [0x01, 0xFF] {
            let mut damaged = whole.clone();
            damaged[at] ^= change;
            std::fs::write(&path, damaged).unwrap();
            let batches = resolve(std::slice::from_ref(&path), ReadOptions::default())
                .and_then(|source| open(&source, &Column::ALL, 1, &Cancel::default()))
                .and_then(Iterator::collect::<Result<Vec<RecordBatch>, _>>);
            tried += 1;
            failed += usize::from(batches.is_err());
        }
    }
    assert!(failed > tried / 8, "{failed} of {tried}");
}

/// Strings that recur out of turn are stored once: a parent's name belongs to every row of its children.
#[test]
fn a_long_name_takes_its_memory_once() {
    let parent = "p".repeat(4000);
    let row = |session: &str, parent: &str| {
        format!(
            r#"{{"conversation_id":"{session}","input_length":5,"output_length":1,"hash_ids":[0],"timestamp":0.0{parent}}}"#
        )
    };
    let first = |s: &str| row(s, &format!(r#","is_restart":true,"parent_session_id":"{s}{parent}""#));
    let mut lines = vec![first("a"), first("b")];
    lines.extend((0..2000).map(|i| row(["a", "b"][i % 2], "")));
    let dir = Written::new("t.jsonl", &lines.join("\n"));
    let options = ReadOptions { trace_layout: Some(Layout::Cumulative), trace_block_size: Some(512) };
    let batches = read(&resolve(&[dir.path("t.jsonl")], options).unwrap());
    let names = |batch: &RecordBatch| batch.column_by_name("parent_session_id").unwrap().get_buffer_memory_size();
    assert!(batches.iter().map(names).sum::<usize>() < 100_000);
}
