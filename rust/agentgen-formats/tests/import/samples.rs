//! A small log of every format, made by hand: at least two calls each.

/// Name, format and text of the samples.
pub const SAMPLES: &[(&str, &str, &str)] = &[("claude.jsonl", "claude-code", CLAUDE)];

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
