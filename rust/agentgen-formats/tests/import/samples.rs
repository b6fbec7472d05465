//! A small log of every format, made by hand: at least two calls each.

/// Name, format and text of the samples.
pub const SAMPLES: &[(&str, &str, &str)] =
    &[("claude.jsonl", "claude-code", CLAUDE), ("codex.jsonl", "codex", CODEX), ("pi.jsonl", "pi", PI)];

/// Two calls of a main agent, the first in two rows, with a sub-agent between.
const CLAUDE: &str = r#"{"type":"mode","mode":"default","sessionId":"s"}
{"type":"user","uuid":"1","parentUuid":null,"sessionId":"s","cwd":"/p","version":"2.1.1","timestamp":"2026-01-01T00:00:00.000Z","message":{"role":"user","content":"do it"}}
{"type":"assistant","uuid":"2","parentUuid":"1","sessionId":"s","timestamp":"2026-01-01T00:00:01.000Z","message":{"id":"a","role":"assistant","model":"m","content":[{"type":"thinking","thinking":"hm"}],"usage":{"input_tokens":3,"cache_creation_input_tokens":4,"cache_read_input_tokens":5,"output_tokens":1}}}
{"type":"assistant","uuid":"3","parentUuid":"2","sessionId":"s","timestamp":"2026-01-01T00:00:02.000Z","message":{"id":"a","role":"assistant","model":"m","stop_reason":"tool_use","content":[{"type":"tool_use","id":"t","name":"Task","input":{"subagent_type":"Explore"}}],"usage":{"input_tokens":3,"cache_creation_input_tokens":4,"cache_read_input_tokens":5,"output_tokens":9}}}
{"type":"assistant","uuid":"4","parentUuid":"3","isSidechain":true,"agentId":"x","sessionId":"s","timestamp":"2026-01-01T00:00:03.000Z","message":{"id":"c","role":"assistant","model":"m","content":"done","usage":{"input_tokens":1,"output_tokens":2}}}
{"type":"user","uuid":"5","parentUuid":"3","sessionId":"s","timestamp":"2026-01-01T00:00:04.000Z","message":{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"done"}]}]},"toolUseResult":{"agentId":"x","totalDurationMs":1500,"status":"completed"}}
{"type":"assistant","uuid":"6","parentUuid":"5","sessionId":"s","timestamp":"2026-01-01T00:00:05.000Z","message":{"id":"b","role":"assistant","model":"m","stop_reason":"end_turn","content":[{"type":"text","text":"é\n\"done\""}],"usage":{"input_tokens":1,"cache_creation_input_tokens":2,"cache_read_input_tokens":9,"output_tokens":4}}}
{"type":"system","subtype":"turn_duration","uuid":"7","parentUuid":"6","sessionId":"s","timestamp":"2026-01-01T00:00:05.100Z","durationMs":5100}
"#;

