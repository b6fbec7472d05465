//! Traces of every origin, from paths to canonical batches.
#![allow(clippy::unwrap_used)] // a test may panic

use agentgen_testing::files::{Written, assert_rows, config, generated, read, rows, shared};
use agentgen_trace::schema::Column;
use agentgen_trace::source::{Format, Provenance, ReadOptions, open, resolve};
use agentgen_trace::{Cancel, Layout};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use parquet::arrow::ArrowWriter;

fn error(dir: &Written, options: ReadOptions) -> String {
    match resolve(&[dir.path("t.jsonl")], options) {
        Err(e) => e.to_string(),
        Ok(source) => open(&source, &Column::ALL, 2, &Cancel::default())
            .and_then(Iterator::collect::<Result<Vec<RecordBatch>, _>>)
            .expect_err("a faulty trace")
            .to_string(),
    }
}

const INCREMENTAL: &str = r#"{"session_id":"a","input_length":1025,"output_length":100,"hash_ids":[0,1,2],"timestamp":3.5,"group_id":7}
{"session_id":"a","input_length":600,"output_length":50,"hash_ids":[3,4],"delay":12.5,"end_reason":"restart_split"}

{"session_id":"b","input_length":1800,"output_length":9,"hash_ids":[0,1,5,6],"timestamp":0.0,"group_id":7,"is_restart":true,"parent_session_id":"a"}
{"session_id":"b","input_length":1,"output_length":9,"hash_ids":[8],"delay":0.1,"end_reason":"forced_retire"}
"#;

#[test]
fn incremental_rows_get_their_place_and_context() {
    let dir = Written::new("t.jsonl", INCREMENTAL);
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    assert_eq!((source.meta.layout, source.meta.block_size), (Layout::Incremental, 512));
    assert_eq!((source.layout_from, source.block_size_from), (Provenance::Inferred, Provenance::Inferred));
    let expected = [
        "a 0 g7 1025 1025 100 - 3.5 [0, 1, 2] false - -",
        "a 1 g7 600 1725 50 12.5 - [3, 4] false - restart_split",
        "b 0 g7 1800 1800 9 - 0.0 [0, 1, 5, 6] true a -",
        "b 1 g7 1 1810 9 0.1 - [8] true a forced_retire",
    ];
    assert_eq!(rows(&read(&source)), expected);
}

#[test]
fn cumulative_rows_may_interleave_and_their_delays_are_differences() {
    let text = r#"{"conversation_id":"a","input_length":1025,"output_length":100,"hash_ids":[0,1,2],"timestamp":0.1}
{"conversation_id":"b","input_length":512,"output_length":1,"hash_ids":[0],"timestamp":0.3,"group_id":1}
{"conversation_id":"a","input_length":1500,"output_length":10,"hash_ids":[0,1,3],"timestamp":0.3}
{"conversation_id":"a","input_length":700,"output_length":10,"hash_ids":[0,9],"timestamp":0.25}
{"conversation_id":"b","input_length":514,"output_length":1,"hash_ids":[0,4],"timestamp":7}
"#;
    let dir = Written::new("t.jsonl", text);
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    assert_eq!((source.meta.layout, source.meta.block_size), (Layout::Cumulative, 512));
    let expected = [
        "a 0 g- 1025 1025 100 - 0.1 [0, 1, 2] false - -",
        "b 0 g1 512 512 1 - 0.3 [0] false - -",
        "a 1 g- 375 1500 10 0.2 0.3 [0, 1, 3] false - -",
        "a 2 g- 700 700 10 - 0.25 [0, 9] false - -",
        "b 1 g1 1 514 1 6.7 7.0 [0, 4] false - -",
    ];
    assert_eq!(rows(&read(&source)), expected);
}

#[test]
fn only_the_wanted_columns_are_made() {
    let dir = Written::new("t.jsonl", INCREMENTAL);
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    let columns = [Column::ContextLength, Column::TurnIndex];
    let batches: Vec<_> = open(&source, &columns, 1, &Cancel::default()).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(batches.len(), 1);
    let names: Vec<_> = batches[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["turn_index", "context_length"]);
    assert_eq!(batches[0].column(1).as_primitive::<UInt32Type>().values(), &[1025, 1725, 1800, 1810]);
}

