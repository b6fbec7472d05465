//! Columns of links: JSONL and Parquet hold the same rows.

use std::path::Path;
use std::sync::Arc;

use agentgen_trace::row::RowLinks;
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::session::{Link, Session, sessions};
use agentgen_trace::sink::table::write_table;
use agentgen_trace::source::columns::{id_lists, record_batch};
use agentgen_trace::source::{self, LinkColumns, ReadOptions};
use agentgen_trace::{Cancel, Layout, TraceMeta};
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int8Array, Int64Array, RecordBatch, StringArray,
    StringViewArray, UInt32Array,
};
use arrow_select::concat::concat_batches;

/// A main session of two turns, a sub-agent that its second turn waits for, and a break: cumulative, blocks of 4 tokens.
fn linked() -> RecordBatch {
    let meta =
        TraceMeta { layout: Layout::Cumulative, block_size: 4, linked: true, format_version: None, origin: None };
    let main = RowLinks { agent: Some("main".into()), root_session_id: Some("a".into()), ..RowLinks::default() };
    let agent = RowLinks {
        link: Some("subagent".into()),
        parent_turn: Some(0),
        join_turn: Some(1),
        agent: Some("Explore".into()),
        ..main.clone()
    };
    let after = RowLinks {
        link: Some("break".into()),
        kept_length: Some(4),
        break_kind: Some("compaction".into()),
        ..main.clone()
    };
    let mut links = LinkColumns::default();
    let own = |trigger: Option<&str>, returned_length| RowLinks {
        trigger: trigger.map(str::to_owned),
        returned_length,
        ..RowLinks::default()
    };
    links.push(true, Some(&own(Some("human"), None)), Some(&main));
    links.push(false, Some(&own(Some("tool"), Some(1))), Some(&main));
    links.push(true, Some(&own(None, None)), Some(&agent));
    links.push(true, Some(&own(Some("tool"), None)), Some(&after));
    let schema = schema(&Column::ALL, &meta);
    let names = |names: [Option<&str>; 4]| -> ArrayRef { Arc::new(StringViewArray::from_iter(names)) };
    let numbers = |numbers: [u32; 4]| -> ArrayRef { Arc::new(UInt32Array::from(numbers.to_vec())) };
    record_batch(&schema, 4, |column| {
        Ok(match column {
            Column::SessionId => names([Some("a"), Some("a"), Some("b"), Some("c")]),
            Column::TurnIndex => numbers([0, 1, 0, 0]),
            Column::GroupId => Arc::new(UInt32Array::from(vec![Some(0), Some(0), None, Some(0)])),
            Column::InputLength => numbers([9, 3, 5, 6]),
            Column::ContextLength => numbers([9, 13, 5, 6]),
            Column::OutputLength => numbers([3, 2, 1, 1]),
            Column::DelayMs => Arc::new(Float64Array::from(vec![None, Some(12.5), Some(2.0), Some(7.0)])),
            Column::TimestampMs => Arc::new(Float64Array::from(vec![0.0, 12.5, 2.0, 19.5])),
            Column::HashIds => {
                let ids = vec![0, 1, 2, 0, 1, 3, 4, 10, 11, 0, 5];
                Arc::new(id_lists(&schema, Arc::new(Int64Array::from(ids)), vec![0, 3, 7, 9, 11].into())?)
            }
            Column::IsRestart => Arc::new(BooleanArray::from(vec![false; 4])),
            Column::ParentSessionId => names([None, None, Some("a"), Some("a")]),
            Column::EndReason => {
                let keys = Int8Array::from(vec![None, Some(0), None, None]);
                Arc::new(DictionaryArray::<Int8Type>::new(keys, Arc::new(StringArray::from(vec!["break"]))))
            }
            of_links => links.take(of_links)?,
        })
    })
    .expect("a batch")
}

fn read(path: &Path) -> RecordBatch {
    let source = source::resolve(&[path.to_owned()], ReadOptions::default()).expect("a trace");
    assert!(source.meta.linked, "{}", path.display());
    let batches = source::open(&source, &Column::ALL, 1, &Cancel::default()).expect("opens");
    let batches: Vec<RecordBatch> = batches.map(|batch| batch.expect("rows")).collect();
    concat_batches(&schema(&Column::ALL, &source.meta), &batches).expect("one schema")
}

