//! Logs of Codex.

use agentgen_formats::import::Recording;
use agentgen_testing::files::shared;

use crate::samples::CODEX;
use crate::support::{Folder, all_lines, import, import_text};

fn sample(name: &str) -> Recording {
    import(&[shared(&format!("rollouts/codex/{name}.jsonl"))])
}

#[test]
fn a_token_count_ends_a_call() {
    let found = import_text("x.jsonl", CODEX);
    let expected = [
        "t1",
        "t1:0 Human0 100/60+->20 1500..2500 shell 2000(1500)",
        "t1:1 Tool0 130/100+->11 2000..2000",
        "t1:2 Human1 150/130+->2 1900..1900",
    ];
    assert_eq!(all_lines(&found), expected);
    let session = &found.sessions[0];
    assert_eq!(session.human_turn_ms, [Some(7200.0), Some(2150.0)]);
    assert_eq!((session.context_window, session.project.as_deref()), (Some(272_000), Some("/p")));
    assert_eq!(session.calls[0].usage.reasoning_tokens, Some(5));
    assert_eq!(found.left_out["repeated token counts"], 1);
}

#[test]
fn an_archived_copy_adds_nothing() {
    let folder = Folder::new(&[("a.jsonl", CODEX.as_bytes()), ("b.jsonl", CODEX.as_bytes())]);
    assert_eq!(all_lines(&import(&[folder.path("a.jsonl"), folder.path("b.jsonl")])).len(), 4);
}

/// Lines with times a second apart.
fn log(lines: &[(&str, &str)]) -> String {
    let line = |(index, (kind, payload)): (usize, &(&str, &str))| {
        let time = format!("2026-01-01T00:00:{index:02}Z");
        format!("{{\"timestamp\":\"{time}\",\"type\":\"{kind}\",\"payload\":{payload}}}\n")
    };
    lines.iter().enumerate().map(line).collect()
}

