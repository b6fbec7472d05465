//! Tests conversion to the cumulative layout, and sorting by time.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::HashMap;

use agentgen_formats::convert::{Batches, sort, to_layout};
use agentgen_testing::files::{Generated, Written, assert_rows, config, generated, read, rows, seeded, shared};
use agentgen_trace::schema::Column;
use agentgen_trace::source::{ReadOptions, open, resolve};
use agentgen_trace::{Cancel, Layout, Result, TraceMeta};
use arrow_array::RecordBatch;
use proptest::prelude::*;

fn stream(batches: Vec<RecordBatch>) -> Batches {
    Box::new(batches.into_iter().map(Ok))
}

fn cumulative(meta: &TraceMeta, batches: &[RecordBatch]) -> Vec<RecordBatch> {
    let (meta, batches) = to_layout(meta, Layout::Cumulative, stream(batches.to_vec())).unwrap();
    assert_eq!(meta.layout, Layout::Cumulative);
    batches.collect::<Result<_>>().unwrap()
}

/// Sessions with many restarts and with arrivals.
fn restarts(layout: Layout, shard: (u64, u64)) -> Generated {
    let mut config = config("aiperf-1k-200k");
    config.restart_initial_probability = 1.0;
    config.cache.layer1_5_groups.num_groups = 5;
    config.arrival = agentgen_core::config::Arrival::Poisson { rate: 2.0 };
    generated(config, 400, layout, shard)
}

#[test]
fn a_converted_trace_is_the_one_generated_in_that_layout() {
    // The second shard continues sessions of the first.
    for shard in [(0, 1), (1, 2)] {
        let (from, to) = (restarts(Layout::Incremental, shard), restarts(Layout::Cumulative, shard));
        let (found, expected) = (rows(&cumulative(&from.meta, &from.batches)), rows(&to.batches));
        assert!(expected.iter().any(|r| r.contains(" true sess-")), "it has continuations");
        assert_rows(&found, &expected, "converted");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_data_set_reads_and_converts_as_it_is_generated(case in agentgen_testing::cases()) {
        let converted = |layout| seeded(case.config.clone(), case.seed, case.sessions, layout, (0, 1));
        let (from, to) = (converted(Layout::Incremental), converted(Layout::Cumulative));
        let dir = Written::new("x", "");
        for converted in [&from, &to] {
            for name in ["t.jsonl", "t.parquet"] {
                let options = ReadOptions { trace_layout: Some(converted.meta.layout), trace_block_size: Some(converted.meta.block_size) };
                let source = resolve(&[converted.write(&dir, name)], options).unwrap();
                assert_rows(&rows(&read(&source)), &rows(&converted.batches), name);
            }
        }
        assert_rows(&rows(&cumulative(&from.meta, &from.batches)), &rows(&to.batches), "converted");
        let unknown = TraceMeta { origin: None, ..from.meta };
        assert_renamed(&rows(&cumulative(&unknown, &from.batches)), &rows(&to.batches));
    }
}

#[test]
fn a_session_that_does_not_follow_from_the_seed_is_an_error() {
    let converted = restarts(Layout::Incremental, (0, 1));
    let mut meta = converted.meta.clone();
    meta.origin.as_mut().unwrap().seed += 1;
    let (_, mut batches) = to_layout(&meta, Layout::Cumulative, stream(converted.batches)).unwrap();
    let error = batches.next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("session_id: found session sess-") && error.contains(": another session_id"), "{error}");
    assert!(batches.next().is_none());
}

/// Session, turn and ids of a row's text.
fn ids(row: &str) -> Vec<i64> {
    let list = row.split_once('[').unwrap().1.split_once(']').unwrap().0;
    list.split(", ").map(|id| id.parse().unwrap()).collect()
}

/// Asserts that two traces are equal except for the ids of their blocks.
fn assert_renamed(found: &[String], expected: &[String]) {
    let mut names: HashMap<i64, i64> = HashMap::new();
    let mut back: HashMap<i64, i64> = HashMap::new();
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert_eq!(a.split_once('[').unwrap().0, b.split_once('[').unwrap().0);
        let (a, b) = (ids(a), ids(b));
        assert_eq!(a.len(), b.len());
        for (a, b) in a.into_iter().zip(b) {
            assert_eq!((*names.entry(a).or_insert(b), *back.entry(b).or_insert(a)), (b, a));
        }
    }
}

#[test]
fn without_an_origin_blocks_are_numbered_in_order_of_appearance() {
    let (mut from, to) = (restarts(Layout::Incremental, (0, 1)), restarts(Layout::Cumulative, (0, 1)));
    from.meta.origin = None;
    let found = rows(&cumulative(&from.meta, &from.batches));
    assert_eq!(ids(&found[0])[..3], [0, 1, 2]);
    assert_renamed(&found, &rows(&to.batches));
}

