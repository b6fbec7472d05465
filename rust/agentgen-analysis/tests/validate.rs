//! Validates whole files: generated ones, those of other programs, and invalid ones.
#![allow(clippy::unwrap_used)] // clippy's exception for tests does not reach their helpers

use std::path::{Path, PathBuf};

use agentgen_analysis::validate::{Options, Severity, ValidationReport, validate};
use agentgen_core::{Config, config};
use agentgen_testing::files::shared;
use agentgen_testing::{Blind, Case, run_options};
use agentgen_trace::manifest::Shard;
use agentgen_trace::run::RunOptions;
use agentgen_trace::{Cancel, Layout, TraceError};
use tempfile::TempDir;

#[derive(Clone, Copy)]
enum File {
    Jsonl,
    Zstd,
    Parquet,
}

/// Writes shard `index` of `count` of a small data set with many restarts.
fn run(directory: &Path, preset: &str, layout: Layout, file: File, index: u64, count: u64) -> PathBuf {
    let mut config = Config::from_json(config::preset(preset).unwrap()).unwrap();
    config.restart_initial_probability = 0.9;
    let options = RunOptions {
        jsonl: !matches!(file, File::Parquet),
        parquet: matches!(file, File::Parquet),
        zstd: matches!(file, File::Zstd),
        shard: Shard { index, count },
        ..run_options(&directory.join(format!("run-{index}")))
    };
    Case { config, seed: 5, sessions: 300 }.write(layout, &options, || Blind);
    options.directory
}

fn report(paths: &[PathBuf]) -> ValidationReport {
    let options = Options { threads: 2, ..Options::default() };
    let report = validate(paths, &options, &Cancel::default(), &mut |_, _| {}).unwrap();
    let one = validate(paths, &Options { threads: 1, ..options }, &Cancel::default(), &mut |_, _| {}).unwrap();
    assert_eq!(report, one, "threads change nothing");
    report
}

#[test]
fn generated_runs_are_valid_and_read_as_one_trace() {
    for preset in ["default", "aiperf-1k-200k"] {
        for layout in [Layout::Incremental, Layout::Cumulative] {
            let mut totals = Vec::new();
            for file in [File::Jsonl, File::Zstd, File::Parquet] {
                let dir = TempDir::new().unwrap();
                let report = report(&[run(dir.path(), preset, layout, file, 0, 1)]);
                assert!(report.ok, "{report:#?}");
                assert_eq!(
                    (report.findings.len(), report.layout, report.layout_from.as_deref()),
                    (0, Some(layout), Some("manifest"))
                );
                assert!(report.sessions > 350, "continuations are there: {}", report.sessions);
                totals.push((report.rows, report.sessions));
            }
            assert!(totals.iter().all(|t| *t == totals[0]), "{totals:?}");
        }
    }
}

#[test]
fn a_file_without_its_manifest_is_valid_too() {
    for (layout, from) in [(Layout::Incremental, "inferred"), (Layout::Cumulative, "inferred")] {
        let dir = TempDir::new().unwrap();
        let run = run(dir.path(), "default", layout, File::Jsonl, 0, 1);
        std::fs::remove_file(run.join("manifest.json")).unwrap();
        let report = report(&[run.join("dataset.jsonl")]);
        assert!(report.ok && report.findings.is_empty(), "{report:#?}");
        assert_eq!(
            (report.layout, report.layout_from.as_deref(), report.block_size),
            (Some(layout), Some(from), Some(512))
        );
    }
}

#[test]
fn shards_are_one_data_set_and_a_single_one_only_warns() {
    for layout in [Layout::Incremental, Layout::Cumulative] {
        for file in [File::Jsonl, File::Parquet] {
            let dir = TempDir::new().unwrap();
            let shards: Vec<PathBuf> = (0..3).map(|i| run(dir.path(), "default", layout, file, i, 3)).collect();
            let whole = report(&shards);
            assert!(whole.ok && whole.findings.is_empty(), "{whole:#?}");
            assert_eq!(whole.files.len(), 3);
            let last = report(&shards[2..]);
            assert!(last.ok && last.warnings > 0, "{last:#?}");
            let only = |f: &agentgen_analysis::validate::Diagnostic| {
                (f.severity, f.rule) == (Severity::Warning, "parent-missing")
            };
            assert!(last.findings.iter().all(only), "{last:#?}");
            assert_eq!(whole.rows, shards.iter().map(|s| report(std::slice::from_ref(s)).rows).sum::<u64>());
        }
    }
}

