//! Files in blocks: compression, line ends, cut-off files.
#![allow(clippy::unwrap_used)] // a test may panic

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use agentgen_trace::TraceError;
use agentgen_trace::row::Row;
use agentgen_trace::source::{Blocks, MAX_LINE_BYTES};
use flate2::Compression;
use flate2::write::GzEncoder;

fn written(dir: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// All lines with their numbers in the file.
fn lines(path: &Path) -> Result<Vec<(u64, String)>, TraceError> {
    let (mut lines, mut first_line) = (Vec::new(), 0);
    for block in Blocks::open(path, MAX_LINE_BYTES)? {
        let block = block?;
        let mut of_block = block.lines();
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        lines.extend(of_block.by_ref().map(|l| (first_line + l.number, text(l.bytes))));
        first_line += of_block.lines_read();
    }
    Ok(lines)
}

/// Several blocks of lines of uneven length.
fn many_lines() -> (Vec<u8>, usize) {
    let count = 200_000;
    let text = (0..count).flat_map(|i| format!("line {i} {}\n", "x".repeat(i % 97)).into_bytes());
    (text.collect(), count)
}

#[test]
fn plain_gzip_and_zstd_give_the_same_lines_whatever_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let (text, count) = many_lines();
    let plain = lines(&written(dir.path(), "a.jsonl", &text)).unwrap();
    assert_eq!(plain.len(), count);
    assert!(plain.iter().enumerate().all(|(i, (n, l))| *n == i as u64 && l.starts_with(&format!("line {i} "))));

    // Two members, as `cat a.gz b.gz` makes them, cut in the middle of a line.
    let (one, two) = text.split_at(text.len() / 2 + 3);
    let members = [gzip(one), gzip(two)].concat();
    assert!(lines(&written(dir.path(), "a.txt", &members)).unwrap() == plain);
    let frames = [zstd::encode_all(one, 1).unwrap(), zstd::encode_all(two, 1).unwrap()].concat();
    assert!(lines(&written(dir.path(), "b.jsonl", &frames)).unwrap() == plain);
}

#[test]
fn progress_counts_the_bytes_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let packed = gzip(&many_lines().0);
    let path = written(dir.path(), "a.gz", &packed);
    let mut blocks = Blocks::open(&path, MAX_LINE_BYTES).unwrap();
    let consumed = blocks.consumed();
    assert_eq!(blocks.file_bytes(), packed.len() as u64);
    assert!(blocks.by_ref().all(|b| b.is_ok()));
    assert_eq!(consumed.load(Ordering::Relaxed), packed.len() as u64);
}

#[test]
fn a_line_longer_than_a_block_stays_whole() {
    let dir = tempfile::tempdir().unwrap();
    let long = "y".repeat(20 << 20);
    let path = written(dir.path(), "long", format!("a\n{long}\nb\n").as_bytes());
    let lines = lines(&path).unwrap();
    assert_eq!(lines.iter().map(|(n, l)| (*n, l.len())).collect::<Vec<_>>(), [(0, 1), (1, long.len()), (2, 1)]);
}

