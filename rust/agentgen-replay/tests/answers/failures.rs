//! Streams that are not answers.

use agentgen_replay::answer::{Answer, End, Endpoint, Failure};
use serde_json::json;

use crate::{body, delta, fed, finish, whole};

/// Truncated after a token, after the headers, within an event; by HTTP or by the server.
#[test]
fn a_stream_without_its_end_is_truncated() {
    let token = delta(&json!({"content": "one"}));
    let ends = [
        (body(std::slice::from_ref(&token)), "one"),
        (Vec::new(), ""),
        ([body(std::slice::from_ref(&token)), b"data: {\"choices\": [{\"del".to_vec()].concat(), "one"),
    ];
    for (body, kept) in ends {
        for complete in [false, true] {
            let answer = fed(&body, &[], complete);
            let malformed = complete && body.ends_with(b"del");
            assert_eq!(answer.failure(), Some(Failure::StreamTruncated), "{complete} {kept}");
            assert_eq!((answer.text(), answer.counts().malformed_events), (kept, u64::from(malformed)));
            assert!(!answer.message().is_empty());
        }
    }
}

/// Either one is enough if HTTP says that the body is complete; neither is if not.
#[test]
fn an_end_mark_or_a_finish_reason_ends_a_stream() {
    let token = delta(&json!({"content": "one"}));
    for end in [finish("stop"), "[DONE]".to_owned()] {
        let events = [token.clone(), end];
        assert_eq!(whole(&events).failure(), None);
        assert_eq!(fed(&body(&events), &[], false).failure(), Some(Failure::StreamTruncated));
    }
}

/// An error of the server fails the answer, as the only event and after tokens, in every form.
#[test]
fn an_error_in_the_stream_is_a_failure() {
    let errors = [
        (
            "data: {\"error\": {\"message\": \"out of\\n blocks\", \"type\": \"oom\", \"code\": 503}}\n\n",
            "out of blocks (503)",
        ),
        (
            "data: {\"error\": {\"message\": \"out of blocks\", \"type\": \"oom\", \"code\": null}}\n\n",
            "out of blocks (oom)",
        ),
        ("data: {\"error\": \"out of blocks\"}\n\n", "out of blocks"),
        ("data: {\"object\": \"error\", \"message\": \"out of blocks\"}\n\n", "out of blocks"),
        ("event: error\ndata: {\"message\": \"out of blocks\"}\n\n", "out of blocks"),
        ("event: error\ndata: out of blocks\n\n", "out of blocks"),
        ("error: {\"error\": {\"message\": \"out of blocks\"}}\n\n", "out of blocks"),
    ];
    for (error, message) in errors {
        for before in [vec![], vec![delta(&json!({"content": "one"}))]] {
            for after in [vec![], vec!["[DONE]".to_owned()], vec![finish("stop")]] {
                let stream = [body(&before), error.as_bytes().to_vec(), body(&after)].concat();
                let answer = fed(&stream, &[], true);
                assert_eq!(answer.failure(), Some(Failure::ServerError), "{error}");
                assert_eq!(answer.message(), message);
                assert_eq!(answer.text(), if before.is_empty() { "" } else { "one" });
            }
        }
    }
    let lost = fed(errors[0].0.as_bytes(), &[], false);
    assert_eq!(lost.failure(), Some(Failure::ServerError), "what the server said comes first");
}

#[test]
fn null_and_false_are_no_errors() {
    let events =
        [json!({"choices": [{"delta": {"content": "a"}}], "error": null, "message": null}).to_string(), finish("stop")];
    assert_eq!(whole(&events).failure(), None);
}

#[test]
fn an_aborted_answer_is_a_server_error() {
    for reason in ["abort", "error"] {
        let answer = whole(&[delta(&json!({"content": "a"})), finish(reason)]);
        assert_eq!(answer.failure(), Some(Failure::ServerError));
        assert!(answer.message().ends_with(reason));
    }
}

/// A malformed event between two good ones in one read: both good ones count.
#[test]
fn a_malformed_event_affects_no_other() {
    for bad in ["{\"choices\": [{\"delta\"", "nonsense", "17", "[]", "{\"choices\": [{\"delta\": {\"content\": 5}}]}"] {
        let events =
            [delta(&json!({"content": "one"})), bad.to_owned(), delta(&json!({"content": " two"})), finish("stop")];
        let answer = whole(&events);
        assert_eq!((answer.text(), answer.failure()), ("one two", None), "{bad}");
        assert_eq!((answer.counts().malformed_events, answer.counts().events), (1, 3));
    }
}

#[test]
fn a_body_without_events_is_a_bad_response() {
    let page = fed(b"<html>\n<body>Bad gateway</body>\n</html>\n", &[], true);
    assert_eq!(page.failure(), Some(Failure::BadResponse));
    assert_eq!(page.message(), "found \"<html> <body>Bad gateway</body> </html>\", expected events");
    let reported = fed(b"{\n \"error\": {\"message\": \"no such model\"}\n}\n", &[], true);
    assert_eq!((reported.failure(), reported.message()), (Some(Failure::ServerError), "no such model"));
    let nonsense = whole(&["nonsense".to_owned(), "[DONE]".to_owned()]);
    assert_eq!(nonsense.failure(), Some(Failure::BadResponse));
}

/// Counts and stamps exist on every path, even if empty.
#[test]
fn every_answer_has_counts_and_stamps() {
    for stream in [true, false] {
        let mut answer = Answer::new(Endpoint::Chat, stream);
        assert_eq!((answer.failure(), answer.message()), (None, ""));
        answer.end(End::Lost, 3);
        assert_eq!(answer.failure(), Some(Failure::StreamTruncated));
        assert_eq!((answer.text(), answer.reasoning(), answer.tool_calls().len()), ("", "", 0));
        assert_eq!((answer.stamps().first_byte_ns, answer.stamps().ended_ns), (None, Some(3)));
        assert_eq!(answer.counts().prompt_tokens, None);
    }
}
