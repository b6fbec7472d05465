//! Sessions of the Pi coding agent.

use agentgen_testing::files::shared;

use crate::samples::PI;
use crate::support::{all_lines, import, import_text};

#[test]
fn calls_have_the_times_of_their_requests() {
    let found = import_text("x.jsonl", PI);
    let expected = [
        "p1 continues p0",
        "1767225601001:2026-01-01T00:00:03.000Z Human0 12/5+4>9 -..1999 bash 1000",
        "1767225604010:2026-01-01T00:00:06.000Z Tool0 15/12+2>4 -..1990",
        "1767225610001:2026-01-01T00:00:12.000Z Human1 Rollback 7/0+0>1 -..1999",
    ];
    assert_eq!(all_lines(&found), expected);
    let calls = &found.sessions[0].calls;
    assert!(calls.iter().all(|call| call.sent_is_recorded));
    assert_eq!((calls[0].input_bytes, calls[0].output_bytes), (Some(5), Some(2 + r#"{"command":"ls"}"#.len() as u64)));
}

#[test]
fn compactions_rewrite_the_history_and_may_be_calls() {
    let end = PI.find("{\"type\":\"message\",\"id\":\"e5\"").unwrap();
    let rows = r#"{"type":"compaction","id":"c","parentId":"e4","timestamp":"2026-01-01T00:00:07.000Z","summary":"so far","tokensBefore":9,"usage":{"input":20,"output":6,"cacheRead":0,"cacheWrite":0}}
{"type":"message","id":"b","parentId":"c","timestamp":"2026-01-01T00:00:08.000Z","message":{"role":"bashExecution","command":"ls","output":"abc"}}
{"type":"message","id":"a","parentId":"b","timestamp":"2026-01-01T00:00:09.000Z","message":{"role":"assistant","timestamp":1767225608000,"content":[]}}
"#;
    let found = import_text("x.jsonl", &(PI[..end].to_owned() + rows));
    let expected = [
        "c:2026-01-01T00:00:07.000Z Compaction0 20/0+0>6 -..-",
        "1767225608000:2026-01-01T00:00:09.000Z -0 AutoCompaction -/-+->- -..1000",
    ];
    assert_eq!(all_lines(&found)[3..], expected);
    assert_eq!(found.sessions[0].calls[3].input_bytes, Some(9));
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_recorded_session_has_its_sums() {
    let found = import(&[shared("rollouts/pi/pi_v1_large-session.head.jsonl")]);
    let calls = &found.sessions[0].calls;
    assert_eq!(calls.len(), 22);
    let sum = |of: fn(&agentgen_formats::import::Usage) -> Option<u64>| -> u64 {
        calls.iter().filter_map(|call| of(&call.usage)).sum()
    };
    let (cached, written) = (sum(|u| u.cached_tokens), sum(|u| u.cache_written_tokens));
    assert_eq!((sum(|u| u.prompt_tokens) - cached - written, cached, written), (97, 521_852, 122_054));
    assert_eq!(sum(|u| u.output_tokens), 7346);
    let tools: Vec<_> = calls.iter().flat_map(|call| &call.tools).collect();
    assert_eq!(tools.iter().filter(|tool| tool.wall_ms.is_some()).count(), 24);
    // One request of the user was stopped before an answer.
    assert_eq!(calls.last().unwrap().human_turn_index, 4);
    assert_eq!(calls.iter().filter(|call| !call.usage.is_complete()).count(), 1);
    assert_eq!(found.problems, []);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn results_may_lack_the_id_of_their_call() {
    let found = import(&[shared("rollouts/pi/pi_v3_agentgrep_example.jsonl")]);
    let expected =
        ["019e0000-0000-7000-8000-000000000001", "1780228803000:2026-05-30T12:00:03.000Z Human0 -/-+->- -..-86400000"];
    assert_eq!(all_lines(&found), expected);
}
