//! Multi-turn messages: reader and validator find every broken rule at its place.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

use agentgen_analysis::validate::{Diagnostic, Options, ValidationReport, validate};
use agentgen_trace::transcript::{self, Message, Part, Role, Transcript, flat};
use agentgen_trace::{Cancel, Layout, TraceError};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A file of lines.
fn file(lines: &[String]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("m.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    for line in lines {
        writeln!(file, "{line}").unwrap();
    }
    (dir, path)
}

fn report(path: &Path) -> ValidationReport {
    let options = Options { max_errors: 1000, ..Options::default() };
    validate(&[path.to_owned()], &options, &Cancel::default(), &mut |_, _| ()).unwrap()
}

fn load(path: &Path) -> Result<Vec<Transcript>, TraceError> {
    flat::read(path, &Cancel::default()).collect()
}

/// Findings in lines; asserts that the reader refuses them exactly if one finding is an error.
fn findings(lines: &[String]) -> Vec<Diagnostic> {
    let (_dir, path) = file(lines);
    let report = report(&path);
    assert_eq!((report.format, report.layout, report.block_size), ("messages", None, None));
    assert_eq!(load(&path).is_err(), !report.ok, "{report:#?}");
    report.findings
}

/// Lines and rules of the findings of rows.
fn broken(rows: &[Value]) -> Vec<(u64, &'static str)> {
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    findings(&lines).iter().map(|finding| (finding.line, finding.rule)).collect()
}

/// Line, rule and found text of the only finding of rows.
fn only(rows: &[Value]) -> (u64, &'static str, String) {
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    let mut findings = findings(&lines);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    let finding = findings.remove(0);
    (finding.line, finding.rule, finding.found)
}

/// A row of conversation `c` with more members.
fn row(turn: u32, role: &str, members: &Value) -> Value {
    let mut row = json!({"conversation_id": "c", "turn": turn, "role": role});
    for (name, value) in members.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

fn user(turn: u32) -> Value {
    row(turn, "user", &json!({"content": "do"}))
}

fn answer(turn: u32) -> Value {
    row(turn, "assistant", &json!({"content": "done"}))
}

fn call(id: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}})
}

fn calls(turn: u32, ids: &[&str]) -> Value {
    row(turn, "assistant", &json!({"tool_calls": ids.iter().map(|id| call(id)).collect::<Vec<_>>()}))
}

fn results(turn: u32, ids: &[&str]) -> Value {
    let results: Vec<_> = ids.iter().map(|id| json!({"tool_call_id": id, "content": ""})).collect();
    row(turn, "tool", &json!({"tool_results": results}))
}

fn in_conversation(id: &str, mut row: Value) -> Value {
    row["conversation_id"] = json!(id);
    row
}

#[test]
fn a_conversation_may_end_anywhere() {
    let rows = [
        user(1),
        calls(2, &["a", "b"]),
        results(3, &["b", "a"]),
        calls(4, &["c"]),
        results(5, &["c"]),
        user(6),
        answer(7),
        user(8),
    ];
    for end in 1..=rows.len() {
        assert_eq!(broken(&rows[..end]), [], "{end} rows");
    }
}

#[test]
fn roles_must_alternate_in_the_defined_order() {
    // Which rows may follow each role.
    let (plain, calling, tool) = (|t| answer(t), |t| calls(t, &["x"]), |t| results(t, &["a"]));
    let starts: [(&str, Vec<Value>, &[&str]); 4] = [
        ("user", vec![user(1)], &["plain", "calling"]),
        ("plain", vec![user(1), answer(2)], &["user"]),
        ("calling", vec![user(1), calls(2, &["a"])], &["tool"]),
        ("tool", vec![user(1), calls(2, &["a"]), results(3, &["a"])], &["plain", "calling", "user"]),
    ];
    for (from, start, allowed) in starts {
        let turn = start.len() as u32 + 1;
        for (to, next) in
            [("user", user(turn)), ("plain", plain(turn)), ("calling", calling(turn)), ("tool", tool(turn))]
        {
            let mut rows = start.clone();
            rows.push(next);
            let found: Vec<_> = broken(&rows).into_iter().filter(|found| found.1 == "role-order").collect();
            let expected = if allowed.contains(&to) { vec![] } else { vec![(u64::from(turn), "role-order")] };
            assert_eq!(found, expected, "{to} after {from}");
        }
    }
    for first in [answer(1), calls(1, &["a"]), results(1, &["a"])] {
        assert!(broken(&[first]).contains(&(1, "role-order")));
    }
}

