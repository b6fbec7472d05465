//! Recorded requests with their content.

use super::{hashes, import, left_out, problems, told};

pub const MLPERF: &str = r#"{"conversation_id": "c", "turn": 1, "role": "user", "content": "fix it", "system": "be good", "tools": [{"type": "function", "function": {"name": "bash"}}], "model": "m"}
{"conversation_id": "c", "turn": 2, "role": "assistant", "reasoning_content": "hm", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "bash", "arguments": "{}"}}]}
{"conversation_id": "c", "turn": 3, "role": "tool", "tool_results": [{"tool_call_id": "1", "content": "done"}], "delay_seconds": 0.25}
{"conversation_id": "c", "turn": 4, "role": "assistant", "content": "so it is"}
{"conversation_id": "c", "turn": 5, "role": "user", "content": "thanks"}
"#;

#[test]
fn messages_of_mlperf_are_calls_with_parts() {
    let (format, recording) = import(MLPERF);
    assert_eq!(format, "mlperf");
    assert_eq!(
        told(&recording),
        "\
c
  m human 0 -+- bytes 11 delay 0 [52, 8, 7] bash
  m tool 0 -+- bytes 9 delay 250 [11, 5]
  m human 1 -+- delay 0 [9, 7]
"
    );
    let broken = MLPERF.replace("\"turn\": 5", "\"turn\": 7");
    let (_, recording) = import(&broken);
    assert_eq!(recording.problems.len(), 1);
    assert_eq!(recording.problems[0].line, Some(5));
    assert!(!recording.problems[0].reason.contains("thanks"));
}

