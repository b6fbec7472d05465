//! Mooncake, Bailian and Dynamo's agentic rows.

use super::{hashes, import, import_as, left_out, problems, told};

pub const MOONCAKE: &str = "\
{\"timestamp\": 0, \"input_length\": 655, \"output_length\": 52, \"hash_ids\": [46, 47]}
{\"timestamp\": 535.5, \"input_length\": 600.0, \"output_length\": null, \"hash_ids\": [46, -1]}
{\"created_time\": 536, \"hash_ids\": [\"9007199254740993\", 18446744073709551615]}
{\"timestamp\": 537, \"input_length\": 100}
";

#[test]
fn rows_without_sessions_are_sessions_of_one_call() {
    let (format, recording) = import(MOONCAKE);
    assert_eq!(format, "mooncake");
    assert_eq!(
        told(&recording),
        "\
line 1
  - - 0 655+52 sent 0 file*512 [46, 47]
line 2
  - - 0 600+- sent 535.5 file*512 [46, 18446744073709551615]
line 3
  - - 0 1024+- sent 536 file*512 [9007199254740993, 18446744073709551615]
line 4
  - - 0 100+- sent 537
"
    );
    assert_eq!(problems(&recording), []);
}

pub const DELTA: &str = "\
{\"session_id\": \"a\", \"input_length\": 655, \"output_length\": 5, \"hash_ids\": [1, 2], \"timestamp\": 0, \"group_id\": 3}
{\"session_id\": \"b\", \"input_length\": 700, \"output_length\": 7, \"hash_ids\": [1, 5], \"timestamp\": 10}
{\"session_id\": \"a\", \"input_length\": 300, \"output_length\": 5, \"hash_ids\": [3], \"delay\": 50}
{\"session_id\": \"b\", \"input_length\": 30, \"output_length\": 5, \"hash_ids\": [6], \"delay\": 5.5}
";

#[test]
fn rows_of_added_text_accumulate_with_the_answers() {
    let (format, recording) = import(DELTA);
    assert_eq!(format, "mooncake");
    let expected = "\
session a in group 3
  - - 0 655+5 sent 0 [512, 143]
  - - 0 960+5 delay 50 [5, 300]
session b
  - - 0 700+7 sent 10 [512, 188]
  - - 0 737+5 delay 5.5 [7, 30]
";
    assert_eq!(told(&recording), expected);
    let [a, b] = &recording.sessions[..] else { panic!("two sessions") };
    assert_eq!(hashes(a, 0)[0], hashes(b, 0)[0], "the id 1");
    assert_ne!(hashes(a, 0)[1], hashes(b, 0)[1]);
    assert_ne!(hashes(a, 1)[0], hashes(b, 1)[0], "answers are those of a session");
    assert_eq!(told(&import_as("mooncake-delta", DELTA)), expected);
}

#[test]
fn rows_of_whole_prompts_are_told_from_added_text_by_their_ids() {
    let text = "\
{\"session_id\": 1, \"input_length\": 600, \"output_length\": 5, \"hash_ids\": [1, 2], \"timestamp\": 5}
{\"session_id\": 1, \"input_length\": 1100, \"output_length\": 5, \"hash_ids\": [1, 2, 3], \"delay_ms\": 50}
";
    let (_, recording) = import(text);
    assert_eq!(
        told(&recording),
        "session 1\n  - - 0 600+5 sent 5 file*512 [1, 2]\n  - - 0 1100+5 delay 50 file*512 [1, 2, 3]\n"
    );
    // One row a session: both layouts are the same.
    let restart =
        r#"{"session_id": "b", "parent_session_id": "a", "is_restart": true, "input_length": 40, "hash_ids": [1]}"#;
    assert_eq!(told(&import(restart).1), "session b continues session a\n  - - 0 40+- file*512 [1]\n");
}

#[test]
fn bad_rows_of_mooncake_are_named_and_cost_themselves() {
    let rows = "\
{\"timestamp\": 0, \"input_length\": 1024, \"output_length\": 1, \"hash_ids\": [1, 2]}
{\"timestamp\": 0, \"output_length\": 1, \"hash_ids\": []}
{\"timestamp\": 0, \"input_length\": 5.5, \"hash_ids\": [1]}
{\"timestamp\": 0, \"input_length\": 1024, \"hash_ids\": [1, 2, 3]}
{\"timestamp\": 0, \"input_length\": 1024, \"hash_ids\": [1, 2], \"delay\": -5}
";
    let (_, recording) = import(rows);
    assert_eq!(recording.sessions.len(), 1);
    assert_eq!(
        problems(&recording),
        [
            (Some(2), "neither input_length nor hash_ids"),
            (Some(3), "a field of an unexpected type, at column 36"),
            (Some(4), "3 hash_ids for 1024 tokens in blocks of 512"),
            (Some(5), "a time below 0"),
        ]
    );
}

/// The case `bailian-seconds`.
pub const BAILIAN: &str = "\
{\"chat_id\": 159, \"parent_chat_id\": -1, \"timestamp\": 61.114, \"input_length\": 64, \"output_length\": 20, \"type\": \"text\", \"turn\": 1, \"hash_ids\": [1, 2, 3, 4]}
{\"chat_id\": 200, \"parent_chat_id\": -1, \"timestamp\": 61.5, \"input_length\": 50, \"output_length\": 7, \"type\": \"search\", \"turn\": 1, \"hash_ids\": [1, 2, 100, 101]}
{\"chat_id\": 160, \"parent_chat_id\": 159, \"timestamp\": 75.25, \"input_length\": 100, \"output_length\": 11, \"type\": \"text\", \"turn\": 2, \"hash_ids\": [1, 2, 3, 4, 50, 51, 52]}
{\"chat_id\": 161, \"parent_chat_id\": 160, \"timestamp\": 99.0, \"input_length\": 140, \"output_length\": 9, \"type\": \"text\", \"turn\": 3, \"hash_ids\": [1, 2, 3, 4, 50, 51, 70, 71, 72]}
{\"chat_id\": 162, \"parent_chat_id\": 160, \"timestamp\": 101.0, \"input_length\": 120, \"output_length\": 9, \"type\": \"text\", \"turn\": 3, \"hash_ids\": [1, 2, 3, 4, 50, 51, 80, 81]}
";

#[test]
fn chats_of_bailian_are_trees_in_seconds() {
    let (format, recording) = import(BAILIAN);
    assert_eq!(format, "bailian");
    let expected = "\
chat 159
  - human 0 64+20 sent 61114 file*16 [1, 2, 3, 4]
  - human 1 100+11 sent 75250 file*16 [1, 2, 3, 4, 50, 51, 52]
  - human 2 140+9 sent 99000 file*16 [1, 2, 3, 4, 50, 51, 70, 71, 72]
chat 200
  - human 0 50+7 sent 61500 file*16 [1, 2, 100, 101]
chat 162 continues chat 159
  - human 0 120+9 sent 101000 file*16 [1, 2, 3, 4, 50, 51, 80, 81]
";
    assert_eq!(told(&recording), expected);
    // Shuffled and repeated rows are the same chats.
    let shuffled: Vec<&str> = BAILIAN.lines().rev().chain(BAILIAN.lines().take(2)).collect();
    let (_, recording) = import(&shuffled.join("\n"));
    assert_eq!(told(&recording), expected);
    assert_eq!(left_out(&recording), [("repeated rows", 2)]);
}

pub const AGENTIC_1: &str = "\
{\"request_id\": \"a0\", \"session_id\": \"s\", \"model\": \"m\", \"input_length\": 8, \"output_length\": 2, \"hash_ids\": [1, 2], \"timestamp\": 100}
{\"request_id\": \"b0\", \"session_id\": \"t\", \"input_length\": 6, \"output_length\": 2, \"hash_ids\": [7, 8], \"wait_for\": [\"a0\"], \"delay\": 1}
{\"request_id\": \"a1\", \"session_id\": \"s\", \"input_length\": 12, \"output_length\": 2, \"hash_ids\": [1, 2, 3], \"wait_for\": [\"a0\", \"b0\"], \"delay\": 3, \"tool_wait_ms\": 40}
";

#[test]
fn requests_of_version_1_wait_for_each_other() {
    let (format, recording) = import(AGENTIC_1);
    assert_eq!(format, "agentic_mooncake");
    assert_eq!(
        told(&recording),
        "\
session s
  m - 0 8+2 sent 100 file*4 [1, 2]
  - tool 0 12+2 delay 43 file*4 [1, 2, 3]
session t ? of session s after 0 until 1
  - - 0 6+2 delay 1 file*4 [7, 8]
"
    );
}

pub const AGENTIC_2: &str = "\
{\"schema\":\"dynamo.agentic_mooncake\",\"version\":2,\"block_size\":4,\"hash_id_scope\":\"local\",\"source\":{\"format\":\"x\",\"digest\":\"abc\"}}
{\"request_id\":\"a0\",\"play_id\":\"p0\",\"session_id\":\"s0\",\"model\":\"m\",\"input_length\":8,\"output_length\":2,\"hash_ids\":[1,2],\"not_before_ms\":0,\"recorded_api_time_ms\":20,\"dependencies\":[]}
{\"request_id\":\"a1\",\"play_id\":\"p0\",\"session_id\":\"s0\",\"model\":\"m\",\"input_length\":12,\"output_length\":2,\"hash_ids\":[1,2,3],\"not_before_ms\":0,\"dependencies\":[{\"request_id\":\"a0\",\"trigger\":\"completion\",\"delay_ms\":100,\"relation\":\"sequence\"}]}
{\"request_id\":\"b0\",\"play_id\":\"p1\",\"session_id\":\"s1\",\"model\":\"m\",\"input_tokens\":8,\"output_tokens\":2,\"hash_ids\":[1,8],\"not_before_ms\":5,\"dependencies\":[]}
{\"request_id\":\"b0\",\"play_id\":\"p1\",\"session_id\":\"s1\",\"model\":\"m\",\"input_length\":8,\"hash_ids\":[1,8],\"not_before_ms\":5}
{\"request_id\":\"b1\",\"play_id\":\"p1\",\"session_id\":\"s1\",\"model\":\"m\",\"input_length\":8,\"hash_ids\":[1],\"not_before_ms\":5}
";

#[test]
fn plays_of_version_2_have_ids_of_their_own() {
    let (format, recording) = import(AGENTIC_2);
    assert_eq!(format, "agentic_mooncake");
    assert_eq!(
        told(&recording),
        "\
play p0 session s0 version 2
  m - 0 8+2 sent 0 end 20 play p0*4 [1, 2]
  m - 0 12+2 delay 100 play p0*4 [1, 2, 3]
play p1 session s1 version 2
  m - 0 8+2 sent 5 play p1*4 [1, 8]
"
    );
    assert_eq!(problems(&recording), [(Some(6), "1 hash_ids for 8 tokens in blocks of 4")]);
    assert_eq!(left_out(&recording), [("repeated rows", 1)]);
}

pub const DYNAMO: &str = r#"{"timestamp": 1, "event": {"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 3000, "agent_context": {"session_id": "s", "input_trigger": "tool_result"}, "request": {"request_id": "r2", "model": "m", "output_tokens": 4, "cached_tokens": 16, "ttft_ms": 100.5, "request_received_ms": 2500, "replay": {"trace_block_size": 16, "input_length": 40, "input_sequence_hashes": [18446744073709551615, 2, 3]}}}}
{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 2000, "agent_context": {"session_id": "s", "input_trigger": "user_message"}, "request": {"request_id": "r1", "output_tokens": 5, "request_received_ms": 1000, "total_time_ms": 900, "replay": {"trace_block_size": 16, "input_length": 20, "input_sequence_hashes": [18446744073709551615, 5]}}}
{"schema": "dynamo.request.trace.v1", "event_type": "tool_end", "event_time_unix_ms": 2400, "agent_context": {"session_id": "s"}, "tool": {"tool_class": "search", "duration_ms": 300, "status": "failed"}}
{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "event_time_unix_ms": 2300, "agent_context": {"session_id": "t", "parent_session_id": "s"}, "request": {"request_id": "r3", "input_tokens": 9, "output_tokens": 5, "request_received_ms": 2100}}
{"schema": "dynamo.request.trace.v1", "event_type": "request_payload", "request": {"request_id": "r9"}}
{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "request": {"input_length": 9, "output_length": 5, "trace_block_size": 16, "input_sequence_hashes": [7, 8]}}
{"schema": "dynamo.request.trace.v1", "event_type": "request_end", "request": {"input_length": 9, "output_length": 5, "trace_block_size": 16, "input_sequence_hashes": [7]}}
"#;

#[test]
fn request_traces_of_dynamo_have_sessions_and_tools() {
    let (format, recording) = import(DYNAMO);
    assert_eq!(format, "dynamo");
    assert_eq!(
        told(&recording),
        "\
session s
  - human 0 20+5 sent 1000 end 1900 dynamo*16 [18446744073709551615, 5] search 300 failed
  m tool 0 40+4 cached 16 sent 2500 first 2600.5 end 3000 dynamo*16 [18446744073709551615, 2, 3]
session t ? of session s after - until -
  - - 0 9+5 sent 2100 end 2300
line 7
  - - 0 9+5 dynamo*16 [7]
"
    );
    assert_eq!(problems(&recording), [(Some(6), "2 hashes for 9 tokens in blocks of 16")]);
    assert_eq!(left_out(&recording), [("events that are no request or tool", 1)]);
}