#[test]
fn empty_tool_results_are_refused() {
    for (results, rule, names) in [
        (json!([]), "range", "tool_results []"),
        (Value::Null, "type", "tool_results null"),
        (json!("out"), "type", "tool_results \"out\""),
        (json!(["out"]), "type", "tool_results[0] \"out\""),
        (json!([{"tool_call_id": "a", "content": ""}, 7]), "type", "tool_results[1] 7"),
    ] {
        let rows = [user(1), calls(2, &["a"]), row(3, "tool", &json!({"tool_results": results}))];
        assert_eq!(only(&rows), (3, rule, format!("conversation \"c\", turn 3: {names}")));
    }
    let rows = [user(1), calls(2, &["a"]), row(3, "tool", &json!({}))];
    assert_eq!(only(&rows), (3, "missing-field", "conversation \"c\", turn 3: no tool_results".to_owned()));
}

#[test]
fn results_have_an_id_and_a_content() {
    for (result, rule, names) in [
        (json!({"content": "x"}), "missing-field", "no tool_results[0].tool_call_id"),
        (json!({"tool_call_id": null, "content": "x"}), "type", "tool_results[0].tool_call_id null"),
        (json!({"tool_call_id": "", "content": "x"}), "range", "tool_results[0].tool_call_id \"\""),
        (json!({"tool_call_id": "a"}), "missing-field", "no tool_results[0].content"),
        (json!({"tool_call_id": "a", "content": null}), "type", "tool_results[0].content null"),
        (json!({"tool_call_id": "a", "content": [1]}), "type", "tool_results[0].content [1]"),
    ] {
        let rows = [user(1), calls(2, &["a"]), row(3, "tool", &json!({"tool_results": [result]}))];
        assert_eq!(only(&rows), (3, rule, format!("conversation \"c\", turn 3: {names}")));
    }
}

#[test]
fn malformed_calls_are_refused() {
    for (calls, rule) in [
        (json!([]), "range"),
        (json!("f()"), "type"),
        (json!([{"type": "function", "function": {"name": "f", "arguments": ""}}]), "missing-field"),
        (json!([{"id": "", "type": "function", "function": {"name": "f", "arguments": ""}}]), "range"),
        (json!([{"id": "a", "function": {"name": "f", "arguments": ""}}]), "missing-field"),
        (json!([{"id": "a", "type": "custom", "function": {"name": "f", "arguments": ""}}]), "range"),
        (json!([{"id": "a", "type": "function"}]), "missing-field"),
        (json!([{"id": "a", "type": "function", "function": {"name": "", "arguments": ""}}]), "range"),
        (json!([{"id": "a", "type": "function", "function": {"name": "f"}}]), "missing-field"),
        (json!([{"id": "a", "type": "function", "function": {"name": "f", "arguments": [1]}}]), "type"),
    ] {
        let (line, broken, _) = only(&[user(1), row(2, "assistant", &json!({"tool_calls": calls}))]);
        assert_eq!((line, broken), (2, rule), "{calls}");
    }
}

#[test]
fn every_role_has_its_own_fields() {
    for (turn, role, members, rule) in [
        (1, "user", json!({}), "missing-field"),
        (1, "user", json!({"content": ""}), "range"),
        (1, "user", json!({"content": null}), "type"),
        (1, "user", json!({"content": [{"type": "text", "text": "x"}]}), "type"),
        (1, "user", json!({"content": "x", "tool_calls": [call("a")]}), "role-field"),
        (1, "user", json!({"content": "x", "tool_results": []}), "role-field"),
        (1, "user", json!({"content": "x", "name": ""}), "range"),
        (1, "user", json!({"content": "x", "system": 1}), "type"),
        (1, "user", json!({"content": "x", "delay_seconds": -1}), "range"),
        (1, "user", json!({"content": "x", "delay_seconds": "1"}), "type"),
        (1, "user", json!({"content": "x", "temperature": 2.5}), "range"),
        (1, "user", json!({"content": "x", "max_tokens": 0}), "range"),
        (1, "user", json!({"content": "x", "max_new_tokens": 7.5}), "type"),
        (1, "user", json!({"content": "x", "stream": 1}), "type"),
        (1, "user", json!({"content": "x", "tools": []}), "range"),
        (1, "user", json!({"content": "x", "tools": [{"type": "function", "function": {}}]}), "missing-field"),
        (2, "assistant", json!({}), "missing-field"),
        (2, "assistant", json!({"content": ""}), "range"),
        (2, "assistant", json!({"content": null, "reasoning_content": "x"}), "type"),
        (2, "assistant", json!({"content": "x", "tool_results": []}), "role-field"),
        (2, "assistant", json!({"content": "x", "reasoning_content": 1}), "type"),
        (2, "system", json!({"content": "x"}), "range"),
    ] {
        let rows = [user(1), row(turn, role, &members)];
        let (line, broken, found) = only(&rows[usize::from(turn == 1)..]);
        assert_eq!((line, broken), (u64::from(turn), rule), "{role} {members}: {found}");
    }
    let rows = [user(1), calls(2, &["a"]), results(3, &["a"])];
    for (name, value) in [("content", json!("x")), ("tool_calls", json!([call("a")]))] {
        let mut rows = rows.clone();
        rows[2][name] = value;
        assert_eq!(only(&rows).1, "role-field");
    }
}

