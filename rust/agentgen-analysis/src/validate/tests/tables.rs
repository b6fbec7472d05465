//! Validates tables: a valid one, with one column changed.

use agentgen_trace::schema::Column;
use agentgen_trace::source::{ReadOptions, open, resolve};
use arrow_array::builder::StringViewBuilder;
use arrow_array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, UInt32Array};

use super::super::layout::wrong_layout;
use super::super::rules::*;
use super::*;

/// Two sessions; the second continues the first.
fn table() -> RecordBatch {
    let split = r#""delay":2.5,"end_reason":"restart_split""#;
    let restart = r#""timestamp":0.0,"group_id":3,"is_restart":true,"parent_session_id":"a""#;
    let text = [
        row("session_id=a", 25, &[0, 1, 2], r#""timestamp":0.0,"group_id":3"#),
        row("session_id=a", 20, &[3, 4], split),
        row("session_id=b", 55, &[0, 1, 3, 4, 5, 6], restart),
        row("session_id=b", 1, &[7], r#""delay":2.5"#),
    ];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.jsonl");
    std::fs::write(&path, text.concat()).unwrap();
    let options = ReadOptions { trace_layout: Some(Layout::Incremental), trace_block_size: Some(BLOCK_SIZE) };
    let source = resolve(&[path], options).unwrap();
    open(&source, &Column::ALL, 1, &Cancel::default()).unwrap().next().unwrap().unwrap()
}

fn with(column: Column, values: ArrayRef) -> RecordBatch {
    let table = table();
    let mut columns = table.columns().to_vec();
    columns[column as usize] = values;
    RecordBatch::try_new(table.schema(), columns).unwrap()
}

fn parts(table: &RecordBatch, rows: usize) -> Vec<Result<Part>> {
    let at = |start: usize| table.slice(start, rows.min(table.num_rows() - start));
    let part = |start| Ok(Part { file: 0, content: Content::Table(at(start)) });
    (0..table.num_rows()).step_by(rows).map(part).collect()
}

/// Rules and rows of all findings; asserts that they do not depend on how the table is split.
fn rules(table: &RecordBatch) -> Vec<(&'static str, u64)> {
    let trace_rules = Arc::new(TraceRules::new(&foreign(Layout::Incremental), false).unwrap());
    let found = [1, 2, 4].map(|rows| {
        let again = || parts(table, rows).into_iter();
        let options = Options::default();
        let merged =
            check(again(), again, &trace_rules, &["t".into()], &options, &Cancel::default(), &mut || {}).unwrap();
        merged.findings.sorted().2.iter().map(|f| (f.rule, f.line)).collect::<Vec<_>>()
    });
    assert!(found.iter().all(|f| *f == found[0]), "{found:?}");
    found[0].clone()
}

#[test]
fn a_column_that_contradicts_the_others_is_found() {
    assert_eq!(rules(&table()), []);
    let numbers = |values: [u32; 4]| Arc::new(UInt32Array::from_iter_values(values)) as ArrayRef;
    assert_eq!(rules(&with(Column::TurnIndex, numbers([0, 2, 0, 1]))), [(DERIVED, 2)]);
    assert_eq!(rules(&with(Column::ContextLength, numbers([25, 50, 55, 62]))), [(DERIVED, 4)]);
    assert_eq!(rules(&with(Column::GroupId, numbers([3, 4, 3, 3]))), [(GROUP, 2)]);
    assert_eq!(rules(&with(Column::OutputLength, numbers([5, 5, 5, 1 << 31]))), [("range", 4)]);
    let restart = Arc::new(BooleanArray::from(vec![false, false, true, false]));
    assert_eq!(rules(&with(Column::IsRestart, restart)), [(RESTART_FIELDS, 4)]);
    let times = |values: [Option<f64>; 4]| Arc::new(values.into_iter().collect::<Float64Array>()) as ArrayRef;
    assert_eq!(rules(&with(Column::DelayMs, times([None, Some(1.0), None, None]))), [(TIMING, 4)]);
    assert_eq!(rules(&with(Column::DelayMs, times([None, Some(-1.0), None, Some(1.0)]))), [("range", 2)]);
    assert_eq!(rules(&with(Column::TimestampMs, times([Some(f64::NAN), None, Some(0.0), None]))), [("range", 1)]);
    let mut names = StringViewBuilder::new();
    for name in ["a", "a", "b", "a"] {
        names.append_value(name);
    }
    assert_eq!(rules(&with(Column::SessionId, Arc::new(names.finish())))[0], (SESSION_SPLIT, 4));
}

#[test]
fn ids_that_cover_the_other_length_are_the_other_layout() {
    let trace_rules = TraceRules::new(&foreign(Layout::Cumulative), false).unwrap();
    let part = parts(&table(), 4).remove(0).unwrap();
    let found = wrong_layout(&part, &trace_rules, "option").unwrap().unwrap();
    assert_eq!((found.rule, found.line), (LAYOUT, 2));
}