#[test]
fn a_faulty_row_stops_the_stream_with_its_place() {
    for (from, to, expected) in [
        (r#""output_length":50"#, r#""output_length":-1"#, ":2: range: found output_length -1, expected an integer"),
        (r#""session_id":"b","input_length":1,"#, r#""session_id":"a","input_length":1,"#, ":5: session-order: found"),
        (r#""input_length":1,"#, r#""input_length":2147483647,"#, ":5: range: found a context of 2147485456 tokens"),
    ] {
        let dir = Written::new("t.jsonl", &INCREMENTAL.replace(from, to));
        let options = ReadOptions { trace_layout: Some(Layout::Incremental), trace_block_size: Some(512) };
        let message = error(&dir, options);
        assert!(message.contains(&format!("t.jsonl{expected}")), "{message}");
    }
}

#[test]
fn what_cannot_be_inferred_is_an_error_that_says_why() {
    let row = |key: &str, length: u32, ids: &str| {
        format!("{{{key}\"input_length\":{length},\"output_length\":1,\"hash_ids\":{ids}}}\n")
    };
    let a = r#""session_id":"a","#;
    for (text, expected) in [
        (
            row("", 100, "[1,2]") + &row("", 100, "[1,2,3]"),
            "line 1 needs at least 50, line 2 at most 49, expected one block size for all rows (state it)",
        ),
        (
            row("", 100, "[1,2]"),
            "trace_block_size: found rows that fit every block size of 50 to 99, expected rows that fit a single one (state it)",
        ),
        (row("", 2, "[1,2,3]"), "t.jsonl:1: id-count: found 3 hash_ids for 2 tokens, which fits no block size"),
        (row(a, 1024, "[1,2]") + &row("", 512, "[1]"), "t.jsonl:2: trace_layout: found no session_id"),
        (
            row(a, 1024, "[1,2]") + &row(a, 1024, "[1,2]") + &row(a, 1024, "[3,4]"),
            "found rows of both layouts: line 2 repeats the blocks of its session's previous row (cumulative), line 3 does not",
        ),
        (String::new(), "t.jsonl: empty: found no rows, expected at least one row"),
        ("\n\n{\n".into(), "t.jsonl:3: json: found"),
    ] {
        let message = error(&Written::new("t.jsonl", &text), ReadOptions::default());
        assert!(message.contains("t.jsonl") && message.contains(expected), "{message}");
    }
    // Both readings agree where no session has a second row.
    let dir = Written::new("t.jsonl", &row(a, 1024, "[1,2]"));
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    assert_eq!(source.meta.layout, Layout::Incremental);
    // A single size needs no usual one.
    let dir = Written::new("t.jsonl", &(row(a, 64, "[1]") + &row("\"session_id\":\"b\",", 65, "[1,2]")));
    assert_eq!(resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap().meta.block_size, 64);
}

#[test]
fn options_come_first_unless_the_manifest_says_otherwise() {
    let dir = Written::new("t.jsonl", INCREMENTAL);
    let options = ReadOptions { trace_layout: None, trace_block_size: Some(500) };
    let source = resolve(&[dir.path("t.jsonl")], options).unwrap();
    assert_eq!((source.meta.block_size, source.block_size_from), (500, Provenance::Option));
    dir.manifest("t.jsonl", Layout::Incremental, 512, (0, 1));
    let message = error(&dir, options);
    assert!(message.starts_with("trace_block_size: found 500, expected 512, as "), "{message}");
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    assert_eq!((source.layout_from, source.block_size_from), (Provenance::Manifest, Provenance::Manifest));
    assert!(source.meta.origin.is_some());
    // The manifest of other files does not apply to this one.
    dir.manifest("other.jsonl", Layout::Incremental, 512, (0, 1));
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    assert_eq!((source.layout_from, source.meta.origin), (Provenance::Inferred, None));
}

#[test]
fn run_directories_manifests_and_shards() {
    let shards = [0, 1].map(|i| {
        let dir = Written::new("dataset.jsonl", &INCREMENTAL.replace("_id\":\"", &format!("_id\":\"{i}")));
        dir.manifest("dataset.jsonl", Layout::Incremental, 512, (i, 2));
        dir
    });
    let whole = resolve(&[shards[0].path(""), shards[1].path("manifest.json")], ReadOptions::default()).unwrap();
    assert_eq!((whole.files.len(), whole.partial), (2, false));
    assert_eq!(rows(&read(&whole)).len(), 8);
    let lone = resolve(&[shards[1].path("dataset.jsonl")], ReadOptions::default()).unwrap();
    assert!(lone.partial);
    // A set names its shards by paths relative to its manifest.
    let set = Written::new("x", "");
    set.set_of(&shards.each_ref().map(|s| s.path("")));
    let all = resolve(&[set.path("")], ReadOptions::default()).unwrap();
    assert_eq!((all.files.len(), all.partial), (2, false));
    let nothing = resolve(&[Written::new("x", "").path("")], ReadOptions::default()).unwrap_err();
    assert!(
        nothing
            .to_string()
            .contains("found no data set, expected a directory that agentgen generate wrote (dataset.parquet"),
        "{nothing}"
    );
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_whole_mooncake_trace() {
    let path = shared("mooncake/conversation_trace.jsonl");
    let source = resolve(&[path], ReadOptions::default()).unwrap();
    assert_eq!((source.meta.layout, source.meta.block_size), (Layout::Cumulative, 512));
    let batches = read(&source);
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 12_031);
    let sum = |c: Column| -> u64 {
        let values = |b: &RecordBatch| {
            let column = b.column_by_name(c.name()).unwrap().as_primitive::<UInt32Type>().clone();
            column.values().iter().map(|v| u64::from(*v)).sum::<u64>()
        };
        batches.iter().map(values).sum()
    };
    // Counted with `jq -s 'map(.input_length) | add'` and the like.
    assert_eq!(sum(Column::InputLength), 144_793_823);
    assert_eq!(sum(Column::ContextLength), 144_793_823);
    assert_eq!(sum(Column::OutputLength), 4_122_048);
    let last = batches.last().unwrap();
    let times = last.column_by_name("timestamp_ms").unwrap().as_primitive::<Float64Type>();
    assert_eq!(times.value(times.len() - 1).to_bits(), 3_536_999_f64.to_bits());
    assert!(batches.iter().all(|b| b.column(0).null_count() == b.num_rows()), "it names no sessions");
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_traces_of_aiperf() {
    for (name, count, sessions) in [("default_40s", 601, 40), ("restarts_120s", 1_512, 126)] {
        let path = shared(&format!("aiperf/{name}.jsonl"));
        let source = resolve(&[path], ReadOptions::default()).unwrap();
        assert_eq!((source.meta.layout, source.meta.block_size), (Layout::Incremental, 512));
        let rows = rows(&read(&source));
        assert_eq!(rows.len(), count);
        assert_eq!(rows.iter().filter(|r| r.split(' ').nth(1) == Some("0")).count(), sessions);
    }
}

#[test]
fn parquet_is_not_mistaken_for_text() {
    let dir = Written::new("t.jsonl", "PAR1 and nothing else");
    let message = error(&dir, ReadOptions::default());
    assert!(message.contains("t.jsonl: parquet: found "), "{message}");
    let dir = Written::new("t.jsonl", INCREMENTAL);
    let source = resolve(&[dir.path("t.jsonl")], ReadOptions::default()).unwrap();
    assert_eq!(source.files[0].format, Format::Jsonl);
}

/// A config with groups and many restarts.
fn with_restarts() -> agentgen_core::Config {
    let mut config = config("aiperf-1k-200k");
    config.restart_initial_probability = 1.0;
    config.cache.layer1_5_groups.num_groups = 5;
    config
}

#[test]
fn a_generated_trace_reads_as_it_was_made_from_every_format() {
    for layout in [Layout::Incremental, Layout::Cumulative] {
        let made = generated(with_restarts(), 300, layout, (0, 1));
        let expected = rows(&made.batches);
        assert!(expected.iter().any(|r| r.contains(" true sess-")), "it has continuations");
        let dir = Written::new("x", "");
        for name in ["t.jsonl", "t.jsonl.zst", "t.parquet"] {
            let source = resolve(&[made.write(&dir, name)], ReadOptions::default()).unwrap();
            assert_eq!((source.meta.layout, source.meta.block_size), (layout, 512), "{name}");
            let stated = if name == "t.parquet" { Provenance::Metadata } else { Provenance::Inferred };
            assert_eq!(source.layout_from, stated, "{name}");
            if name == "t.parquet" {
                assert_eq!(source.meta, made.meta);
            }
            assert_rows(&rows(&read(&source)), &expected, name);
        }
    }
}

#[test]
fn parquet_of_other_writers_is_cast() {
    let made = generated(with_restarts(), 20, Layout::Cumulative, (0, 1));
    let expected = rows(&made.batches);
    let dir = Written::new("x", "");
    let path = dir.path("plain.parquet");
    write_plain(&made.batches, &path, &[]);
    let source = resolve(std::slice::from_ref(&path), ReadOptions::default()).unwrap();
    assert_eq!((source.meta.layout, source.layout_from), (Layout::Cumulative, Provenance::Inferred));
    assert_rows(&rows(&read(&source)), &expected, "other types");

    write_plain(&made.batches, &path, &["session_id", "is_restart", "end_reason"]);
    let bare = rows(&read(&resolve(std::slice::from_ref(&path), ReadOptions::default()).unwrap()));
    assert!(bare[0].starts_with("- 0 g") && bare[0].ends_with(" false - -"), "{}", bare[0]);

    write_plain(&made.batches, &path, &["turn_index"]);
    let source = resolve(&[path], ReadOptions::default()).unwrap();
    let message = open(&source, &Column::ALL, 1, &Cancel::default()).unwrap().next().unwrap().unwrap_err().to_string();
    assert!(message.contains("found columns session_id, group_id") && message.contains("expected turn_index"));
}

/// Writes batches as a library without our types and metadata would.
fn write_plain(batches: &[RecordBatch], path: &std::path::Path, without: &[&str]) {
    let plain = |batch: &RecordBatch| {
        let mut columns = Vec::new();
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            if without.contains(&field.name().as_str()) {
                continue;
            }
            let to = match field.data_type() {
                DataType::UInt32 => DataType::Int64,
                DataType::Utf8View | DataType::Dictionary(..) => DataType::Utf8,
                DataType::LargeList(_) => DataType::new_list(DataType::Int64, true),
                other => other.clone(),
            };
            columns.push((field.name().clone(), arrow_cast::cast(column, &to).unwrap()));
        }
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, plain(&batches[0]).schema(), None).unwrap();
    for batch in batches {
        writer.write(&plain(batch)).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn sessions_and_line_numbers_go_on_across_blocks() {
    // Some 13 MB: several blocks, one session.
    let row = |i: u32| {
        let timing = if i == 0 { "timestamp" } else { "delay" };
        format!("{{\"session_id\":\"a\",\"input_length\":1,\"output_length\":2,\"hash_ids\":[{i}],\"{timing}\":1.0}}\n")
    };
    let text: String = (0..150_000).map(row).collect();
    let options = ReadOptions { trace_layout: Some(Layout::Incremental), trace_block_size: Some(512) };
    let dir = Written::new("t.jsonl", &text);
    let batches = read(&resolve(&[dir.path("t.jsonl")], options).unwrap());
    assert!(batches.len() > 2);
    let last = rows(&batches).pop().unwrap();
    assert_eq!(last, "a 149999 g- 1 449998 2 1.0 - [149999] false - -");
    let dir = Written::new("t.jsonl", &(text + "\n[]\n"));
    let message = error(&dir, options);
    assert!(
        message.ends_with("t.jsonl:150002: not-an-object: found [], expected one JSON object per line"),
        "{message}"
    );
}