/// Changes the first line of a generated file that contains `with`, and expects one finding there and the finding about
/// the file's digest.
fn expect_finding(layout: Layout, with: &str, expected: &str, change: impl Fn(&str) -> String) {
    let dir = TempDir::new().unwrap();
    let run = run(dir.path(), "default", layout, File::Jsonl, 0, 1);
    let path = run.join("dataset.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    let at = text.lines().position(|l| l.contains(with)).unwrap();
    let lines: Vec<String> =
        text.lines().enumerate().map(|(i, l)| if i == at { change(l) } else { l.to_owned() }).collect();
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    let report = report(&[run]);
    assert!(!report.ok);
    let found: Vec<_> = report.findings.iter().map(|f| (f.rule, f.line)).collect();
    assert_eq!(found, [(expected, at as u64 + 1), ("digest", 0)], "{report:#?}");
}

#[test]
fn one_changed_line_is_one_finding() {
    let text = |from: &'static str, to: &'static str| move |line: &str| line.replacen(from, to, 1);
    let last_id = |line: &str| {
        let (ids, rest) = line.split_once(']').unwrap();
        format!("{},9007199254740991]{rest}", &ids[..ids.rfind(',').unwrap()])
    };
    let cut = |line: &str| line[..line.len() - 1].to_owned();
    let (first, later) = ("\"group_id\"", "\"delay\"");
    for with in [first, later, "forced_retire", "restart_split", "is_restart"] {
        expect_finding(Layout::Incremental, with, "json", cut);
        expect_finding(Layout::Incremental, with, "range", text("\"output_length\":", "\"output_length\":-"));
        expect_finding(Layout::Incremental, with, "id-space", last_id);
        expect_finding(Layout::Cumulative, with.replace("delay", "timestamp").as_str(), "json", cut);
        expect_finding(
            Layout::Cumulative,
            with.replace("delay", "timestamp").as_str(),
            "timing",
            text("\"timestamp\"", "\"delay\""),
        );
    }
    expect_finding(Layout::Incremental, first, "timing", text("\"timestamp\"", "\"delay\""));
    expect_finding(Layout::Incremental, later, "timing", text("\"delay\"", "\"timestamp\""));
    expect_finding(Layout::Incremental, later, "end-place", text("}", ",\"end_reason\":\"forced_retire\"}"));
    expect_finding(
        Layout::Incremental,
        "is_restart",
        "parent-missing",
        text("parent_session_id\":\"sess", "parent_session_id\":\"cess"),
    );
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn real_traces_are_valid() {
    for (name, layout, rows, sessions) in [
        ("mooncake/conversation_trace.jsonl", Layout::Cumulative, 12_031, 12_031),
        ("aiperf/default_40s.jsonl", Layout::Incremental, 601, 40),
    ] {
        let report = report(&[shared(name)]);
        assert!(report.ok && report.findings.is_empty(), "{report:#?}");
        assert_eq!(
            (report.layout, report.block_size, report.rows, report.sessions),
            (Some(layout), Some(512), rows, sessions)
        );
    }
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn a_trace_that_its_own_loader_refuses_is_refused() {
    let path = shared("aiperf/restarts_120s.jsonl");
    // Counted independently of the code under test: sizes of every id, in file order.
    let mut sizes = std::collections::HashMap::<i64, (u64, u64)>::new();
    let mut expected = std::collections::BTreeMap::new();
    for (line, text) in (1..).zip(std::fs::read_to_string(&path).unwrap().lines()) {
        let row: serde_json::Value = serde_json::from_str(text).unwrap();
        let (input, ids) = (row["input_length"].as_u64().unwrap(), row["hash_ids"].as_array().unwrap());
        for (at, id) in ids.iter().enumerate() {
            let size = if at + 1 == ids.len() { input - 512 * at as u64 } else { 512 };
            let (first, first_line) = *sizes.entry(id.as_i64().unwrap()).or_insert((size, line));
            if first != size {
                let found = format!("id {id} with {size} tokens, with {first} tokens in line {first_line}");
                expected.entry(id.as_i64().unwrap()).or_insert((line, found));
            }
        }
    }
    let mut expected: Vec<(u64, String)> = expected.into_values().collect();
    expected.sort_unstable();
    let options = Options { max_errors: 100_000, ..Options::default() };
    let report = validate(&[path], &options, &Cancel::default(), &mut |_, _| {}).unwrap();
    assert!(!report.ok);
    let found: Vec<_> =
        report.findings.iter().filter(|f| f.rule == "id-size").map(|f| (f.line, f.found.clone())).collect();
    assert!(!found.is_empty());
    assert_eq!(found, expected);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_wrong_layout_of_a_foreign_trace_is_one_finding() {
    let options = Options { trace_layout: Some(Layout::Cumulative), ..Options::default() };
    let path = shared("aiperf/default_40s.jsonl");
    let report = validate(&[path], &options, &Cancel::default(), &mut |_, _| {}).unwrap();
    assert_eq!((report.ok, report.errors, report.findings[0].rule, report.findings[0].line), (false, 1, "layout", 2));
}

#[test]
fn the_wrong_layout_is_one_finding() {
    let dir = TempDir::new().unwrap();
    let run = run(dir.path(), "default", Layout::Cumulative, File::Jsonl, 0, 1);
    std::fs::remove_file(run.join("manifest.json")).unwrap();
    let options = Options { trace_layout: Some(Layout::Incremental), ..Options::default() };
    let report = validate(&[run], &options, &Cancel::default(), &mut |_, _| {}).unwrap();
    assert_eq!((report.errors, report.findings[0].rule, report.findings[0].line), (1, "layout", 1));
}

#[test]
fn files_without_a_valid_row_are_findings_not_failures() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.jsonl");
    for (text, rule) in [("", "empty"), ("\n \n", "empty"), ("{\"a\":1}\n", "missing-field"), ("no\n", "json")] {
        std::fs::write(&path, text).unwrap();
        let report = report(std::slice::from_ref(&path));
        assert_eq!(
            (report.ok, report.findings[0].rule, report.layout_from.as_deref()),
            (false, rule, Some("assumed")),
            "{text}"
        );
    }
}

#[test]
fn unreadable_files_are_errors_and_cancellation_stops() {
    let options = Options::default();
    let missing = validate(&["no/such/file".into()], &options, &Cancel::default(), &mut |_, _| {});
    assert!(missing.unwrap_err().to_string().contains("no/such/file"));
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.jsonl");
    let row = "{\"session_id\":\"a\",\"input_length\":5,\"output_length\":1,\"hash_ids\":[1],\"timestamp\":0}\n";
    std::fs::write(&path, row).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let options = Options { trace_layout: Some(Layout::Incremental), trace_block_size: Some(5), ..options };
    assert!(matches!(validate(&[path], &options, &cancel, &mut |_, _| {}), Err(TraceError::Interrupted)));
}

#[test]
fn the_report_is_json() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("t.jsonl");
    let row = "{\"session_id\":\"a\",\"input_length\":5,\"output_length\":1,\"hash_ids\":[],\"timestamp\":0}\n";
    std::fs::write(&path, row).unwrap();
    let options = Options { trace_layout: Some(Layout::Incremental), trace_block_size: Some(5), ..Options::default() };
    let mut shown = Vec::new();
    let report =
        validate(std::slice::from_ref(&path), &options, &Cancel::default(), &mut |d, t| shown.push((d, t))).unwrap();
    let name = path.display().to_string();
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        serde_json::json!({
            "schema_version": 2, "ok": false, "format": "block-hash",
            "layout": "incremental", "layout_from": "option", "block_size": 5, "block_size_from": "option",
            "files": [name], "rows": 1, "sessions": 1, "bytes": row.len(), "errors": 1, "warnings": 0,
            "findings": [{
                "severity": "error", "file": name, "line": 1, "rule": "id-count",
                "field": "hash_ids",
                "found": "0 hash_ids for input_length 5", "expected": "1 = ceil(5 / block size 5)", "help": null
            }]
        })
    );
    assert_eq!(shown.last(), Some(&(row.len() as u64, row.len() as u64)));
}
