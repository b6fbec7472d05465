//! Tests rules over several rows: generated files with one change that contradicts configuration and seed.
#![allow(clippy::unwrap_used)] // clippy's exception for tests does not reach their helpers

use std::path::Path;

use agentgen_analysis::quality::Statistics;
use agentgen_analysis::validate::{Options, validate};
use agentgen_core::Config;
use agentgen_core::config::preset;
use agentgen_formats::convert::convert;
use agentgen_testing::{Case, cases, run_options};
use agentgen_trace::run::JSONL;
use agentgen_trace::source::{ReadOptions, resolve};
use agentgen_trace::{Cancel, Layout};
use proptest::prelude::*;
use serde_json::{Value, json};

const SESSIONS: u64 = 40;

fn write(config: Config, seed: u64, sessions: u64, layout: Layout, directory: &Path) {
    Case { config, seed, sessions }.write(layout, &run_options(directory), Statistics::default);
}

/// Rows of a small data set with groups and many restarts.
fn generate(layout: Layout, directory: &Path) -> Vec<Value> {
    let mut config = Config::from_json(preset("default").unwrap()).unwrap();
    config.restart_initial_probability = 1.0;
    config.reset.as_mut().unwrap().base_probability = 0.0;
    (config.cache.layer1_tokens, config.cache.layer1_5_tokens) = (1024, 1500);
    config.cache.layer1_5_groups.num_groups = 5;
    write(config, 5, SESSIONS, layout, directory);
    let text = std::fs::read_to_string(directory.join(JSONL)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Findings, by rule and line, in a changed generated file, without the finding about its digest.
fn findings(layout: Layout, change: impl Fn(&mut Vec<Value>)) -> Vec<(&'static str, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let mut rows = generate(layout, directory.path());
    change(&mut rows);
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(directory.path().join(JSONL), lines.join("\n") + "\n").unwrap();
    let options = Options { max_errors: 1000, ..Options::default() };
    let paths = [directory.path().to_owned()];
    let report = validate(&paths, &options, &Cancel::default(), &mut |_, _| {}).unwrap();
    report.findings.iter().filter(|f| f.rule != "digest").map(|f| (f.rule, f.line)).collect()
}

fn is(row: &Value, reason: &str) -> bool {
    row["end_reason"] == reason
}

fn ids(row: &mut Value) -> &mut Vec<Value> {
    row["hash_ids"].as_array_mut().unwrap()
}

/// Adds `more` to some ids of a row.
fn shift(row: &mut Value, places: std::ops::Range<usize>, more: i64) {
    for id in &mut ids(row)[places] {
        *id = json!(id.as_i64().unwrap() + more);
    }
}

/// Index of the first row for which `is` holds.
fn find(rows: &[Value], is: impl Fn(&Value) -> bool) -> usize {
    rows.iter().position(is).unwrap()
}

/// Changes the first row of the first continuation and expects these findings.
#[track_caller]
fn expect_on_continuation(layout: Layout, expected: &[&str], change: impl Fn(&mut Value)) {
    let at = find(&generate(layout, tempfile::tempdir().unwrap().path()), |r| r["is_restart"] == true);
    let found = findings(layout, |rows| change(&mut rows[at]));
    let expected: Vec<_> = expected.iter().map(|rule| (*rule, at as u64 + 1)).collect();
    assert_eq!(found, expected);
}

/// Blocks of L1, and of L1 and L1.5.
const LAYER1: usize = 2;
const PREFIX: usize = 5;

/// Ids by which the range of a root session exceeds those of its first turns.
const UNUSED: i64 = 300;

#[test]
fn unchanged_files_are_valid() {
    for layout in [Layout::Incremental, Layout::Cumulative] {
        assert_eq!(findings(layout, |_| {}), []);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn files_sorted_by_time_are_valid(case in cases()) {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let Case { config, seed, sessions } = case;
        write(config, seed, sessions, Layout::Incremental, &at("run"));
        let source = resolve(&[at("run")], ReadOptions::default()).unwrap();
        convert(&source, &at("sorted.parquet"), Some(Layout::Cumulative), true, 1, &Cancel::default()).unwrap();
        let report = validate(&[at("sorted.parquet")], &Options::default(), &Cancel::default(), &mut |_, _| ()).unwrap();
        prop_assert!(report.ok && report.layout_from.as_deref() == Some("metadata"), "{:?}", report.findings);
    }
}

#[test]
fn a_continuation_repeats_its_parent_and_continues() {
    let layout = Layout::Incremental;
    // Two of the parent's chunks swapped; other ids of the root session for all of them, or after them.
    expect_on_continuation(layout, &["id-space"], |row| ids(row).swap(PREFIX, PREFIX + 1));
    expect_on_continuation(layout, &["id-space"], |row| {
        let first = ids(row).last().unwrap().as_i64().unwrap() + UNUSED;
        for (more, id) in (0..).zip(&mut ids(row)[PREFIX..]) {
            *id = json!(first + more);
        }
    });
    expect_on_continuation(layout, &["id-space"], |row| {
        let end = ids(row).len();
        shift(row, end - 1..end, UNUSED);
    });
}

#[test]
fn layer_1_5_is_the_groups() {
    expect_on_continuation(Layout::Incremental, &["id-space"], |row| {
        let away = if row["group_id"] == 0 { 3 } else { -3 };
        shift(row, LAYER1..PREFIX, away);
    });
    for layout in [Layout::Incremental, Layout::Cumulative] {
        // Without L1.5: the session's own ids from the third position on.
        let found = findings(layout, |rows| {
            let last = ids(&mut rows[0]).len();
            let first = ids(&mut rows[0])[PREFIX].as_i64().unwrap();
            for (more, id) in (0..).zip(&mut ids(&mut rows[0])[LAYER1..last]) {
                *id = json!(first + more);
            }
        });
        assert!(found.contains(&("id-space", 1)), "{found:?}");
        let found = findings(layout, |rows| rows[0]["group_id"] = json!(5));
        assert!(found.contains(&("group", 1)), "{found:?}");
    }
}

#[test]
fn new_ids_are_taken_in_order() {
    let rows = generate(Layout::Incremental, tempfile::tempdir().unwrap().path());
    let later = rows.iter().rposition(|r| r.get("delay").is_some()).unwrap();
    let found = findings(Layout::Incremental, |rows| {
        let end = ids(&mut rows[later]).len();
        shift(&mut rows[later], 0..end, UNUSED);
    });
    assert_eq!(found, [("id-space", later as u64 + 1)]);
    // All prompts of the root session have the same two blocks swapped, so that each still continues the one before.
    let found = findings(Layout::Cumulative, |rows| {
        let whole = rows[0]["input_length"].as_u64().unwrap() as usize / 512;
        let base = rows[0]["hash_ids"][PREFIX].clone();
        for row in rows.iter_mut().filter(|r| r["hash_ids"][PREFIX] == base) {
            ids(row).swap(whole - 1, whole - 2);
        }
    });
    assert!(found.len() > 1 && found.iter().all(|f| f.0 == "id-space"), "{found:?}");
}

#[test]
fn sessions_come_in_order_and_none_is_missing() {
    for (layout, key) in [(Layout::Incremental, "session_id"), (Layout::Cumulative, "conversation_id")] {
        let rows = generate(layout, tempfile::tempdir().unwrap().path());
        let names: Vec<Value> = rows.iter().filter(|r| r.get("group_id").is_some()).map(|r| r[key].clone()).collect();
        let (second, child) = (&names[1], &rows[find(&rows, |r| r["is_restart"] == true)]);
        // A root session in the middle is missing; its continuation has no parent then.
        let found = findings(layout, |rows| rows.retain(|r| r[key] != *second && r["parent_session_id"] != *second));
        assert!(found.iter().any(|f| f.0 == "session-order"), "{found:?}");
        // Two root sessions are swapped.
        let found = findings(layout, |rows| {
            let end = find(rows, |r| r[key] != names[0]);
            let next = find(rows, |r| r[key] != names[0] && r[key] != *second);
            rows[..next].rotate_left(end);
        });
        assert!(!found.is_empty() && found.iter().all(|f| f.0 == "session-order"), "{found:?}");
        // The continuation directly after its parent.
        let found = findings(layout, |rows| {
            let (own, parent) = (&child[key], &child["parent_session_id"]);
            let (moved, mut rest): (Vec<_>, Vec<_>) = rows.drain(..).partition(|r| r[key] == *own);
            let behind = rest.iter().rposition(|r| r[key] == *parent).unwrap() + 1;
            rest.splice(behind..behind, moved);
            *rows = rest;
        });
        assert_eq!(found.iter().map(|f| f.0).collect::<Vec<_>>(), ["session-order"]);
        // No continuation.
        let parent = rows.iter().rposition(|r| r[key] == child["parent_session_id"]).unwrap();
        let found = findings(layout, |rows| rows.retain(|r| r[key] != child[key]));
        assert_eq!(found, [("continuation-present", parent as u64 + 1)]);
    }
}

#[test]
fn ends_and_restarts_are_those_of_the_configuration() {
    let layout = Layout::Incremental;
    let rows = generate(layout, tempfile::tempdir().unwrap().path());
    let end = find(&rows, |r| is(r, "forced_retire"));
    for reason in ["target_turn_count", "probabilistic_reset"] {
        let found = findings(layout, |rows| rows[end]["end_reason"] = json!(reason));
        assert_eq!(found, [("end-reason", end as u64 + 1)]);
    }
    let start = find(&rows, |r| r["is_restart"] == true);
    let last = start + find(&rows[start..], |r| r.get("end_reason").is_some());
    let found = findings(layout, |rows| rows[last]["end_reason"] = json!("restart_split"));
    assert_eq!(found, [("end-reason", last as u64 + 1)]);
    expect_on_continuation(layout, &["restart-fields"], |row| {
        row.as_object_mut().unwrap().retain(|key, _| key != "is_restart" && key != "parent_session_id");
    });
    // The parent of another session.
    let (other, child) =
        (&rows[start]["parent_session_id"], rows.iter().rposition(|r| r["is_restart"] == true).unwrap());
    let found = findings(layout, |rows| rows[child]["parent_session_id"] = other.clone());
    assert!(found.contains(&("restart-fields", child as u64 + 1)), "{found:?}");
}

#[test]
fn whole_prompts_grow() {
    let rows = generate(Layout::Cumulative, tempfile::tempdir().unwrap().path());
    let later = find(&rows, |r| r.get("group_id").is_none());
    let before = rows[later - 1]["input_length"].as_u64().unwrap();
    let found = findings(Layout::Cumulative, |rows| {
        rows[later]["input_length"] = json!(before);
        ids(&mut rows[later]).truncate(before.div_ceil(512) as usize);
    });
    assert!(found.contains(&("context-growth", later as u64 + 1)), "{found:?}");
}