/// Two requests of the user with three calls; the count of the first call is repeated.
pub const CODEX: &str = r#"{"timestamp":"2026-01-01T00:00:00.000Z","type":"session_meta","payload":{"id":"t1","cwd":"/p","cli_version":"0.50.0","source":"cli","git":{"branch":"main"}}}
{"timestamp":"2026-01-01T00:00:00.100Z","type":"event_msg","payload":{"type":"task_started","model_context_window":272000}}
{"timestamp":"2026-01-01T00:00:00.200Z","type":"turn_context","payload":{"model":"m","cwd":"/p"}}
{"timestamp":"2026-01-01T00:00:00.300Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"<environment_context>x</environment_context>"}]}}
{"timestamp":"2026-01-01T00:00:00.400Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"do it"}]}}
{"timestamp":"2026-01-01T00:00:00.500Z","type":"event_msg","payload":{"type":"user_message","message":"do it"}}
{"timestamp":"2026-01-01T00:00:02.000Z","type":"response_item","payload":{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"xyz"}}
{"timestamp":"2026-01-01T00:00:03.000Z","type":"response_item","payload":{"type":"function_call","name":"shell","arguments":"{\"command\":[\"ls\"]}","call_id":"c1"}}
{"timestamp":"2026-01-01T00:00:03.100Z","type":"event_msg","payload":{"type":"token_count","info":null}}
{"timestamp":"2026-01-01T00:00:03.200Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":100,"cached_input_tokens":60,"output_tokens":20,"reasoning_output_tokens":5},"last_token_usage":{"input_tokens":100,"cached_input_tokens":60,"output_tokens":20,"reasoning_output_tokens":5},"model_context_window":272000}}}
{"timestamp":"2026-01-01T00:00:03.210Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":100,"cached_input_tokens":60,"output_tokens":20,"reasoning_output_tokens":5},"last_token_usage":{"input_tokens":100,"cached_input_tokens":60,"output_tokens":20,"reasoning_output_tokens":5},"model_context_window":272000}}}
{"timestamp":"2026-01-01T00:00:05.000Z","type":"response_item","payload":{"type":"function_call_output","call_id":"c1","output":"Exit code: 0\nWall time: 1.5 seconds\nOutput:\na\n"}}
{"timestamp":"2026-01-01T00:00:07.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"done"}]}}
{"timestamp":"2026-01-01T00:00:07.200Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":230,"cached_input_tokens":160,"output_tokens":31,"reasoning_output_tokens":5},"model_context_window":272000}}}
{"timestamp":"2026-01-01T00:00:07.300Z","type":"event_msg","payload":{"type":"task_complete","last_agent_message":"done"}}
{"timestamp":"2026-01-01T00:01:00.000Z","type":"event_msg","payload":{"type":"task_started"}}
{"timestamp":"2026-01-01T00:01:00.100Z","type":"event_msg","payload":{"type":"user_message","message":"more"}}
{"timestamp":"2026-01-01T00:01:02.000Z","type":"response_item","payload":{"type":"message","role":"assistant","content":[{"type":"output_text","text":"ok"}]}}
{"timestamp":"2026-01-01T00:01:02.100Z","type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{"input_tokens":380,"cached_input_tokens":290,"output_tokens":33,"reasoning_output_tokens":5},"last_token_usage":{"input_tokens":150,"cached_input_tokens":130,"output_tokens":2,"reasoning_output_tokens":0}}}}
{"timestamp":"2026-01-01T00:01:02.200Z","type":"event_msg","payload":{"type":"task_complete","duration_ms":2150}}
"#;

/// Two calls on the branch that stays, and one on a branch that the user left.
pub const PI: &str = r#"{"type":"session","version":3,"id":"p1","timestamp":"2026-01-01T00:00:00.000Z","cwd":"/p","parentSession":"/x/2025-12-31T00-00-00_p0.jsonl"}
{"type":"message","id":"e1","parentId":null,"timestamp":"2026-01-01T00:00:01.000Z","message":{"role":"user","content":"do it","timestamp":1767225601000}}
{"type":"message","id":"e2","parentId":"e1","timestamp":"2026-01-01T00:00:03.000Z","message":{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"toolCall","id":"t","name":"bash","arguments":{"command":"ls"}}],"model":"m","usage":{"input":3,"output":9,"cacheRead":5,"cacheWrite":4},"stopReason":"toolUse","timestamp":1767225601001}}
{"type":"message","id":"e3","parentId":"e2","timestamp":"2026-01-01T00:00:04.010Z","message":{"role":"toolResult","toolCallId":"t","toolName":"bash","content":[{"type":"text","text":"a"}],"isError":false,"timestamp":1767225604000}}
{"type":"message","id":"e4","parentId":"e3","timestamp":"2026-01-01T00:00:06.000Z","message":{"role":"assistant","content":[{"type":"text","text":"done"}],"model":"m","usage":{"input":1,"output":4,"cacheRead":12,"cacheWrite":2},"stopReason":"stop","timestamp":1767225604010}}
{"type":"message","id":"e5","parentId":"e1","timestamp":"2026-01-01T00:00:10.000Z","message":{"role":"user","content":[{"type":"text","text":"other"}],"timestamp":1767225610000}}
{"type":"message","id":"e6","parentId":"e5","timestamp":"2026-01-01T00:00:12.000Z","message":{"role":"assistant","content":"ok","model":"m","usage":{"input":7,"output":1,"cacheRead":0,"cacheWrite":0},"stopReason":"stop","timestamp":1767225610001}}
"#;