#[test]
fn null_equals_an_absent_field() {
    let nulls = json!({"content": "x", "name": null, "system": null, "tools": null, "tool_calls": null,
        "tool_results": null, "delay_seconds": null, "temperature": null, "unknown": null});
    let calling = json!({"content": null, "reasoning_content": null, "tool_calls": [call("a")]});
    assert_eq!(broken(&[row(1, "user", &nulls), row(2, "assistant", &calling)]), []);
}

#[test]
fn turns_are_numbered_from_one() {
    let at = |turns: &[u32]| {
        let row = |(n, turn): (usize, &u32)| if n % 2 == 0 { user(*turn) } else { answer(*turn) };
        turns.iter().enumerate().map(row).collect::<Vec<_>>()
    };
    for (turns, line) in [(&[2][..], 1), (&[1, 3], 2), (&[1, 2, 3, 5], 4), (&[1, 2, 2], 3)] {
        let found = broken(&at(turns));
        assert_eq!(found, [(line, "turn-number")], "{turns:?}");
    }
    for turn in [json!(0), json!(-1), json!(2_147_483_648_u32)] {
        assert_eq!(only(&[json!({"conversation_id": "c", "turn": turn, "role": "user", "content": "x"})]).1, "range");
    }
    for turn in [json!("1"), json!(1.5), json!(true), Value::Null] {
        assert_eq!(only(&[json!({"conversation_id": "c", "turn": turn, "role": "user", "content": "x"})]).1, "type");
    }
}

#[test]
fn rows_of_a_conversation_are_contiguous_in_any_order() {
    let rows = [results(3, &["a"]), user(1), calls(2, &["a"])];
    assert_eq!(broken(&rows), []);
    let apart = [user(1), in_conversation("d", user(1)), answer(2), in_conversation("e", user(1))];
    let (line, rule, found) = only(&apart);
    assert_eq!((line, rule), (3, "conversation-split"));
    assert!(found.contains("\"c\""), "{found}");
}

#[test]
fn ids_are_strings_as_they_are_written() {
    let ids = ["1", "001", "1.0", "01", "a b", "~!"];
    let rows: Vec<_> = ids.iter().map(|id| in_conversation(id, user(1))).collect();
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    let (_dir, path) = file(&lines);
    let loaded: Vec<_> = load(&path).unwrap().into_iter().map(|conversation| conversation.id).collect();
    assert_eq!(loaded, ids);
    for (id, rule) in [
        (json!(1), "type"),
        (json!(1.0), "type"),
        (Value::Null, "type"),
        (json!(""), "range"),
        (json!(" a"), "range"),
        (json!("a "), "range"),
        (json!("a\n"), "range"),
        (json!("a\r\nX-Evil: 1"), "range"),
        (json!("é"), "range"),
        (json!("\u{7f}"), "range"),
    ] {
        let mut row = user(1);
        row["conversation_id"] = id.clone();
        assert_eq!(only(&[row]).1, rule, "{id}");
    }
}

#[test]
fn values_are_read_as_written() {
    let text = "12";
    let (_dir, path) = file(&[
        r#"{"conversation_id":"007","turn":1,"role":"user","content":"12","max_new_tokens":7,"seed":9007199254740993}"#
            .into(),
        r#"{"conversation_id":"1","turn":1,"role":"user","content":"null"}"#.into(),
    ]);
    let loaded = load(&path).unwrap();
    assert_eq!(loaded[0].id, "007");
    let message = |text: &str| Message { role: Role::User, name: None, parts: vec![Part::Text(text.to_owned())] };
    assert_eq!(loaded[0].requests[0].messages, [message(text)]);
    assert_eq!(loaded[0].parameters.get("max_new_tokens"), Some("7"));
    assert_eq!(loaded[0].parameters.get("seed"), Some("9007199254740993"));
    assert_eq!(loaded[1].requests[0].messages, [message("null")]);
}

