//! Answers in later prompts.

use super::*;
use crate::answer::ReasoningField;

fn sent_messages(session: &mut MessagesSession) -> Vec<Value> {
    sent(&session.request().unwrap())["messages"].as_array().unwrap().clone()
}

#[test]
fn messages_have_the_form_of_the_wire() {
    let mut calling = calls(&["x", "y"]);
    calling["tool_calls"][1]["function"]["arguments"] = json!({"b": [1, null], "a": "ü\n"});
    let body = &bodies(&[user("a"), calling, results(&["y", "x"])], &json!({}))[1];
    let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
    let expected = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null,
         "tool_calls": [call("x", "{}"), call("y", "{\"a\":\"ü\\n\",\"b\":[1,null]}")]},
        {"role": "tool", "tool_call_id": "y", "content": "result y"},
        {"role": "tool", "tool_call_id": "x", "content": "result x"},
    ]);
    assert_eq!(body["messages"], expected);
}

#[test]
fn names_reasoning_and_tools_are_kept() {
    let tools = json!([{"type": "function", "function": {"name": "f"}}]);
    let mut rows = [user("a"), calls(&["x"]), results(&["x"]), answer("b"), user("c")];
    (rows[0]["name"], rows[0]["tools"], rows[0]["system"]) = (json!("ann"), tools.clone(), json!("be kind"));
    (rows[1]["reasoning_content"], rows[1]["content"]) = (json!("hm"), json!(""));
    rows[2]["name"] = json!("shell");
    (rows[3]["name"], rows[3]["reasoning_content"]) = (json!("bot"), json!("so"));
    let bodies = bodies(&rows, &json!({}));
    assert!(bodies.iter().all(|body| body["tools"] == tools));
    let last = &bodies[2]["messages"];
    assert_eq!(last[0], json!({"role": "system", "content": "be kind"}));
    assert_eq!(last[1], json!({"role": "user", "name": "ann", "content": "a"}));
    assert_eq!((&last[2]["reasoning_content"], &last[2]["content"]), (&json!("hm"), &json!("")));
    assert_eq!((&last[3]["name"], &last[3]["role"]), (&json!("shell"), &json!("tool")));
    assert_eq!(last[4], json!({"role": "assistant", "name": "bot", "content": "b", "reasoning_content": "so"}));
}

#[test]
fn absent_content_is_null_and_empty_content_a_string() {
    let rows = [user("a"), calls(&["x"]), results(&["x"]), answer("b"), user("c")];
    let mut session = session(&rows, History::Live);
    sent_messages(&mut session);
    session.answered("", "", &live(&["n1"]), None).unwrap();
    let sent = sent_messages(&mut session);
    assert_eq!((&sent[1]["content"], sent[1].get("reasoning_content")), (&Value::Null, None));
    session.answered("", "thought", &[], None).unwrap();
    let sent = sent_messages(&mut session);
    assert_eq!((&sent[3]["content"], sent[3].get("tool_calls")), (&json!(""), None));
    let text = Value::from(sent).to_string();
    assert!(!text.contains("None") && !text.contains("\"null\""), "{text}");
}

#[test]
fn a_live_history_holds_what_the_server_answered() {
    let mut rows = [user("a"), answer("recorded"), user("b"), answer("recorded"), user("c")];
    rows[0]["system"] = json!("s");
    let mut session = session(&rows, History::Live);
    sent_messages(&mut session);
    session.answered("first", "thought", &[], None).unwrap();
    sent_messages(&mut session);
    session.answered("second", "", &[], None).unwrap();
    let expected = json!([
        {"role": "system", "content": "s"},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "first", "reasoning_content": "thought"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "second"},
        {"role": "user", "content": "c"},
    ]);
    assert_eq!(Value::from(sent_messages(&mut session)), expected);
}

/// Servers read in a history the field that they write in answers.
#[test]
fn live_reasoning_is_sent_back_in_the_field_in_which_it_came() {
    let rows = [user("a"), answer("recorded"), user("b")];
    for (history, name) in [(History::Live, "reasoning"), (History::Recorded, "reasoning_content")] {
        let mut rows = rows.clone();
        rows[1]["reasoning_content"] = json!("recorded");
        let mut session = session(&rows, history);
        sent_messages(&mut session);
        session.name_reasoning(ReasoningField::Newer);
        session.answered("first", "thought", &[], None).unwrap();
        let sent = sent_messages(&mut session);
        let fields: Vec<_> = sent[1].as_object().unwrap().keys().filter(|key| key.starts_with("reasoning")).collect();
        assert_eq!(fields, [name]);
    }
}

