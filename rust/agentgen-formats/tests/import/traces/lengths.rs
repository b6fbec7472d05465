//! Traces that have lengths and no content.

use std::fs::File;
use std::sync::Arc;

use agentgen_formats::import::formats::detect;
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use serde_json::Value;

use super::{import, left_out, problems, told};
use crate::support::Folder;

pub const AZURE: &str = "TIMESTAMP,ContextTokens,GeneratedTokens\r
2023-11-16 18:15:46.6805900,374,44\r
2023-11-16 18:15:50.9951690,396,109\r
yesterday,1,1\r
2023-11-16 18:15:51,many,1\r
2024-05-10 00:00:00.009930+00:00,2162,5\r
";

#[test]
fn requests_of_azure_have_times_and_lengths() {
    let (format, recording) = import(AZURE);
    assert_eq!(format, "azure");
    assert_eq!(
        told(&recording),
        "\
line 2
  - - 0 374+44 sent 1700158546680.59
line 3
  - - 0 396+109 sent 1700158550995.169
line 6
  - - 0 2162+5 sent 1715299200009.93
"
    );
    assert_eq!(
        problems(&recording),
        [(Some(4), "TIMESTAMP that is not a time"), (Some(5), "ContextTokens that is not a number from 0")]
    );
}

pub const BURST: &str = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type
5,c1,2.5,ChatGPT,472,18,490,Conversation log
45,,,ChatGPT,1087,0,1087,API log
60,,,GPT-4,1087,3,1090,API log
70,c1,1,ChatGPT,600,20,620,Conversation log
";

#[test]
fn requests_of_burstgpt_are_in_seconds_and_failed_ones_are_left_out() {
    let (format, recording) = import(BURST);
    assert_eq!(format, "burstgpt");
    assert_eq!(
        told(&recording),
        "\
session c1
  ChatGPT - 0 472+18 sent 5000 end 7500
  ChatGPT - 0 600+20 sent 70000 end 71000
line 4
  GPT-4 - 0 1087+3 sent 60000
"
    );
    assert_eq!(left_out(&recording), [("failed requests (no response tokens)", 1)]);
    let (format, recording) =
        import("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,x,472,18,490,\n");
    assert_eq!((format, told(&recording).as_str()), ("burstgpt", "line 2\n  x - 0 472+18 sent 5000\n"));
}

