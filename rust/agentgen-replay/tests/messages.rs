//! Recorded trajectories: every body of the shared file.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use agentgen_replay::request::messages::{MessagesOptions, MessagesSession};
use agentgen_testing::files::shared;
use agentgen_trace::Cancel;
use agentgen_trace::transcript::{self, Transcript, flat};

fn options() -> Arc<MessagesOptions> {
    let options = serde_json::json!({
        "endpoint": "chat", "prompt_mode": "text", "history": "recorded", "salt": "", "words": null, "model": "m",
        "stream": true, "request": {"temperature": 0}, "max_tokens_field": "auto", "is_linked": false,
        "transcripts": null, "trace_block_size": null,
    });
    Arc::new(MessagesOptions::new(&serde_json::from_value(options).unwrap()).unwrap())
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn a_real_file_is_sent_as_it_is_described() {
    let path = shared("mlperf/agentic_coding_2.5h.jsonl");
    let conversations: Vec<Transcript> = flat::read(&path, &Cancel::default()).collect::<Result<_, _>>().unwrap();
    assert_eq!(conversations.len(), 20);
    let described = transcript::describe(flat::read(&path, &Cancel::default())).unwrap();
    assert_eq!((described.sessions, described.requests), (20, 1007));

    let options = options();
    let (mut requests, mut context, mut longest) = (0, 0, 0);
    for conversation in conversations {
        let mut session = MessagesSession::new(conversation, &options);
        for turn in 0..session.turns() {
            let request = session.request().unwrap();
            assert_eq!(request.turn, turn);
            session.answered("", "", &[], None).unwrap();
            requests += 1;
            context += request.context_tokens;
            longest = longest.max(request.context_tokens);
        }
    }
    assert_eq!((requests, context, longest), (1007, described.context_tokens, described.max_context_tokens));
}
