//! Sessions of Hermes.

use agentgen_formats::import::Prompt;

use crate::samples::{HERMES, HERMES_SNAPSHOT};
use crate::support::{all_lines, import_text};

#[test]
fn transcripts_have_the_end_of_each_request() {
    let found = import_text("g1.jsonl", HERMES);
    assert_eq!(all_lines(&found), ["g1", "g1:0 Human0 -/-+->- -..- terminal -", "g1:1 Tool0 -/-+->- -..-"]);
    let calls = &found.sessions[0].calls;
    assert_eq!((calls[0].end_ms, calls[1].end_ms), (None, Some(1_767_225_609_000.0)));
    assert_eq!(calls[1].model.as_deref(), Some("m"));
    assert_eq!(found.left_out["records of the gateway"], 1);
}

#[test]
fn snapshots_have_whole_prompts() {
    let found = import_text("session_x.json", HERMES_SNAPSHOT);
    assert_eq!(all_lines(&found), ["h", "h:0 Human0 -/-+->- -..- terminal -", "h:1 Tool0 -/-+->- -..-"]);
    let calls = &found.sessions[0].calls;
    assert_eq!((calls[0].sent_ms, calls[1].end_ms), (Some(1_767_225_600_000.0), Some(1_767_225_609_000.0)));
    let Prompt::Appended(parts) = &calls[0].prompt else { panic!("no content") };
    // Tools, system prompt, the request.
    assert_eq!(parts.len(), 3);
}

#[test]
fn other_rows_with_roles_are_no_transcripts() {
    use agentgen_formats::import::formats::{Head, named};
    let format = named("hermes").unwrap();
    for text in [
        r#"{"session_id":"s","role":"user","content":"x","finish_reason":"stop"}"#,
        r#"{"conversation_id":"s","role":"assistant","content":"x","finish_reason":"stop"}"#,
        r#"{"role":"user","content":"x"}"#,
        r#"{"session_id":"s","messages":[]}"#,
    ] {
        assert!(!(format.recognises)(&Head::of(text)), "{text}");
    }
}