pub const LENGTHS: &str = "\
{\"timestamp\": 0, \"input_length\": 655, \"output_length\": 52}
{\"timestamp\": 535, \"input_length\": 672}
{\"session_id\": \"a\", \"input_length\": 10, \"output_length\": 4, \"timestamp\": 0}
{\"session_id\": \"a\", \"input_length\": 5, \"delay\": 9}
";

#[test]
fn rows_with_lengths_only_share_nothing_across_sessions() {
    let (format, recording) = import(LENGTHS);
    assert_eq!(format, "lengths");
    assert_eq!(
        told(&recording),
        "\
line 1
  - - 0 655+52 sent 0 [655]
line 2
  - - 0 672+- sent 535 [672]
session a
  - - 0 10+4 sent 0 [10]
  - - 0 19+- delay 9 [4, 5]
"
    );
}

pub const TRACELAB_CSV: &str = "\
session_id,arrival_time,round_idx,prefix_len,input_len,output_len,tool_wait_after_ms
0,0,0,0,512,64,100
1,200,0,0,400,48,80
0,0,1,576,128,64,50
0,0,2,768,128,64,0
1,200,1,448,100,48,0
";

#[test]
fn waits_of_tracelab_are_before_the_next_round() {
    let (format, recording) = import(TRACELAB_CSV);
    assert_eq!(format, "tracelab");
    let expected = "\
session 0
  - human 0 512+64 cached 0 sent 0
  - tool 0 704+64 cached 576 delay 100
  - tool 0 896+64 cached 768 delay 50
session 1
  - human 0 400+48 cached 0 sent 200
  - tool 0 548+48 cached 448 delay 80
";
    assert_eq!(told(&recording), expected);
    let (header, rows) = TRACELAB_CSV.split_once('\n').unwrap();
    // The order of sessions is that of the file; that of rounds is theirs.
    let moved: Vec<&str> = rows.lines().rev().filter(|r| r.starts_with('0')).chain(rows.lines()).collect();
    let (_, recording) = import(&format!("{header}\n{}\n", moved.join("\n")));
    assert_eq!(told(&recording), expected);
    assert_eq!(left_out(&recording), [("repeated rows", 3)]);
}

pub const TRACELAB_ROUNDS: &str = r#"{"provider":"claude","project":"p","session_id":"s","round_index":0,"round_id":"m1","model":"c","input_tokens_total":100,"prefix_tokens":60,"newly_append_tokens":40,"claude_cache_creation_input_tokens":30,"output_tokens":9,"reasoning_output_tokens":null,"timing_events":[{"event_type":"user_message","timestamp":"2026-06-01T05:40:20.150Z"},{"event_type":"text","timestamp":"2026-06-01T05:40:29.500Z"},{"event_type":"tool_result","timestamp":"2026-06-01T05:40:30Z"},{"event_type":"tool_call","timestamp":"2026-06-01T05:40:31Z"}],"tools":[{"tool_name":"Bash","tool_wall_latency_ms":860,"tool_internal_latency_ms":null,"is_error":true},{"tool_name":"AskUserQuestion","tool_wall_latency_ms":9000}],"first_input_event_type":"user_message"}
{"provider":"claude","project":"p","session_id":"s","round_index":1,"prefix_tokens":100,"newly_append_tokens":20,"output_tokens":3,"first_input_event_type":"tool_result"}
{"provider":"codex","session_id":"s","round_index":2,"prefix_tokens":null,"newly_append_tokens":null,"output_tokens":null}
"#;

#[test]
fn rounds_of_tracelab_have_times_and_tools() {
    let (format, recording) = import(TRACELAB_ROUNDS);
    assert_eq!(format, "tracelab");
    assert_eq!(
        told(&recording),
        "\
session s in p
  c human 0 100+9 cached 60 written 30 ready 1780292420150 first 1780292429500 end 1780292431000 Bash 860 failed \
         AskUserQuestion 9000
  - tool 0 120+3 cached 100
  - - 0 -+-
"
    );
    let asks: Vec<_> = recording.sessions[0].calls[0].tools.iter().map(|tool| tool.asks_person).collect();
    assert_eq!(asks, [false, true]);
}

pub const AGENTTRACE: &str = r#"{"trace_id": "t", "timestamp_utc": "2026-04-08T03:36:54+00:00", "prompt": "secret", "model": "q",
 "dataset_name": "nl2bash", "total_duration_ms": 10000.0,
 "spans": [
  {"tool_name": "extra", "start_ns": 500000000, "end_ns": 500000000, "duration_ms": 0.0, "exit_code": 0},
  {"tool_name": "bash", "start_ns": 1000000000, "end_ns": 2000000000, "duration_ms": 1000.0, "exit_code": 1},
  {"tool_name": "final_answer", "start_ns": 5000000000, "end_ns": 5000000000, "duration_ms": 0.0, "exit_code": 0}],
 "llm_steps": [
  {"step_number": 2, "model_output": null, "reasoning_content": "12345", "input_tokens": 130, "output_tokens": 9,
   "tool_calls": [{"name": "blocked", "arguments": "{}"}, {"name": "final_answer", "arguments": {"a": 1}}]},
  {"step_number": 1, "model_output": "123", "reasoning_content": null, "input_tokens": 100, "output_tokens": 20,
   "tool_calls": [{"name": "bash", "arguments": "ls"}]}],
 "metadata": {"collector_version": "0.3.0", "context_length": 16384}}"#;

#[test]
fn steps_of_agenttrace_have_the_spans_of_their_tools() {
    let (format, recording) = import(AGENTTRACE);
    assert_eq!(format, "agenttrace");
    // The run of 10 s ends with the last span, at 5 s of the spans' clock.
    assert_eq!(
        told(&recording),
        "\
t version 0.3.0 in nl2bash window 16384
  q human 0 100+20 bytes 9 ready 1775619414000 end 1775619420000 bash 1000 failed
  q tool 0 130+9 bytes 33 ready 1775619421000 end 1775619424000 delay 1000 blocked final_answer 0
"
    );
}

#[test]
fn the_parquet_view_of_agenttrace_has_json_in_columns() {
    let trace: Value = serde_json::from_str(AGENTTRACE).unwrap();
    let json = |key: &str| Some(trace[key].to_string());
    let text = |key: &str| trace[key].as_str().map(str::to_owned);
    let texts = |values: [Option<String>; 2]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let columns: [(&str, ArrayRef); 8] = [
        ("trace_id", texts([text("trace_id"), None])),
        ("timestamp_utc", texts([text("timestamp_utc"), None])),
        ("model", texts([text("model"), None])),
        ("dataset_name", texts([text("dataset_name"), None])),
        ("total_duration_ms", Arc::new(Float64Array::from(vec![10_000.0, 1.0]))),
        ("spans_json", texts([json("spans"), Some("[]".into())])),
        ("llm_steps_json", texts([json("llm_steps"), Some("[]".into())])),
        ("metadata_json", texts([json("metadata"), None])),
    ];
    let folder = Folder::new(&[]);
    let path = folder.path("view.parquet");
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let format = detect(&path).unwrap().unwrap();
    assert_eq!(format.name, "agenttrace");
    let recording = (format.read)(&path).unwrap();
    let (_, from_json) = import(AGENTTRACE);
    let calls = |text: String| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(calls(told(&recording)), calls(told(&from_json)));
    assert_eq!(problems(&recording), [(Some(2), "no trace_id")]);
    // Other tables are not recognised, nor are damaged files.
    let bytes = std::fs::read(&path).unwrap();
    for end in [4, bytes.len() / 2, bytes.len() - 1] {
        assert!(detect(&folder.write("cut.parquet", &bytes[..end])).unwrap().is_none());
    }
}