#[test]
fn conversations_keep_the_order_of_the_file() {
    let rows = ["z", "a", "m"].map(|id| in_conversation(id, user(1)).to_string());
    let (_dir, path) = file(&rows);
    let loaded: Vec<_> = load(&path).unwrap().into_iter().map(|conversation| conversation.id).collect();
    assert_eq!(loaded, ["z", "a", "m"]);
}

#[test]
fn results_are_those_of_the_calls() {
    for (called, resulted, names) in [
        (&["a"][..], &["b", "a"][..], "tool_results[0] of \"b\", which was not called"),
        (&["a", "b"], &["a"], "no result of the call \"b\""),
        (&["a"], &["a", "a"], "tool_results[1] of \"a\" again"),
    ] {
        let rows = [user(1), calls(2, called), results(3, resulted)];
        assert_eq!(only(&rows), (3, "tool-call-id", format!("conversation \"c\", turn 3: {names}")));
    }
    let again = [user(1), calls(2, &["a"]), results(3, &["a"]), calls(4, &["a"]), results(5, &["a"])];
    assert_eq!(only(&again).0, 4);
    assert_eq!(only(&[user(1), calls(2, &["a", "a"])]).1, "tool-call-id");
    // Another conversation may use the id again.
    let other = [user(1), calls(2, &["a"]), in_conversation("d", user(1)), in_conversation("d", calls(2, &["a"]))];
    assert_eq!(broken(&other), []);
}

#[test]
fn every_finding_is_listed() {
    let mut integer = in_conversation("d", user(1));
    integer["conversation_id"] = json!(7);
    let lines = [
        user(1).to_string(),
        results(2, &["a"]).to_string(),
        "{\"conversation_id\":".to_owned(),
        in_conversation("e", row(2, "user", &json!({"content": "", "temperature": 3}))).to_string(),
        integer.to_string(),
        "{\"conversation_id\":\"f\"".to_owned(),
    ];
    let (_dir, path) = file(&lines);
    std::fs::write(&path, std::fs::read_to_string(&path).unwrap().trim_end()).unwrap();
    let report = report(&path);
    let found: Vec<_> = report.findings.iter().map(|finding| (finding.line, finding.rule)).collect();
    let expected = [(2, "role-order"), (3, "json"), (4, "range"), (4, "range"), (5, "type"), (6, "truncated")];
    assert_eq!(found, expected, "{:#?}", report.findings);
    assert_eq!((report.errors, report.rows, report.sessions), (6, 6, 2));
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("m.jsonl:2: role-order: found conversation \"c\", turn 2: tool after user"), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn a_file_without_rows_is_an_error() {
    for lines in [vec![], vec![String::new()], vec![json!({"_type": "dataset_metadata"}).to_string()]] {
        let (_dir, path) = file(&lines);
        let report = report(&path);
        assert_eq!(report.findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), ["empty"]);
        assert_eq!(load(&path).unwrap_err().to_string().matches("found no rows").count(), 1);
    }
}

#[test]
fn lines_about_the_file_are_skipped() {
    let about = json!({"_type": "dataset_metadata", "licence": "none", "turn": "x", "role": 7});
    let rows = [about.clone(), user(1), about.clone(), answer(2), about];
    assert_eq!(broken(&rows), []);
    // Any other `_type` is an ordinary member.
    let mut typed = user(1);
    typed["_type"] = json!("row");
    assert_eq!(broken(&[typed]), []);
}

#[test]
fn a_second_system_prompt_is_a_warning() {
    let with = |mut row: Value, system: &str| {
        row["system"] = json!(system);
        row
    };
    let rows = [with(user(1), ""), with(answer(2), "be kind"), with(user(3), "be kind"), with(answer(4), "be quick")];
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    let (_dir, path) = file(&lines);
    let report = report(&path);
    assert_eq!((report.ok, report.warnings, report.findings[0].line, report.findings[0].rule), (true, 1, 4, "system"));
    let system = Message { role: Role::System, name: None, parts: vec![Part::Text("be kind".to_owned())] };
    assert_eq!(load(&path).unwrap()[0].requests[0].messages[0], system);
}