#[test]
fn a_line_over_the_limit_is_told_and_the_rows_around_it_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let row = |id: usize| format!(r#"{{"input_length":5,"output_length":1,"hash_ids":[{id}]}}"#);
    // Shorter and longer than a block, at both ends of the file, compressed and not.
    for (limit, len) in [(100, 101), (100, 9 << 20), (5 << 20, (5 << 20) + 1), (5 << 20, 30 << 20)] {
        let long = " ".repeat(len);
        let text = format!("{}\n{long}\n{}\n{}\n{long}", row(1), row(2), row(3));
        for (name, bytes) in
            [("plain", text.clone().into_bytes()), ("packed", zstd::encode_all(text.as_bytes(), 1).unwrap())]
        {
            let (mut row, mut faults, mut found, mut first_line) = (Row::default(), Vec::new(), Vec::new(), 0);
            for block in Blocks::open(&written(dir.path(), name, &bytes), limit).unwrap() {
                let block = block.unwrap();
                let mut lines = block.lines();
                for line in lines.by_ref() {
                    line.parse_row(&mut row, &mut faults);
                    let told = faults.drain(..).map(|fault| fault.to_string()).collect::<Vec<_>>().join("; ");
                    found.push((first_line + line.number, row.hash_ids.clone(), told));
                }
                first_line += lines.lines_read();
            }
            let told = format!("line-length: found a line of {len} bytes, expected at most {limit}");
            let sound = |line, id| (line, vec![id], String::new());
            let expected = [sound(0, 1), (1, vec![], told.clone()), sound(2, 2), sound(3, 3), (4, vec![], told)];
            assert_eq!(found, expected, "{limit} {len} {name}");
        }
    }
    // A line of just the limit is read.
    let path = written(dir.path(), "fits", format!("{}\n{}", "y".repeat(5 << 20), "z".repeat(5 << 20)).as_bytes());
    let fits = Blocks::open(&path, 5 << 20).unwrap();
    assert_eq!(
        fits.map(|block| block.unwrap().lines().filter(|line| line.refuse().is_none()).count()).sum::<usize>(),
        2
    );
}

#[test]
fn line_ends_of_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), "a", b"\n a\r\n\r\n  \t\nb\n\nc");
    let expected = [(1, " a"), (4, "b"), (6, "c")].map(|(n, l)| (n, l.to_owned()));
    assert_eq!(lines(&path).unwrap(), expected);
    assert_eq!(lines(&written(dir.path(), "empty", b"")).unwrap(), []);
}

#[test]
fn a_cut_off_archive_is_an_error_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (text, _) = many_lines();
    for (name, packed) in [("gzip", gzip(&text)), ("zstd", zstd::encode_all(&text[..], 1).unwrap())] {
        let path = written(dir.path(), name, &packed[..packed.len() / 2]);
        let error = lines(&path).unwrap_err();
        assert!(matches!(error, TraceError::Io { .. }));
        let message = error.to_string();
        assert!(message.contains(&format!("{name}: the {name} data is damaged or truncated")), "{message}");
        let last = Blocks::open(&path, MAX_LINE_BYTES).unwrap().skip_while(Result::is_ok).count();
        assert_eq!(last, 1, "nothing comes after the error");
    }
}

#[test]
fn a_missing_file_is_an_error_with_its_path() {
    let error = Blocks::open(Path::new("no/such/file"), MAX_LINE_BYTES).err().unwrap();
    assert!(error.to_string().starts_with("no/such/file: "), "{error}");
}

/// Rules broken by the rows of a file.
fn rules(dir: &Path, text: &str) -> Vec<&'static str> {
    let (mut row, mut faults) = (Row::default(), Vec::new());
    for block in Blocks::open(&written(dir, "rows", text.as_bytes()), MAX_LINE_BYTES).unwrap() {
        block.unwrap().lines().for_each(|line| line.parse_row(&mut row, &mut faults));
    }
    faults.iter().map(|f| f.rule).collect()
}

#[test]
fn a_last_row_without_an_end_is_a_row_or_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let row = r#"{"input_length":5,"output_length":1,"hash_ids":[1]}"#;
    assert_eq!(rules(dir.path(), &format!("{row}\n{row}")), [""; 0]);
    assert_eq!(rules(dir.path(), &format!("{row}\n{}", &row[..30])), ["truncated"]);
    assert_eq!(rules(dir.path(), &format!("{}\n{row}", &row[..30])), ["json"]);
    assert_eq!(rules(dir.path(), r#"{"input_length":5}"#), ["missing-field"; 2]);
    assert_eq!(rules(dir.path(), &format!("\u{feff}{row}\r\n{row}\r\n")), ["bom"]);
}