#[test]
fn a_hand_written_trace() {
    let text = r#"{"session_id":"a","input_length":10,"output_length":3,"hash_ids":[7,8,9],"timestamp":5.1}
{"session_id":"a","input_length":4,"output_length":2,"hash_ids":[10],"delay":0.2,"end_reason":"restart_split"}
{"session_id":"x","input_length":9,"output_length":1,"hash_ids":[7,8,11],"timestamp":1.0,"end_reason":"forced_retire"}
{"session_id":"b","input_length":19,"output_length":1,"hash_ids":[7,8,12,13,14],"timestamp":9,"is_restart":true,"parent_session_id":"a"}
{"session_id":"c","input_length":8,"output_length":1,"hash_ids":[8,7],"timestamp":3,"is_restart":true,"parent_session_id":"gone"}
"#;
    let dir = Written::new("t.jsonl", text);
    let options = ReadOptions { trace_layout: None, trace_block_size: Some(4) };
    let source = resolve(&[dir.path("t.jsonl")], options).unwrap();
    let read = || open(&source, &Column::ALL, 1, &Cancel::default()).unwrap();
    let (meta, batches) = to_layout(&source.meta, Layout::Cumulative, read()).unwrap();
    let batches: Vec<RecordBatch> = batches.collect::<Result<_>>().unwrap();
    let expected = [
        "a 0 g- 10 10 3 - 5.1 [0, 1, 2] false - -",
        // 17 tokens: output and new tokens fill two blocks and begin another.
        "a 1 g- 4 17 2 0.2 5.3 [0, 1, 3, 4, 5] false - restart_split",
        "x 0 g- 9 9 1 - 1.0 [0, 1, 6] false - forced_retire",
        "b 0 g- 19 19 1 - 9.0 [0, 1, 3, 4, 7] true a -",
        "c 0 g- 8 8 1 - 3.0 [8, 9] true gone -",
    ];
    assert_eq!(rows(&batches), expected);

    let sorted: Vec<RecordBatch> = sort(&meta, stream(batches.clone())).unwrap().collect::<Result<_>>().unwrap();
    assert_eq!(rows(&sorted), [2, 4, 0, 1, 3].map(|i| expected[i]));
    let error = sort(&source.meta, read()).err().unwrap().to_string();
    assert!(error.contains("found an incremental trace"), "{error}");
    let error = to_layout(&meta, Layout::Incremental, stream(batches)).err().unwrap().to_string();
    assert!(error.starts_with("found a cumulative trace, expected an incremental one"), "{error}");
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn sorting_keeps_the_order_of_equal_times_across_batches() {
    let path = shared("mooncake/conversation_trace.jsonl");
    let source = resolve(&[path], ReadOptions::default()).unwrap();
    let read = open(&source, &Column::ALL, 2, &Cancel::default()).unwrap();
    let batches: Vec<RecordBatch> = read.collect::<Result<_>>().unwrap();
    // Times increase from 0, many are equal. With halves swapped, sorting must restore all rows but ties across halves.
    let halves = |b: &RecordBatch| {
        let half = b.num_rows() / 2;
        [b.slice(half, b.num_rows() - half), b.slice(0, half)]
    };
    let pieces: Vec<RecordBatch> = batches.iter().flat_map(halves).collect();
    let sorted: Vec<RecordBatch> = sort(&source.meta, stream(pieces.clone())).unwrap().collect::<Result<_>>().unwrap();
    let time = |row: &String| row.split(' ').nth(7).unwrap().parse::<f64>().unwrap();
    let mut expected = rows(&pieces);
    expected.sort_by(|a, b| time(a).total_cmp(&time(b)));
    assert_eq!(expected.len(), 12_031);
    assert_rows(&rows(&sorted), &expected, "sorted");
}

#[test]
fn sorting_merges_the_end_reasons_of_many_batches() {
    // Each batch has its own dictionary; concatenated, they exceed the 128 keys of the column.
    let shards: Vec<Generated> = (0..40).map(|i| restarts(Layout::Cumulative, (i, 40))).collect();
    let meta = shards[0].meta.clone();
    let batches: Vec<RecordBatch> = shards.into_iter().flat_map(|s| s.batches).collect();
    let mut expected = rows(&batches);
    let time = |row: &String| row.split(' ').nth(7).unwrap().parse::<f64>().unwrap();
    expected.sort_by(|a, b| time(a).total_cmp(&time(b)));
    let sorted: Vec<RecordBatch> = sort(&meta, stream(batches)).unwrap().collect::<Result<_>>().unwrap();
    assert_rows(&rows(&sorted), &expected, "sorted");
}