#[test]
fn options_that_do_not_apply_are_refused() {
    let (dir, path) = file(&[user(1).to_string()]);
    let hashed = dir.path().join("h.jsonl");
    std::fs::write(&hashed, "{\"input_length\":1,\"output_length\":1,\"hash_ids\":[1],\"timestamp\":0}\n").unwrap();
    let refused = |paths: &[PathBuf], options: Options| {
        validate(paths, &options, &Cancel::default(), &mut |_, _| ()).unwrap_err().to_string()
    };
    let layout = Options { trace_layout: Some(Layout::Incremental), ..Options::default() };
    assert!(refused(std::slice::from_ref(&path), layout).contains("neither layout nor block size"));
    let block_size = Options { trace_block_size: Some(16), ..Options::default() };
    assert!(refused(std::slice::from_ref(&path), block_size).contains("neither layout nor block size"));
    assert!(refused(&[path, hashed], Options::default()).contains("h.jsonl: found another kind of trace"));
}

#[test]
fn files_are_one_set_compressed_or_not() {
    let dir = TempDir::new().unwrap();
    let (plain, zstd) = (dir.path().join("a.jsonl"), dir.path().join("b.jsonl.zst"));
    std::fs::write(&plain, format!("{}\n{}\n", user(1), answer(2))).unwrap();
    let mut out = zstd::Encoder::new(std::fs::File::create(&zstd).unwrap(), 1).unwrap();
    writeln!(out, "{}", user(3)).unwrap();
    writeln!(out, "{}", in_conversation("d", user(1))).unwrap();
    writeln!(out, "{}", answer(4)).unwrap();
    out.finish().unwrap();
    let report = validate(&[plain, zstd], &Options::default(), &Cancel::default(), &mut |_, _| ()).unwrap();
    assert_eq!((report.rows, report.sessions, report.errors), (5, 2, 1));
    assert!(
        report.findings[0].file_name().is_some_and(|name| name.ends_with("b.jsonl.zst"))
            && report.findings[0].line == 3
    );
    assert_eq!(report.findings[0].rule, "conversation-split");
}

#[test]
fn a_conversation_may_be_larger_than_a_block() {
    // Blocks are 4 MiB: these rows lie in several, and one row is larger than a block.
    let text = "x ".repeat(700_000);
    let mut lines = Vec::new();
    for turn in 1..=9 {
        let text = if turn == 5 { text.repeat(4) } else { text.clone() };
        lines.push(row(turn, if turn % 2 == 1 { "user" } else { "assistant" }, &json!({"content": text})).to_string());
    }
    lines.push(in_conversation("d", user(2)).to_string());
    let found = findings(&lines);
    assert_eq!(found.iter().map(|f| (f.line, f.rule)).collect::<Vec<_>>(), [(10, "turn-number")]);
    lines.pop();
    let (_dir, path) = file(&lines);
    let described = transcript::describe(flat::read(&path, &Cancel::default())).unwrap();
    let tokens = 350_000;
    assert_eq!((described.sessions, described.requests, described.output_tokens), (1, 5, 4 * tokens + 128));
    assert_eq!(described.max_context_tokens, 12 * tokens);
    assert_eq!(described.input_tokens, 8 * tokens);
    assert_eq!(described.context_tokens, (1 + 3 + 8 + 10 + 12) * tokens);
}

/// Valid conversations, one after the other.
fn conversations() -> Vec<Value> {
    let mut rows = Vec::new();
    for id in ["a", "b", "c"] {
        let all = [user(1), calls(2, &["x", "y"]), results(3, &["x", "y"]), answer(4), user(5), answer(6)];
        rows.extend(all.map(|row| in_conversation(id, row)));
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The reader refuses a damaged file exactly if the validator finds an error.
    #[test]
    fn the_validator_finds_what_the_reader_refuses(
        changes in prop::collection::vec((any::<Index>(), any::<Index>(), 0..5_u8, select(vec![
            Value::Null, json!(""), json!("x"), json!(0), json!(2), json!([]), json!({}), json!("user"), json!("tool"),
        ])), 0..3),
    ) {
        let mut rows = conversations();
        for (at, other, what, value) in changes {
            let (at, other) = (at.index(rows.len()), other.index(rows.len()));
            match what {
                0 => rows.swap(at, other),
                1 => drop(rows.remove(at)),
                2 => rows.insert(other, rows[at].clone()),
                _ => {
                    let names: Vec<String> = rows[at].as_object().unwrap().keys().cloned().collect();
                    rows[at][&names[other % names.len()]] = value;
                }
            }
        }
        let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
        let (_dir, path) = file(&lines);
        let report = report(&path);
        prop_assert_eq!(load(&path).is_err(), !report.ok, "{:#?}", report.findings);
    }
}