/// Two calls, a step without a call, a copied step, and an embedded sub-agent.
pub const ATIF: &str = r#"{
  "schema_version": "ATIF-v1.7", "session_id": "s", "trajectory_id": "t",
  "agent": {"name": "a", "version": "1", "model_name": "m", "tool_definitions": [{"type": "function"}], "extra": {"cwd": "/p"}},
  "steps": [
    {"step_id": 1, "source": "system", "message": "be good"},
    {"step_id": 2, "source": "user", "timestamp": "2026-01-01T00:00:00Z", "message": [{"type": "text", "text": "do it"}]},
    {"step_id": 3, "source": "agent", "message": "copied", "is_copied_context": true},
    {"step_id": 4, "source": "agent", "timestamp": "2026-01-01T00:00:02Z", "message": "", "reasoning_content": "hm",
     "tool_calls": [{"tool_call_id": "c", "function_name": "Task", "arguments": {"x": 1},
       "extra": {"invocation": {"start_timestamp": 1767225602.5, "end_timestamp": 1767225604.0}}}],
     "observation": {"results": [{"source_call_id": "c", "content": "ok", "subagent_trajectory_ref": [{"trajectory_id": "u"}]}]},
     "metrics": {"prompt_tokens": 100, "completion_tokens": 20, "cached_tokens": 60, "extra": {"reasoning_tokens": 5}}},
    {"step_id": 5, "source": "agent", "message": "no call", "llm_call_count": 0},
    {"step_id": 6, "source": "agent", "message": "two calls", "llm_call_count": 2, "metrics": {"prompt_tokens": 300}},
    {"step_id": 7, "source": "user", "message": "more"},
    {"step_id": 8, "source": "agent", "message": "done", "metrics": {"prompt_tokens": 130, "completion_tokens": 3}}
  ],
  "subagent_trajectories": [
    {"schema_version": "ATIF-v1.7", "trajectory_id": "u", "agent": {"name": "explorer", "version": "1"},
     "steps": [{"step_id": 1, "source": "user", "message": "look"}, {"step_id": 2, "source": "agent", "message": "seen",
       "metrics": {"prompt_tokens": 10, "completion_tokens": 1}}]}
  ]
}
"#;

/// Two calls of a transcript.
pub const HERMES: &str = r#"{"role":"session_meta","model":"m","tools":[{"type":"function","function":{"name":"terminal"}}],"timestamp":"2026-01-01T00:00:00"}
{"role":"user","content":"do it","timestamp":"2026-01-01T00:00:09"}
{"role":"assistant","content":"","reasoning":"hm","tool_calls":[{"id":"c","function":{"name":"terminal","arguments":"{}"}}],"finish_reason":"tool_calls","timestamp":"2026-01-01T00:00:09"}
{"role":"tool","tool_call_id":"c","content":"ok","timestamp":"2026-01-01T00:00:09"}
{"role":"assistant","content":"done","finish_reason":"stop","timestamp":"2026-01-01T00:00:09"}
"#;

/// The same as a snapshot.
pub const HERMES_SNAPSHOT: &str = r#"{"session_id":"h","model":"m","session_start":"2026-01-01T00:00:00","last_updated":"2026-01-01T00:00:09",
"system_prompt":"be good","tools":[{"type":"function","function":{"name":"terminal"}}],
"messages":[{"role":"user","content":"do it"},
{"role":"assistant","content":"","tool_calls":[{"id":"c","function":{"name":"terminal","arguments":"{}"}}]},
{"role":"tool","tool_call_id":"c","content":"ok"},
{"role":"assistant","content":"done"}]}
"#;

/// Two calls, after a demonstration.
pub const SWE_AGENT: &str = r#"{"environment":"e","trajectory":[{"action":"ls","observation":"a","execution_time":0.5},{"action":"submit","observation":"","execution_time":1}],
"history":[{"role":"system","content":"be good"},{"role":"user","content":"like this","is_demo":true},{"role":"assistant","content":"ls","is_demo":true},
{"role":"user","content":"do it"},{"role":"assistant","content":"ls"},{"role":"user","content":"a"},{"role":"assistant","content":"submit"}],"info":{}}
"#;

/// Two calls, the first with its response.
pub const MINI: &str = r#"{"trajectory_format":"mini-swe-agent-1","info":{"exit_status":"Submitted","mini_version":"1.2","config":{"model":{"model_name":"m"}}},
"messages":[{"role":"system","content":"be good"},{"role":"user","content":"do it","timestamp":1.5},
{"role":"assistant","content":"ls","extra":{"timestamp":3,"response":{"usage":{"prompt_tokens":10,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}}},
{"role":"user","content":"a","timestamp":4},{"role":"assistant","content":"submit","timestamp":5},{"role":"exit","content":""}]}
"#;
