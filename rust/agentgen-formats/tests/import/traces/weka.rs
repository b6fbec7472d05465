use super::{import, left_out, problems, told};

/// Two main calls, of which the first is not timed, around a sub-agent of 30 s that has ended and one in the background.
pub const TRACE: &str = r#"{"id": "trace_7", "models": ["m"], "block_size": 64, "hash_id_scope": "local", "tool_tokens": 100,
 "system_tokens": 50, "requests": [
 {"t": 0.0, "type": "s", "model": "m", "in": 200, "out": 15, "hash_ids": [1, 2, 3], "input_types": ["text"],
  "output_types": [], "stop": ""},
 {"t": 42.5, "type": "subagent", "agent_id": "agent_001", "subagent_type": "Explore", "duration_ms": 30000,
  "status": "completed", "models": ["h"], "requests": [
  {"t": 0.0, "type": "n", "model": "h", "in": 64, "out": 5, "hash_ids": [9], "input_types": ["text"], "api_time": 2.0},
  {"t": 5.5, "type": "n", "model": "h", "in": 130, "out": 5, "hash_ids": [9, 8], "input_types": ["tool_result"],
   "api_time": 2.0}]},
 {"t": 44.0, "type": "subagent", "agent_id": "agent_002", "status": "async_launched", "requests": [
  {"t": 0.0, "type": "n", "model": "h", "in": 64, "out": 5, "hash_ids": [9], "input_types": ["text"]}]},
 {"t": 45.0, "type": "subagent", "agent_id": "agent_003", "status": "completed", "requests": []},
 {"t": 50.0, "type": "n", "model": "m", "in": 256, "out": 20, "hash_ids": [1, 2, 3, 4], "input_types": ["tool_result"],
  "api_time": 3.5, "ttft": 1.25, "think_time": 7.0},
 {"t": 90.0, "type": "n", "model": "m", "in": 300, "out": 20, "hash_ids": [1, 2, 3, 4], "input_types": ["text"],
  "api_time": 3.5}],
 "totals": {}}"#;

#[test]
fn a_sub_agent_begins_its_duration_before_its_mark() {
    let (format, recording) = import(TRACE);
    assert_eq!(format, "weka");
    assert_eq!(
        told(&recording),
        "\
trace_7
  m human 0 200+15 sent 0 trace_7*64 [1, 2, 3]
  m tool 0 256+20 sent 50000 first 51250 end 53500 trace_7*64 [1, 2, 3, 4]
  m human 1 300+20 sent 90000 end 93500 trace_7*64 [1, 2, 3, 4]
trace_7/agent_001 Explore of trace_7 after 0 until 1
  h - 0 64+5 sent 12500 end 14500 trace_7*64 [9]
  h tool 0 130+5 sent 18000 end 20000 trace_7*64 [9, 8]
trace_7/agent_002 ? of trace_7 after 0 until -
  h - 0 64+5 sent 44000 trace_7*64 [9]
"
    );
    assert_eq!(problems(&recording), []);
    assert_eq!(left_out(&recording), [("agents without a request", 1)]);
}

#[test]
fn traces_may_be_lines_of_one_file_and_share_global_ids() {
    let local = r#"{"id": 1, "block_size": 4, "requests": [{"t": 1, "in": 8, "out": 1, "hash_ids": [1, 2]}]}"#;
    let global = local.replace(r#""id": 1"#, r#""hash_id_scope": "global", "id": 2"#);
    let (_, recording) = import(&format!("{local}\n{{\"id\": 3, \"block_size\": 0, \"requests\": []}}\n{global}\n"));
    assert_eq!(told(&recording), "1\n  - - 0 8+1 sent 1000 1*4 [1, 2]\n2\n  - - 0 8+1 sent 1000 weka*4 [1, 2]\n");
    assert_eq!(problems(&recording), [(Some(2), "block_size 0, expected at least 1")]);
}

#[test]
fn nested_times_on_the_clock_of_the_conversation_stay() {
    let absolute = TRACE.replace(r#"{"t": 0.0, "type": "n", "model": "h", "in": 64, "out": 5, "hash_ids": [9], "input_types": ["text"], "api_time": 2.0}"#,
        r#"{"t": 12.5, "in": 64, "out": 5, "hash_ids": [9], "api_time": 2.0}"#).replace(r#"{"t": 5.5,"#, r#"{"t": 18.0,"#);
    let (_, recording) = import(&absolute);
    let sent: Vec<_> = recording.sessions[1].calls.iter().map(|call| call.sent_ms.unwrap()).collect();
    assert_eq!(sent, [12_500.0, 18_000.0]);
}

#[test]
fn a_request_that_does_not_fit_its_blocks_is_named() {
    let text = r#"{"id": "a", "block_size": 64, "requests": [{"t": 0, "in": 640, "out": 1, "hash_ids": [1]},
        {"t": 1, "out": 1}, {"t": 2, "in": 63, "out": 2, "hash_ids": []}]}"#;
    let (_, recording) = import(text);
    assert_eq!(told(&recording), "a\n  - - 0 63+2 sent 2000 a*64 []\n");
    assert_eq!(
        problems(&recording),
        [(None, "a request: 1 hash_ids for 640 tokens in blocks of 64"), (None, "a request: without `in`")]
    );
}