/// No prompt holds an empty turn of the assistant: neither as it came, nor because its reasoning is dropped.
#[test]
fn an_answer_without_content_ends_a_live_session() {
    let rows = [user("a"), answer("recorded"), user("b"), answer("recorded")];
    for (reasoning, thought, is_accepted) in [
        ("keep", "", false),
        ("keep", "thought", true),
        ("drop", "thought", false),
        ("in-tool-turns", "thought", false),
    ] {
        let mut session = session_with(&rows, reasoning);
        sent_messages(&mut session);
        let taken = session.answered("", thought, &[], Some(7));
        assert_eq!(taken.is_ok(), is_accepted, "{reasoning} {thought}");
        if let Err(error) = taken {
            let expected = "session c, turn 0: found an answer without text and tool calls (7 output tokens counted)";
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
    let mut last = session_with(&rows[..2], "keep");
    sent_messages(&mut last);
    assert!(last.answered("", "", &[], None).is_ok(), "no prompt holds the last answer");
}

#[test]
fn reasoning_is_kept_dropped_or_kept_since_the_last_message_of_the_user() {
    let mut rows = vec![user("a")];
    for (at, result) in [("x", true), ("y", false), ("z", true), ("w", true)] {
        let mut called = if result { calls(&[at]) } else { answer("b") };
        called["reasoning_content"] = json!(format!("thought {at}"));
        rows.push(called);
        rows.push(if result { results(&[at]) } else { user("c") });
    }
    let thoughts = |reasoning: &str| -> Vec<Vec<String>> {
        let mut session = recorded_with(&rows, reasoning);
        (0..session.turns())
            .map(|_| {
                let messages = sent_messages(&mut session);
                let thoughts = messages.iter().filter_map(|message| message["reasoning_content"].as_str());
                thoughts.map(|thought| thought.replace("thought ", "")).collect()
            })
            .collect()
    };
    assert_eq!(thoughts("keep"), [vec![], vec!["x"], vec!["x", "y"], vec!["x", "y", "z"], vec!["x", "y", "z", "w"]]);
    assert_eq!(thoughts("in-tool-turns"), [vec![], vec!["x"], vec![], vec!["z"], vec!["z", "w"]]);
    assert_eq!(thoughts("drop"), vec![Vec::<String>::new(); 5]);
}

#[test]
fn dropped_reasoning_does_not_count_as_tokens() {
    let mut rows = vec![user("a"), answer("b"), user("c")];
    rows[1]["reasoning_content"] = json!("a long thought");
    let tokens = |reasoning: &str| {
        let mut session = recorded_with(&rows, reasoning);
        let requests: Vec<_> = (0..session.turns()).map(|_| session.request().unwrap()).collect();
        requests[1].context_tokens
    };
    assert_eq!(tokens("keep") - tokens("drop"), 4);
}

#[test]
fn a_recorded_history_ignores_what_the_server_answered() {
    let rows = [user("a"), calls(&["x"]), results(&["x"])];
    let mut session = session(&rows, History::Recorded);
    sent_messages(&mut session);
    session.answered("something", "else", &live(&["n1", "n2"]), None).unwrap();
    let sent = sent_messages(&mut session);
    assert_eq!((&sent[1]["content"], &sent[1]["tool_calls"][0]["id"]), (&Value::Null, &json!("x")));
    assert_eq!(sent[2]["tool_call_id"], json!("x"));
}

#[test]
fn results_name_the_live_calls_in_their_places() {
    // The trace answers its second call first.
    let rows = [user("a"), calls(&["x", "y"]), results(&["y", "x"]), calls(&["z"]), results(&["z"])];
    let mut session = session(&rows, History::Live);
    sent_messages(&mut session);
    session.answered("t", "", &live(&["n1", "n2"]), None).unwrap();
    let sent = sent_messages(&mut session);
    assert_eq!((&sent[1]["tool_calls"][0]["id"], &sent[1]["tool_calls"][1]["id"]), (&json!("n1"), &json!("n2")));
    assert_eq!(sent[1]["tool_calls"][0]["function"], json!({"name": "g", "arguments": "{\"x\": 1}"}));
    let ids: Vec<_> = sent[2..].iter().map(|message| (&message["tool_call_id"], &message["content"])).collect();
    assert_eq!(ids, [(&json!("n2"), &json!("result y")), (&json!("n1"), &json!("result x"))]);
    // A server may repeat an id, and use one that the trace has elsewhere.
    session.answered("", "", &live(&["n1"]), None).unwrap();
    let sent = sent_messages(&mut session);
    assert_eq!(sent.last().unwrap()["tool_call_id"], json!("n1"));
}

#[test]
fn a_request_that_cannot_follow_the_live_answer_fails() {
    let two = [user("a"), calls(&["x", "y"]), results(&["x", "y"]), user("b")];
    let none = [user("a"), answer("b"), user("c")];
    let after_results = [user("a"), calls(&["x"]), results(&["x"]), user("b")];
    for (rows, answers, reason) in [
        (&two[..], vec![vec![]], "calls 0 tools, the trace has 2 results"),
        (&two, vec![vec!["n1"]], "calls 1 tool, the trace has 2 results"),
        (&two, vec![vec!["n1", "n2", "n3"]], "calls 3 tools, the trace has 2 results"),
        (&two, vec![vec!["n1", "n1"]], "two calls of the id \"n1\""),
        (&two, vec![vec!["n1", ""]], "calls \"g\" without an id"),
        (&none, vec![vec!["n1"]], "calls 1 tool, the trace has 0 results"),
        (&after_results, vec![vec!["n1"], vec!["n2"]], "calls 1 tool, the trace has 0 results"),
    ] {
        let mut session = session(rows, History::Live);
        for (turn, answer) in answers.iter().enumerate() {
            assert_eq!(session.request().unwrap().turn, turn);
            session.answered("t", "", &live(answer), None).unwrap();
        }
        let error = session.request().unwrap_err().to_string();
        assert!(error.contains(reason) && error.lines().count() == 1, "{error}");
        assert!(error.starts_with(&format!("session c, turn {}: ", answers.len())), "{error}");
        // The session stays failed, and its failure does not wait.
        assert_eq!(session.request().unwrap_err().to_string(), error);
        assert_eq!(session.delay_ms(), 0.0);
    }
    // No results follow the last request, so any answer is accepted.
    let mut session = session(&[user("a")], History::Live);
    session.request().unwrap();
    session.answered("", "", &live(&["n1"]), None).unwrap();
    assert!(session.request().unwrap_err().to_string().contains("no turn is left"));
}

#[test]
fn requests_and_answers_alternate() {
    let mut session = session(&[user("a"), answer("b"), user("c")], History::Live);
    assert!(session.answered("x", "", &[], None).unwrap_err().to_string().contains("without a request"));
    session.request().unwrap();
    assert!(session.request().unwrap_err().to_string().contains("no answer yet"));
    session.answered("x", "", &[], None).unwrap();
    assert!(session.answered("x", "", &[], None).is_err());
    session.request().unwrap();
}

#[test]
fn tokens_count_the_whole_prompt() {
    let mut rows = [user("1234"), answer("12345678"), user("1"), answer("12")];
    (rows[0]["system"], rows[0]["tools"]) = (json!("12345"), json!([{"type": "function", "function": {"name": "f"}}]));
    let tools = serde_json::to_string(&rows[0]["tools"]).unwrap().len().div_ceil(4) as u64;
    let mut recorded = session(&rows, History::Recorded);
    let [first, second] = [recorded.request().unwrap(), recorded.request().unwrap()];
    let lengths = |request: &Request| [request.context_tokens, request.input_tokens, request.output_tokens];
    assert_eq!(lengths(&first), [2 + 1 + tools, 2 + 1 + tools, 2]);
    assert_eq!(lengths(&second), [2 + 1 + tools + 2 + 1, 1, 1]);
    let mut live = session(&rows, History::Live);
    live.request().unwrap();
    live.answered("123456789", "1234", &[], None).unwrap();
    assert_eq!(live.request().unwrap().context_tokens, 2 + 1 + tools + 3 + 1 + 1);
}