#[test]
fn files_hold_the_links_of_their_rows() {
    let directory = tempfile::tempdir().expect("a directory");
    let batch = linked();
    for name in ["rows.jsonl", "rows.parquet"] {
        let path = directory.path().join(name);
        let (schema, rows) = (batch.schema(), vec![Ok(batch.clone())]);
        write_table(rows.into_iter(), &schema, Layout::Cumulative, &path, 1, &Cancel::default()).expect("writes");
        let read = read(&path);
        for (column, expected) in Column::ALL.iter().zip(batch.columns()) {
            let found = column.of(&read).expect("every column");
            assert_eq!(found, expected, "{name}: {}", column.name());
        }
    }
    let text = std::fs::read_to_string(directory.path().join("rows.jsonl")).expect("text");
    assert!(
        text.contains(r#""link":"subagent","root_session_id":"a","agent":"Explore","parent_turn":0,"join_turn":1"#)
    );
}

#[test]
fn the_word_agent_of_a_foreign_trace_is_no_link() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("foreign.jsonl");
    std::fs::write(&path, r#"{"input_length":5,"output_length":1,"hash_ids":[1],"agent":{"name":"x"},"trigger":3}"#)
        .expect("room");
    let source = source::resolve(&[path], ReadOptions::default()).expect("a trace");
    assert!(!source.meta.linked);
    let batch = source::open(&source, &Column::ALL, 1, &Cancel::default()).expect("opens").next();
    assert_eq!(batch.expect("a batch").expect("rows").num_columns(), 12);
}

#[test]
fn sessions_are_linked_as_their_rows_say() {
    let meta =
        TraceMeta { layout: Layout::Cumulative, block_size: 4, linked: true, format_version: None, origin: None };
    let found: Vec<Session> = sessions(&meta, std::iter::once(Ok(linked()))).map(|s| s.expect("a session")).collect();
    let links: Vec<Link> = found.iter().map(|session| session.link).collect();
    let agent = Link::SubAgent { parent: Some(0), parent_turn: 0, join_turn: Some(1) };
    assert_eq!(links, [Link::Root, agent, Link::Break { parent: Some(0), kept_tokens: 4 }]);
    assert!(!found[0].extends_previous(1), "one of three tokens of the output came back");
    assert_eq!(found[0].stream(0).common_tokens(found[0].stream(1)), 8, "the whole blocks of the prompt");
    assert_eq!(found[0].stream(1).common_tokens(found[2].stream(0)), 4);
}

/// A session of two incremental rows, the second of which has one token of the output, and a break that keeps 8 tokens.
#[test]
fn incremental_prompts_begin_with_what_is_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rows.jsonl");
    let rows = [
        r#"{"session_id":"a","input_length":9,"output_length":3,"hash_ids":[0,1,2],"root_session_id":"a"}"#,
        r#"{"session_id":"a","input_length":3,"output_length":2,"hash_ids":[3],"returned_length":1}"#,
        concat!(
            r#"{"session_id":"b","input_length":10,"output_length":1,"hash_ids":[0,1,4],"link":"break","#,
            r#""parent_session_id":"a","kept_length":8,"root_session_id":"a"}"#
        ),
    ];
    std::fs::write(&path, rows.join("\n")).expect("room");
    let options = ReadOptions { trace_layout: Some(Layout::Incremental), trace_block_size: Some(4) };
    let source = source::resolve(&[path], options).expect("a trace");
    let batches = source::open(&source, &Column::ALL, 1, &Cancel::default()).expect("opens");
    let found: Vec<Session> = sessions(&source.meta, batches).map(|s| s.expect("a session")).collect();
    assert_eq!(found[0].turns[1].context_tokens, 9 + 1 + 3);
    assert_eq!(found[0].stream(0).common_tokens(found[0].stream(1)), 9, "the prompt, and nothing of the output");
    assert_eq!(found[1].link, Link::Break { parent: Some(0), kept_tokens: 8 });
    assert_eq!(found[1].stream(0).common_tokens(found[0].stream(1)), 8);
}