const META: (&str, &str) = ("session_meta", r#"{"id":"t"}"#);
const PROMPT: (&str, &str) = ("event_msg", r#"{"type":"user_message","message":"do it"}"#);
const TEXT: (&str, &str) = ("response_item", r#"{"type":"message","role":"assistant","content":"x"}"#);
const CALL: (&str, &str) =
    ("response_item", r#"{"type":"function_call","name":"shell","arguments":"{}","call_id":"c"}"#);
const RESULT: (&str, &str) = ("response_item", r#"{"type":"function_call_output","call_id":"c","output":"x"}"#);

fn count(input: u64, output: u64) -> String {
    format!(
        r#"{{"type":"token_count","info":{{"total_token_usage":{{"input_tokens":{input}}},"last_token_usage":{{"input_tokens":{input},"output_tokens":{output}}}}}}}"#
    )
}

#[test]
fn input_ends_calls_in_logs_without_token_counts() {
    let found = import_text("x.jsonl", &log(&[META, PROMPT, TEXT, CALL, RESULT, TEXT, PROMPT, TEXT]));
    let expected = [
        "t",
        "t:0 Human0 -/-+->- 1000..2000 shell 1000",
        "t:1 Tool0 -/-+->- 1000..1000",
        "t:2 Human1 -/-+->- 1000..1000",
    ];
    assert_eq!(all_lines(&found), expected);
}

#[test]
fn results_before_a_token_count_belong_to_the_next_call() {
    let (one, two) = (count(10, 1), count(20, 2));
    let lines = [META, PROMPT, CALL, RESULT, ("event_msg", &one), TEXT, ("event_msg", &two)];
    let expected = ["t", "t:0 Human0 10/-+->1 1000..1000 shell 1000", "t:1 Tool0 20/-+->2 2000..2000"];
    assert_eq!(all_lines(&import_text("x.jsonl", &log(&lines))), expected);
}

#[test]
fn an_interrupted_call_is_not_part_of_the_next() {
    let one = count(10, 1);
    let lines = [META, PROMPT, TEXT, ("event_msg", r#"{"type":"turn_aborted"}"#), PROMPT, TEXT, ("event_msg", &one)];
    let expected = ["t", "t:0 Human0 -/-+->- 1000..1000", "t:1 Human1 10/-+->1 1000..1000"];
    assert_eq!(all_lines(&import_text("x.jsonl", &log(&lines))), expected);
}

#[test]
fn compactions_and_rollbacks_are_rewrites() {
    let (one, two, three) = (count(10, 1), count(20, 2), count(5, 3));
    let (started, compacted) = (("event_msg", r#"{"type":"task_started"}"#), ("compacted", r#"{"message":"so far"}"#));
    let ended = ("event_msg", r#"{"type":"context_compacted"}"#);
    // The count without an item is that of the call that wrote the summary.
    let lines = [
        META,
        started,
        PROMPT,
        TEXT,
        ("event_msg", &one),
        started,
        ("event_msg", &two),
        compacted,
        ended,
        started,
        PROMPT,
        TEXT,
        ("event_msg", &three),
    ];
    let expected = [
        "t",
        "t:0 Human0 10/-+->1 1000..1000",
        "t:1 Compaction0 20/-+->2 -..-",
        "t:2 Human1 ManualCompaction 5/-+->3 1000..1000",
    ];
    assert_eq!(all_lines(&import_text("x.jsonl", &log(&lines))), expected);
    let lines = [META, started, PROMPT, CALL, ("event_msg", &one), RESULT, compacted, TEXT, ("event_msg", &three)];
    assert!(all_lines(&import_text("x.jsonl", &log(&lines)))[2].starts_with("t:1 Tool0 AutoCompaction 5/"));
    let back = ("event_msg", r#"{"type":"thread_rolled_back","num_turns":1}"#);
    let lines = [META, PROMPT, TEXT, ("event_msg", &one), back, PROMPT, TEXT, ("event_msg", &three)];
    assert!(all_lines(&import_text("x.jsonl", &log(&lines)))[2].starts_with("t:1 Human1 Rollback 5/"));
}

/// An id of version 7, which sorts by time.
fn id(number: u32) -> String {
    format!("01900000-0000-7000-8000-{number:012}")
}

#[test]
fn a_sub_agents_copy_of_its_parents_history_is_left_out() {
    let (parent, child) = (id(10), id(20));
    let source =
        format!(r#"{{"subagent":{{"thread_spawn":{{"parent_thread_id":"{parent}","agent_role":"explorer"}}}}}}"#);
    let meta = format!(r#"{{"id":"{child}","source":{source}}}"#);
    let old = format!(r#"{{"id":"{parent}"}}"#);
    let turn = |number: u32| format!(r#"{{"type":"task_started","turn_id":"{}"}}"#, id(number));
    let (old_turn, new_turn, one, two) = (turn(11), turn(21), count(10, 1), count(20, 2));
    let copied = [
        ("session_meta", meta.as_str()),
        ("session_meta", &old),
        ("event_msg", &old_turn),
        PROMPT,
        TEXT,
        ("event_msg", &one),
    ];
    let own = [("event_msg", new_turn.as_str()), PROMPT, TEXT, ("event_msg", &two)];
    let arguments =
        format!(r#"{{"type":"function_call","name":"wait","call_id":"w","arguments":"{{\"ids\":[\"{child}\"]}}"}}"#);
    let started = format!(r#"{{"type":"function_call_output","call_id":"s","output":"{{\"agent_id\":\"{child}\"}}"}}"#);
    let main = [
        ("session_meta", old.as_str()),
        PROMPT,
        ("response_item", r#"{"type":"function_call","name":"spawn_agent","call_id":"s","arguments":"{}"}"#),
        ("event_msg", &one),
        ("response_item", &started),
        ("response_item", &arguments),
        ("event_msg", &two),
        ("response_item", r#"{"type":"function_call_output","call_id":"w","output":"x"}"#),
        TEXT,
    ];
    let folder = Folder::new(&[
        ("child.jsonl", log(&[&copied[..], &own].concat()).as_bytes()),
        ("parent.jsonl", log(&main).as_bytes()),
    ]);
    let found = import(&[folder.path("child.jsonl"), folder.path("parent.jsonl")]);
    let lines = all_lines(&found);
    assert_eq!(lines[0], format!("{child} explorer of {parent} 0..2"));
    assert_eq!(lines[1], format!("{child}:0 -0 20/-+->2 1000..1000"));
    assert_eq!(found.left_out["calls of a copied history"], 1);

    // Early logs name no turns: the copies were all written at once.
    let early: String = copied
        .iter()
        .filter(|line| !line.1.contains("turn_id"))
        .chain(&[TEXT, ("event_msg", &two)])
        .map(|line| log(&[*line]))
        .collect();
    let late = log(&[META, META, PROMPT, TEXT, ("event_msg", &count(30, 3))]);
    let late: String = late.lines().skip(2).flat_map(|line| [line, "\n"]).collect();
    let lines = all_lines(&import_text("x.jsonl", &(early + &late)));
    assert_eq!(lines[1..], [format!("{child}:0 -0 30/-+->3 1000..1000")]);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn samples() {
    let expected = ["cx-1", "cx-1:0 Human0 500/100+->40 1000..2000 shell 2000", "cx-1:1 Tool0 -/-+->- 1000..1000"];
    assert_eq!(all_lines(&sample("rollout-atifmake")), expected);
    let expected = [
        "rollout-ccusage_session-alpha",
        "rollout-ccusage_session-alpha:0 -0 1000/250+->125 -..-",
        "rollout-ccusage_session-alpha:1 -0 2500/500+->300 -..-",
    ];
    assert_eq!(all_lines(&sample("rollout-ccusage_session-alpha")), expected);
    let expected =
        ["00000000-0000-0000-0000-000000000100", "00000000-0000-0000-0000-000000000100:0 Human0 -/-+->- 2000..2000"];
    assert_eq!(all_lines(&sample("rollout-2026-05-17T12-00-00-example")), expected);
    let expected = ["fc-1", "fc-1:0 Human0 -/-+->- 4000..299000 shell_command - apply_patch -"];
    assert_eq!(all_lines(&sample("rollout-agentsview_function_calls")), expected);
    let expected = ["abc-123", "abc-123:0 Human0 -/-+->- 4000..4000"];
    assert_eq!(all_lines(&sample("rollout-agentsview_standard_session")), expected);
}
