//! Batches as sessions: columns found by name, links, and words that generated traces do not have.
#![allow(clippy::unwrap_used)] // a test may panic

use agentgen_core::EndReason;
use agentgen_testing::files::{Written, read};
use agentgen_trace::Layout;
use agentgen_trace::schema::Column;
use agentgen_trace::session::{Link, Session, SessionEnd, sessions};
use agentgen_trace::source::{ReadOptions, Source, resolve};
use arrow_array::RecordBatch;

const ROWS: &str = r#"{"session_id":"a","input_length":1025,"output_length":100,"hash_ids":[0,1,2],"timestamp":3.5}
{"session_id":"a","input_length":600,"output_length":50,"hash_ids":[3,4],"delay":12.5,"end_reason":"restart_split"}
{"session_id":"b","input_length":1800,"output_length":9,"hash_ids":[0,1,5,6],"timestamp":0.0,"is_restart":true,"parent_session_id":"a"}
{"session_id":"b","input_length":1,"output_length":9,"hash_ids":[8],"delay":0.1,"end_reason":"out_of_budget"}
{"session_id":"c","input_length":9,"output_length":9,"hash_ids":[9],"is_restart":true,"parent_session_id":"missing"}
"#;

fn opened() -> (Source, Vec<RecordBatch>, Written) {
    let directory = Written::new("t.jsonl", ROWS);
    let source = resolve(&[directory.path("t.jsonl")], ReadOptions::default()).unwrap();
    let batches = read(&source);
    (source, batches, directory)
}

fn assembled(source: &Source, batches: Vec<RecordBatch>) -> Vec<Session> {
    sessions(&source.meta, batches.into_iter().map(Ok)).collect::<Result<_, _>>().unwrap()
}

#[test]
fn restart_sessions_name_their_parent() {
    let (source, batches, _directory) = opened();
    let found = assembled(&source, batches);
    let links: Vec<Link> = found.iter().map(|session| session.link).collect();
    assert_eq!(links[0], Link::Root);
    assert_eq!((links[1].parent(), links[1].is_restart()), (Some(0), true));
    assert_eq!((links[2].parent(), links[2].is_restart()), (None, true), "the trace does not hold the parent");
    assert!(found[1].extends_previous(1) && !found[1].extends_previous(0));
}

/// Three sessions of one conversation, each of which continues the one before.
#[test]
fn a_continuation_of_a_continuation_is_linked() {
    let first = r#"{"KEY":"a","input_length":4,"output_length":4,"hash_ids":[0],"timestamp":0.0}"#;
    let next = |name: &str, parent: &str, length: u32, ids: &str| {
        format!(
            r#"{{"KEY":"{name}","input_length":{length},"output_length":4,"hash_ids":{ids},"timestamp":0.0,"is_restart":true,"parent_session_id":"{parent}"}}"#
        )
    };
    let rows = [first.to_owned(), next("b", "a", 8, "[0,1]"), next("c", "b", 12, "[0,1,2]")].join("\n");
    let foreign = [first.to_owned(), next("b", "a", 8, "[0,1]"), next("c", "b", 12, "[0,3,2]")].join("\n");
    for (layout, key) in [(Layout::Incremental, "session_id"), (Layout::Cumulative, "conversation_id")] {
        for (rows, parent) in [(&rows, Some(1)), (&foreign, None)] {
            let directory = Written::new("t.jsonl", &rows.replace("KEY", key));
            let options = ReadOptions { trace_layout: Some(layout), trace_block_size: Some(4) };
            let source = resolve(&[directory.path("t.jsonl")], options).unwrap();
            let found = assembled(&source, read(&source));
            assert_eq!(found[1].link.parent(), Some(0), "{layout:?}");
            assert_eq!(found[2].link.parent(), parent, "{layout:?}: its ids must be those of the parent's own rows");
        }
    }
}

#[test]
fn a_session_ends_before_the_clock_does() {
    let row = |time: &str| format!(r#"{{"session_id":"a","input_length":1,"output_length":1,"hash_ids":[0],{time}}}"#);
    let rows = |times: [&str; 3]| times.map(row).join("\n").replacen("[0]", "[1]", 1).replacen("[0]", "[2]", 1);
    for (times, is_sound) in [
        ([r#""timestamp":0"#, r#""delay":4398046511104"#, r#""delay":0"#], true),
        ([r#""timestamp":0"#, r#""delay":4398046511104"#, r#""delay":1"#], false),
        ([r#""timestamp":4398046511104"#, r#""delay":1"#, r#""delay":1"#], false),
    ] {
        let directory = Written::new("t.jsonl", &rows(times));
        let options = ReadOptions { trace_layout: Some(Layout::Incremental), trace_block_size: Some(1) };
        let source = resolve(&[directory.path("t.jsonl")], options).unwrap();
        let found: Result<Vec<Session>, _> = sessions(&source.meta, read(&source).into_iter().map(Ok)).collect();
        assert_eq!(found.is_ok(), is_sound, "{times:?}");
        if let Err(error) = found {
            assert!(error.to_string().contains("a session that lasts until 4398046511105 ms"), "{error}");
        }
    }
}

#[test]
fn an_unknown_end_reason_is_kept_as_a_word() {
    let (source, batches, _directory) = opened();
    let ends: Vec<_> = assembled(&source, batches).into_iter().map(|session| session.end).collect();
    assert_eq!(ends[0], Some(SessionEnd::Known(EndReason::RestartSplit)));
    assert_eq!(ends[1].as_ref().map(SessionEnd::name), Some("out_of_budget"));
    assert_eq!(ends[2], None);
}

#[test]
fn columns_are_found_by_name_and_some_may_be_absent() {
    let (source, batches, _directory) = opened();
    assert_eq!(source.meta.layout, Layout::Incremental);
    // In another order, and without all that may be null.
    let kept = [
        Column::OutputLength,
        Column::HashIds,
        Column::SessionId,
        Column::ContextLength,
        Column::InputLength,
        Column::TurnIndex,
    ];
    let project = |batch: &RecordBatch, columns: &[Column]| {
        let indices: Vec<usize> = columns.iter().map(|c| batch.schema().index_of(c.name()).unwrap()).collect();
        batch.project(&indices).unwrap()
    };
    let found = assembled(&source, batches.iter().map(|batch| project(batch, &kept)).collect());
    let turns: Vec<Vec<u32>> =
        found.iter().map(|session| session.turns.iter().map(|turn| turn.context_tokens).collect()).collect();
    assert_eq!(turns, [vec![1025, 1725], vec![1800, 1810], vec![9]]);
    assert!(found.iter().all(|session| session.link == Link::Root && session.end.is_none()));
    assert!(found.iter().all(|session| session.turns.iter().all(|turn| turn.delay_ms.is_none())));

    let without_ids = batches.iter().map(|batch| Ok(project(batch, &[Column::TurnIndex])));
    let error = sessions(&source.meta, without_ids).next().unwrap().unwrap_err();
    assert_eq!(error.to_string(), "internal error: no column hash_ids");
}
