//! Logs of Claude Code.

use agentgen_formats::import::{Recording, Trigger};
use agentgen_testing::files::shared;
use serde_json::Value;

use crate::support::{all_lines, import, import_text, lines};

fn sample(name: &str) -> Recording {
    import(&[shared(&format!("rollouts/claude/{name}"))])
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_recorded_session_has_the_calls_of_the_reference() {
    let found = sample("tracelab_claude_session.jsonl");
    let reference = std::fs::read_to_string(shared("rollouts/tracelab_reference_rounds.jsonl")).unwrap();
    let [session] = &found.sessions[..] else { panic!("{} sessions", found.sessions.len()) };
    let rounds: Vec<Value> = reference.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((session.calls.len(), rounds.len()), (10, 10));
    for (call, round) in session.calls.iter().zip(&rounds) {
        let usage = call.usage;
        assert_eq!(call.model.as_deref(), round["model"].as_str());
        assert_eq!(usage.prompt_tokens, round["input_tokens_total"].as_u64());
        assert_eq!(usage.cached_tokens, round["prefix_tokens"].as_u64());
        assert_eq!(usage.cache_written_tokens, round["claude_cache_creation_input_tokens"].as_u64());
        assert_eq!(usage.output_tokens, round["output_tokens"].as_u64());
        let tools = round["tools"].as_array().unwrap();
        assert_eq!(call.tools.len(), tools.len());
        for (tool, expected) in call.tools.iter().zip(tools) {
            assert_eq!(Some(tool.name.as_str()), expected["tool_name"].as_str());
            assert_eq!(tool.wall_ms, expected["tool_wall_latency_ms"].as_f64());
            assert_eq!(tool.internal_ms.map(f64::round), expected["tool_internal_latency_ms"].as_f64());
            assert_eq!(tool.is_error.unwrap_or(false), expected["is_error"].as_bool().unwrap());
        }
    }
    let by_user: Vec<_> = (0..10).filter(|i| session.calls[*i].trigger == Some(Trigger::Human)).collect();
    assert_eq!(by_user, [0, 5]);
    assert!(session.calls.iter().all(|c| c.human_turn_index == u32::from(c.sent_ms >= session.calls[5].sent_ms)));
    assert_eq!(session.human_turn_ms, [Some(102_071.0), Some(58_675.0)]);
    let web = [&session.calls[0].tools[1], &session.calls[6].tools[0]];
    let times: Vec<_> = web.iter().map(|t| (t.name.as_str(), t.wall_ms, t.internal_ms.map(f64::floor))).collect();
    assert_eq!(times, [("WebSearch", Some(19_291.0), Some(19_287.0)), ("WebFetch", Some(2521.0), Some(2517.0))]);
    assert_eq!(found.problems, []);
}

/// The calls of a sample, and the numbers of the lines that could not be used.
fn calls(name: &str) -> (Vec<String>, Vec<Option<u64>>) {
    let found = sample(name);
    (all_lines(&found), found.problems.iter().map(|p| p.line).collect())
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn a_call_is_one_whatever_the_rows_are_like() {
    // A result between the rows of a call, and before the row of its tool call.
    let expected = ["00000000-0000-4000-8000-000000000002", "msg_fx_b Human0 100/0+0>20 1000..3000 Bash -"];
    assert_eq!(calls("agentpile_early_result.jsonl").0, expected);
    // Repeated rows, and two calls that name a tool call the same.
    let expected = [
        "00000000-0000-4000-8000-000000000008",
        "msg_fx_h1 Human0 100/0+0>20 1000..1000 Bash 1000",
        "msg_fx_h2 Tool0 100/0+0>20 1000..1000 Bash -",
    ];
    assert_eq!(calls("agentpile_duplicates.jsonl").0, expected);
    let expected = ["00000000-0000-4000-8000-000000000005", "msg_fx_e Human0 100/0+0>20 2000..2000"];
    assert_eq!(calls("agentpile_api_error.jsonl").0, expected);
    let expected = ["00000000-0000-4000-8000-000000000003", "msg_fx_c Human0 100/0+0>20 1000..1000"];
    assert_eq!(calls("agentpile_edit_branch.jsonl").0, expected);
    let expected = ["00000000-0000-4000-8000-000000000007", "msg_fx_g Human0 100/0+0>20 1000..1000"];
    assert_eq!(calls("agentpile_unknown.jsonl").0, expected);
    let expected = ["00000000-0000-4000-8000-000000000009", "msg_fx_i Human0 100/0+0>20 1000..1000 Bash -"];
    assert_eq!(calls("agentpile_unpaired.jsonl").0, expected);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn rows_that_are_no_rows_cost_themselves() {
    let (lines, problems) = calls("ccl_edge_cases.jsonl");
    let expected = [
        "todowrite_session",
        "msg_004 -0 168/-+->85 -..- TodoWrite -",
        "edge_cases",
        "edge_002 Human0 35/0+0>145 30000..30000",
        "edge_004 Human1 200/0+0>25 30000..30000 FailingTool! 1000",
        "edge_009 Tool1 85/0+0>180 50000..50000 MultiEdit -",
    ];
    assert_eq!(lines, expected);
    assert_eq!(problems, [Some(11), Some(13), Some(15), Some(16)]);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn early_logs_without_types_or_usage() {
    let expected = [
        "session-alpha",
        "msg-alpha-1 -0 135/10+25>50 -..-",
        "msg-alpha-2 -0 270/20+50>75 -..-",
        "msg-alpha-3 -0 340/40+0>125 -..-",
    ];
    assert_eq!(calls("ccusage_chat.jsonl").0, expected);
    let expected = [
        "test-session-id",
        "msg-002 Human0 -/-+->- 5000..5000 Write 5000",
        "msg-004 Tool0 -/-+->- 5000..5000 Bash 5000",
        "msg-007 Tool1 -/-+->- 5000..5000",
    ];
    assert_eq!(calls("simonw_sample_session.jsonl").0, expected);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn single_rows_of_other_sessions() {
    let session = "7864f562-717b-4d70-a1cb-b588f7826a1a";
    let expected = [
        format!("{session}/b1f5d80e - of {session} -..-"),
        "msg_018gYNPTHWry5dDGwS3tQ6BV -0 1377/0+1374>87 -..-".into(),
    ];
    assert_eq!(calls("ccl_assistant_sidechain.jsonl").0, expected);
    let found = sample("ccl_Task-tool_result.jsonl");
    assert_eq!((found.sessions.len(), found.left_out["sessions without a model call"]), (0, 1));
    assert_eq!(calls("ccl_representative_messages.jsonl").0.len(), 6);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn files_of_sub_agents() {
    let found = |names: &[&str]| {
        let files: Vec<_> = names.iter().map(|n| shared(&format!("rollouts/claude/{n}"))).collect();
        all_lines(&import(&files)).join("\n")
    };
    let main = "11111111-2222-3333-4444-555555555555";
    let expected = format!(
        "\
{main}
m1 Human0 105/5+->20 1000..1000 Task 29000
m2 Tool0 105/5+->20 1000..1000
{main}/abc123 Explore of {main} 0..1
sm1 -0 105/5+->20 1000..1000 Bash 17000
sm1b -0 105/5+->20 -..- Task 14000
sm2 Tool0 105/5+->20 1000..1000
{main}/def456 Explore of {main}/abc123 1..2
nm1 -0 105/5+->20 1000..1000 Grep 10000
nm2 Tool0 105/5+->20 1000..1000"
    );
    let folder = "atifmake_transcript/subagents";
    let (nested, agent) = (format!("{folder}/agent-def456.jsonl"), format!("{folder}/agent-abc123.jsonl"));
    assert_eq!(found(&["atifmake_transcript.jsonl", &agent, &nested]), expected);

    let main = "00000000-0000-4000-8000-000000000099";
    let expected = format!(
        "\
{main}
msg_fx_k Human0 100/0+0>20 1000..7000 Agent 1000 Agent 1000 Workflow 1000 Agent 1000
{main}/afx0000000000002 - of {main} -..-
msg_fx_sub2 -0 100/0+0>20 100..100
{main}/afx0000000000003 - of {main} 0..-
msg_fx_sub3 -0 50/0+0>35 100..200 Agent 100
{main}/afx0000000000004 - of {main}/afx0000000000003 0..-
msg_fx_sub4 -0 100/0+0>20 10..10
{main}/wf_fx_w/afx0000000000005 - of {main} 0..-
msg_fx_w1 -0 100/0+0>20 100..100"
    );
    let agent = |name: &str| format!("agentpile_subagents/subagents/{name}.jsonl");
    let names = [
        "agentpile_subagents.jsonl".to_owned(),
        agent("agent-afx0000000000002"),
        agent("agent-afx0000000000003"),
        agent("agent-afx0000000000004"),
        agent("workflows/wf_fx_w/agent-afx0000000000005"),
    ];
    assert_eq!(found(&names.each_ref().map(String::as_str)), expected);
}

/// Rows of a log, from short forms: fields that all rows have are added.
fn log(rows: &[&str]) -> String {
    let row = |(index, row): (usize, &&str)| {
        let time = format!("2026-01-01T00:00:{index:02}.000Z");
        let rest = row.strip_prefix('{').unwrap();
        format!("{{\"uuid\":\"u{index}\",\"sessionId\":\"s\",\"timestamp\":\"{time}\",{rest}\n")
    };
    rows.iter().enumerate().map(row).collect()
}

fn found(rows: &[&str]) -> Vec<String> {
    lines(&import_text("s.jsonl", &log(rows)).sessions[0])
}

const HUMAN: &str = r#"{"type":"user","message":{"content":"do it"}}"#;
const ANSWER: &str = r#"{"type":"assistant","message":{"id":"a","content":[{"type":"text","text":"x"}]}}"#;
const SECOND: &str = r#"{"type":"assistant","message":{"id":"b","content":[{"type":"text","text":"x"}]}}"#;

/// The trigger, the user's request and the rewrite of a second call that follows these rows.
fn second(rows: &[&str]) -> String {
    let rows = [&[HUMAN, ANSWER], rows, &[SECOND]].concat();
    found(&rows)[2].split_once(" -/").unwrap().0.strip_prefix("b ").unwrap().to_owned()
}

fn user(text: &str) -> String {
    format!(r#"{{"type":"user","message":{{"content":"{text}"}}}}"#)
}

#[test]
fn a_human_turn_is_what_the_user_wrote() {
    assert_eq!(second(&[HUMAN]), "Human1");
    assert_eq!(second(&[r#"{"type":"user","message":{"content":[{"type":"image","source":{}}]}}"#]), "Human1");
    for text in [
        "<local-command-stdout>x</local-command-stdout>",
        "<bash-input>ls</bash-input>",
        "<bash-stdout>x</bash-stdout>",
        "  <system-reminder>a</system-reminder> <system-reminder>b</system-reminder>\\n",
        "[Request interrupted by user for tool use]",
    ] {
        assert_eq!(second(&[&user(text)]), "-0", "{text}");
    }
    assert_eq!(second(&[&user("<system-reminder>a</system-reminder> and this")]), "Human1");
    assert_eq!(second(&[r#"{"type":"user","isMeta":true,"message":{"content":"x"}}"#]), "-0");
    assert_eq!(second(&[r#"{"type":"user","isVisibleInTranscriptOnly":true,"message":{"content":"x"}}"#]), "-0");
    assert_eq!(second(&[&user("<task-notification>x</task-notification>")]), "Notification0");
    let queued = r#"{"type":"attachment","attachment":{"type":"queued_command","prompt":"x"}}"#;
    assert_eq!(second(&[queued]), "Human1");
    let ended = r#"{"type":"attachment","attachment":{"type":"queued_command","commandMode":"task-notification"}}"#;
    assert_eq!(second(&[ended]), "Notification0");
}

#[test]
fn a_command_is_a_request_only_if_a_call_answers_it() {
    let command = user("<command-name>/review</command-name>");
    assert_eq!(second(&[&command]), "Human1");
    assert_eq!(second(&[&command, HUMAN]), "Human1");
    assert_eq!(
        second(&[&user("<command-message>x</command-message><command-name>/clear</command-name>"), HUMAN]),
        "Human1 Clear"
    );
}

#[test]
fn an_interruption_leaves_the_next_request_to_the_user() {
    let rows = [
        HUMAN,
        r#"{"type":"assistant","message":{"id":"a","content":[{"type":"tool_use","id":"t","name":"Bash","input":{}}]}}"#,
        r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t","is_error":true}]}}"#,
        r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user]"}]}}"#,
        HUMAN,
        SECOND,
    ];
    assert_eq!(found(&rows), ["s", "a Human0 -/-+->- 1000..1000 Bash! 1000", "b Human1 -/-+->- 1000..1000"]);
}

#[test]
fn compactions_are_rewrites() {
    let boundary = |trigger: &str| {
        format!(r#"{{"type":"system","subtype":"compact_boundary","compactMetadata":{{"trigger":"{trigger}"}}}}"#)
    };
    let summary = r#"{"type":"user","isCompactSummary":true,"message":{"content":"so far"}}"#;
    assert_eq!(second(&[&boundary("auto"), summary]), "Compaction0 AutoCompaction");
    assert_eq!(second(&[&boundary("manual"), summary, HUMAN]), "Human1 ManualCompaction");
    // Early versions have no boundary.
    assert_eq!(second(&[summary]), "Compaction0 AutoCompaction");
    let command = user("<command-name>/compact</command-name>");
    assert_eq!(second(&[&command, summary, HUMAN]), "Human1 ManualCompaction");
    // A title is no compaction.
    assert_eq!(second(&[r#"{"type":"summary","summary":"x","leafUuid":"u1"}"#, HUMAN]), "Human1");
}

#[test]
fn a_text_that_follows_an_earlier_call_is_a_rollback() {
    let follow = |parent: &str| format!(r#"{{"type":"user","parentUuid":"{parent}","message":{{"content":"x"}}}}"#);
    let link = |row: &str, parent: &str| format!("{{\"parentUuid\":\"{parent}\",{}", row.strip_prefix('{').unwrap());
    let third = |parent: &str| {
        let rows = [
            HUMAN,
            &link(ANSWER, "u0"),
            &follow("u1"),
            &link(SECOND, "u2"),
            &follow(parent),
            &ANSWER.replace("\"a\"", "\"c\""),
        ];
        found(&rows)[3].split_once(" -/").unwrap().0.to_owned()
    };
    assert_eq!(third("u3"), "c Human2");
    assert_eq!(third("u2"), "c Human2 Rollback");
    assert_eq!(third("u1"), "c Human2 Rollback");
    assert_eq!(third("unknown"), "c Human2");
}

#[test]
fn the_largest_snapshot_of_usage_counts() {
    let part = |uuid: &str, output: u64, text: &str| {
        format!(
            "{{\"type\":\"assistant\",\"uuid\":\"{uuid}\",\"sessionId\":\"s\",\"message\":{{\"id\":\"a\",\"model\":\"m\",\
             \"content\":[{{\"type\":\"text\",\"text\":\"{text}\"}}],\
             \"usage\":{{\"input_tokens\":1,\"cache_read_input_tokens\":2,\"output_tokens\":{output}}}}}}}\n"
        )
    };
    let text = [part("1", 1, r"\u00e9\n"), part("2", 50, "xy"), part("3", 7, "z"), part("1", 60, "again")].concat();
    let found = import_text("s.jsonl", &text);
    assert_eq!(lines(&found.sessions[0]), ["s", "a -0 3/2+->60 -..-"]);
    assert_eq!(found.sessions[0].calls[0].output_bytes, Some(6));
    assert_eq!(found.left_out["repeated rows"], 1);
}

#[test]
fn a_prompt_of_zero_tokens_was_not_counted() {
    let answer = r#"{"type":"assistant","message":{"id":"a","usage":{"input_tokens":0,"output_tokens":0}}}"#;
    assert_eq!(found(&[HUMAN, answer]), ["s", "a Human0 -/-+->- 1000..1000"]);
}

#[test]
fn answers_of_the_client_are_no_calls() {
    let rows = [
        HUMAN,
        r#"{"type":"assistant","message":{"id":"x","model":"<synthetic>","usage":{"input_tokens":0,"output_tokens":0}}}"#,
        r#"{"type":"assistant","isApiErrorMessage":true,"message":{"id":"y"}}"#,
        ANSWER,
    ];
    let recording = import_text("s.jsonl", &log(&rows));
    assert_eq!(lines(&recording.sessions[0]), ["s", "a Human0 -/-+->- 3000..3000"]);
    assert_eq!(recording.left_out["messages of the client itself"], 2);
}

#[test]
fn a_persons_answer_is_marked() {
    let rows = [
        HUMAN,
        r#"{"type":"assistant","message":{"id":"a","content":[{"type":"tool_use","id":"t","name":"AskUserQuestion"}]}}"#,
        r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t"}]},"toolUseResult":"text"}"#,
        SECOND,
    ];
    assert_eq!(found(&rows)[1..], ["a Human0 -/-+->- 1000..1000 AskUserQuestion? 1000", "b Tool0 -/-+->- 1000..1000"]);
}

#[test]
fn side_chains_in_the_file_are_sub_agents() {
    let side = |row: &str, parent: &str| {
        format!("{{\"isSidechain\":true,\"parentUuid\":{parent},{}", row.strip_prefix('{').unwrap())
    };
    let named = format!("{{\"isSidechain\":true,\"agentId\":\"n\",{}", SECOND.strip_prefix('{').unwrap());
    let rows = [
        HUMAN,
        ANSWER,
        &side(HUMAN, "null"),
        &side(SECOND, "\"u2\""),
        &named.replace("\"b\"", "\"c\""),
        &side(&SECOND.replace("\"b\"", "\"d\""), "\"u3\""),
    ];
    let recording = import_text("s.jsonl", &log(&rows));
    let expected = [
        "s",
        "a Human0 -/-+->- 1000..1000",
        "s/sidechain-2 - of s -..-",
        "b -0 -/-+->- 1000..1000",
        "d -0 -/-+->- -..-",
        "s/n - of s -..-",
        "c -0 -/-+->- -..-",
    ];
    assert_eq!(all_lines(&recording), expected);
}

#[test]
fn a_session_that_begins_with_rows_of_another_continues_it() {
    let row = |uuid: &str, parent: &str, session: &str, id: &str| {
        format!(
            "{{\"type\":\"assistant\",\"uuid\":\"{uuid}\",\"parentUuid\":\"{parent}\",\"sessionId\":\"{session}\",\
             \"message\":{{\"id\":\"{id}\"}}}}\n"
        )
    };
    let text = row("1", "", "old", "a") + &row("2", "1", "new", "b") + &row("3", "2", "new", "c");
    let expected = ["old", "a -0 -/-+->- -..-", "new continues old", "b -0 -/-+->- -..-", "c -0 -/-+->- -..-"];
    assert_eq!(all_lines(&import_text("f.jsonl", &text)), expected);
    // The copies of a resumed session are in two files.
    let folder = crate::support::Folder::new(&[
        ("old.jsonl", row("1", "", "old", "a").as_bytes()),
        ("new.jsonl", text.replace("\"old\"", "\"new\"").as_bytes()),
    ]);
    let found = all_lines(&import(&[folder.path("new.jsonl"), folder.path("old.jsonl")]));
    assert_eq!(found, ["new", "a -0 -/-+->- -..-", "b -0 -/-+->- -..-", "c -0 -/-+->- -..-"]);
}