pub const SNAPSHOTS: &str = r#"{"conversation_id": "c", "conversation_idx": 1, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]}
{"conversation_id": "c", "conversation_idx": 2, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, {"role": "user", "content": "more"}]}
{"conversation_id": "b", "conversation_idx": 1, "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}
{"conversation_id": "a", "conversation_idx": 1, "messages": [{"role": "system", "content": "s"}]}
"#;

#[test]
fn the_last_snapshot_has_the_conversation() {
    let (format, recording) = import(SNAPSHOTS);
    assert_eq!(format, "mlperf-snapshots");
    assert_eq!(
        told(&recording),
        "\
b
  - human 0 -+- bytes 5 [2]
c
  - human 0 -+- bytes 5 [1, 2]
  - human 1 -+- [5, 4]
"
    );
    assert_eq!(left_out(&recording), [("earlier snapshots of conversations", 1)]);
    assert_eq!(problems(&recording), [(Some(4), "messages without a request")]);
}

pub const BODIES: &str = r#"{"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}], "tools": [{"name": "t"}], "max_tokens": 8}
{"model": "m", "messages": [{"role": "user", "content": "other"}]}
{"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "t", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "ok"}], "tools": [{"name": "t"}]}
{"model": "m", "messages": [{"role": "user", "content": "other"}]}
{"model": "m", "messages": [{"role": "robot", "content": "x"}]}
"#;

#[test]
fn a_request_continues_the_one_that_it_begins_with() {
    let (format, recording) = import(BODIES);
    assert_eq!(format, "openai");
    assert_eq!(
        told(&recording),
        "\
request 0
  m human 0 -+- bytes 4 whole [14, 1, 2]
  m tool 0 -+- [4, 2]
request 1
  m human 0 -+- whole [5]
request 2
  m human 0 -+- whole [5]
"
    );
    assert_eq!(problems(&recording), [(Some(5), "a message without a known role")]);
    // The same content in different sessions is the same.
    assert_eq!(hashes(&recording.sessions[1], 0), hashes(&recording.sessions[2], 0));
}

pub const TEXT_INPUT: &str = "\
{\"timestamp\": 0, \"text_input\": \"hello there\", \"output_length\": 10, \"session_id\": \"a\"}
{\"delay\": 500, \"text_input\": \"how are you\", \"session_id\": \"a\"}
{\"timestamp\": 700, \"text_input\": \"hello there\"}
";

#[test]
fn text_input_is_what_a_turn_adds() {
    let (format, recording) = import(TEXT_INPUT);
    assert_eq!(format, "openai");
    assert_eq!(
        told(&recording),
        "\
session a
  - human 0 -+10 bytes 40 sent 0 [11]
  - human 1 -+- delay 500 [40, 11]
request 1
  - human 0 -+- sent 700 [11]
"
    );
}

#[test]
fn bodies_may_be_wrapped_and_have_the_counts_of_their_response() {
    let batch = r#"{"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}, "response": {"status_code": 200, "body": {"usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}}}}"#;
    let anthropic = r#"{"request": {"model": "c", "system": [{"type": "text", "text": "sys"}], "messages": [{"role": "user", "content": [{"type": "tool_result", "content": "r"}]}]}, "response": {"usage": {"input_tokens": 1, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 3, "output_tokens": 2}}}"#;
    let responses = r#"{"model": "r", "instructions": "be", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}, {"type": "function_call", "name": "f", "arguments": "{}"}, {"type": "function_call_output", "output": "out"}], "messages": null}"#;
    assert_eq!(told(&import(batch).1), "request 0\n  m human 0 9+4 cached 8 whole [2]\n");
    let rows = [batch, anthropic, responses].join("\n");
    assert_eq!(
        told(&import(&rows).1),
        "\
request 0
  m human 0 9+4 cached 8 whole [2]
request 1
  c tool 0 9+2 cached 5 written 3 whole [3, 1]
request 2
  r tool 0 -+- whole [2, 2, 4, 3]
"
    );
}

pub const SHAREGPT: &str = r#"[{"id": "x", "conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"},
  {"from": "human", "value": "more"}, {"from": "gpt", "value": "yes"}]},
 {"id": "y", "conversations": []},
 {"id": "z", "conversations": [{"from": "martian", "value": "zz"}]}]"#;

#[test]
fn conversations_of_sharegpt_are_calls_with_growing_prompts() {
    let (format, recording) = import(SHAREGPT);
    assert_eq!(format, "sharegpt");
    assert_eq!(told(&recording), "x\n  - human 0 -+- bytes 5 [2]\n  - human 1 -+- bytes 3 [5, 4]\n");
    assert_eq!(left_out(&recording), [("conversations without a request", 1)]);
    assert_eq!(problems(&recording), [(None, "`from` that is none of human, gpt, system and tool")]);
    // A byte order mark changes nothing; of a truncated file the elements before its end are read.
    assert_eq!(told(&import(&format!("\u{feff}{SHAREGPT}")).1), told(&recording));
    let cut = SHAREGPT.find("\"y\"").unwrap();
    let (_, recording) = import(&SHAREGPT[..cut]);
    assert_eq!(recording.sessions.len(), 1);
    assert_eq!(problems(&recording), [(None, "JSON that ends early, at column 8")]);
}

/// A conversation with a tool and a sub-agent, as OTLP.
pub const OTLP: &str = r#"{"resourceSpans": [{"scopeSpans": [{"spans": [
 {"traceId": "t", "spanId": "a", "name": "invoke_agent", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "9000000000",
  "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
   {"key": "gen_ai.conversation.id", "value": {"stringValue": "c"}}]},
 {"traceId": "t", "spanId": "c1", "parentSpanId": "a", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000",
  "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
   {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
   {"key": "gen_ai.usage.input_tokens", "value": {"intValue": "100"}},
   {"key": "gen_ai.usage.cache_read.input_tokens", "value": {"intValue": 64}},
   {"key": "gen_ai.usage.output_tokens", "value": {"intValue": "7"}},
   {"key": "gen_ai.system_instructions", "value": {"stringValue": "[{\"type\": \"text\", \"content\": \"sys\"}]"}},
   {"key": "gen_ai.input.messages",
    "value": {"stringValue": "[{\"role\": \"user\", \"parts\": [{\"type\": \"text\", \"content\": \"hi\"}]}]"}},
   {"key": "gen_ai.output.messages", "value": {"arrayValue": {"values": [{"kvlistValue": {"values": [
     {"key": "role", "value": {"stringValue": "assistant"}}, {"key": "parts", "value": {"arrayValue": {"values": [
      {"kvlistValue": {"values": [{"key": "type", "value": {"stringValue": "tool_call"}},
       {"key": "name", "value": {"stringValue": "f"}}]}}]}}}]}}]}}}]},
 {"traceId": "t", "spanId": "x", "parentSpanId": "a", "startTimeUnixNano": "2100000000", "endTimeUnixNano": "6000000000",
  "status": {"code": 2}, "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
   {"key": "gen_ai.tool.name", "value": {"stringValue": "f"}}]},
 {"traceId": "t", "spanId": "b", "parentSpanId": "x", "startTimeUnixNano": "3000000000", "endTimeUnixNano": "5000000000",
  "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "invoke_agent"}},
   {"key": "gen_ai.agent.name", "value": {"stringValue": "helper"}}]},
 {"traceId": "t", "spanId": "c2", "parentSpanId": "b", "startTimeUnixNano": "3000000000", "endTimeUnixNano": "4000000000",
  "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
   {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 30}}]},
 {"traceId": "t", "spanId": "c3", "parentSpanId": "a", "startTimeUnixNano": "7000000000", "endTimeUnixNano": "8000000000",
  "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
   {"key": "gen_ai.usage.input_tokens", "value": {"intValue": 120}}]}
]}]}]}"#;

#[test]
fn spans_are_calls_of_agents_with_their_tools() {
    let (format, recording) = import(OTLP);
    assert_eq!(format, "otel");
    assert_eq!(
        told(&recording),
        "\
conversation c
  m human 0 100+7 cached 64 bytes 1 sent 1000 end 2000 whole [3, 2] f 3900 failed
  - tool 0 120+- sent 7000 end 8000
agent b helper of conversation c after 0 until 1
  - - 0 30+- sent 3000 end 4000
"
    );
    let twice = OTLP.replace('\n', " ");
    let (_, recording) = import(&format!("{twice}\n{twice}\n"));
    assert_eq!(recording.sessions.len(), 2);
    assert_eq!(left_out(&recording), [("repeated spans", 6)]);
}

#[test]
fn an_object_a_span_is_read_too() {
    let span = r#"{"name": "chat", "context": {"trace_id": "0x1", "span_id": "0x2"}, "parent_id": null,
        "start_time": "1970-01-01T00:00:01Z", "end_time": "1970-01-01T00:00:02.5Z",
        "attributes": {"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 2}}"#;
    let (format, recording) = import(span);
    assert_eq!(format, "otel");
    assert_eq!(told(&recording), "trace 0x1\n  - - 0 5+2 sent 1000 end 2500\n");
    let (_, recording) = import(&span.replace("\"span_id\"", "\"id\""));
    assert_eq!(problems(&recording), [(None, "no span with ids and a start")]);
}
