//! Common prefixes of prompts.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// A conversation of exchanges: calls with as many results, or words.
fn exchanges() -> impl Strategy<Value = Vec<Value>> {
    let text = || select(vec!["a", "line\nbreak", "\"quoted\"", "ü€😀", " ", "\u{0}\u{1f}\\", "[{}]"]);
    let exchange = (text(), text(), 0..3_usize, any::<bool>());
    let exchanges = prop::collection::vec(exchange, 1..8);
    (exchanges, prop::option::of(text()), any::<bool>()).prop_map(|(exchanges, system, ends_with_user)| {
        let mut rows = Vec::new();
        for (turn, (question, reply, called, thinks)) in exchanges.into_iter().enumerate() {
            rows.push(user(question));
            let ids: Vec<_> = (0..called).map(|call| format!("{turn}-{call}")).collect();
            let ids: Vec<_> = ids.iter().map(String::as_str).collect();
            if called > 0 {
                rows.extend([calls(&ids), results(&ids)]);
            }
            rows.push(answer(reply));
            if thinks {
                rows.last_mut().unwrap()["reasoning_content"] = json!(reply);
            }
        }
        if ends_with_user {
            rows.push(user("more"));
        }
        if let Some(system) = system {
            rows[0]["system"] = json!(system);
        }
        rows
    })
}

/// The items of the `messages` array of a body, as they stand there.
fn items(request: &Request) -> &[u8] {
    let start = br#"{"messages":["#;
    assert!(request.body.starts_with(start));
    let mut stream = serde_json::Deserializer::from_slice(&request.body[start.len() - 1..]).into_iter::<Value>();
    stream.next().unwrap().unwrap();
    &request.body[start.len()..start.len() - 2 + stream.byte_offset()]
}

/// All prompts of a session; live answers call as many tools as the recorded ones, under other ids.
fn prompts(rows: &[Value], history: History, salt: &str) -> Vec<Vec<u8>> {
    let mut session = MessagesSession::new(conversation(rows), &options(history, salt, &json!({})));
    let mut prompts = Vec::new();
    for row in rows {
        let (text, calls) = match (row["role"].as_str(), &row["tool_calls"]) {
            (Some("user" | "tool"), _) => {
                prompts.push(items(&session.request().unwrap()).to_vec());
                continue;
            }
            (_, Value::Array(calls)) if !calls.is_empty() => {
                ("", calls.iter().map(|call| format!("live-{}", call["id"])).collect())
            }
            _ => ("answer", Vec::new()),
        };
        let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
        session.answered(text, "", &live(&calls), None).unwrap();
    }
    assert_eq!(prompts.len(), session.turns());
    prompts
}

proptest! {
    #[test]
    fn every_prompt_begins_with_the_one_before(rows in exchanges(), salted in any::<bool>()) {
        let salt = if salted { "5f0c0ffee15d00d5" } else { "" };
        for history in [History::Recorded, History::Live] {
            let prompts = prompts(&rows, history, salt);
            for pair in prompts.windows(2) {
                prop_assert!(pair[1].len() > pair[0].len() && pair[1].starts_with(&pair[0]));
                // The new bytes begin with a new message.
                prop_assert_eq!(pair[1][pair[0].len()], b',');
            }
        }
    }

    #[test]
    fn a_recorded_history_is_the_rows_in_their_order(rows in exchanges()) {
        let prompts = prompts(&rows, History::Recorded, "");
        let mut expected: Vec<Value> = Vec::new();
        if let Some(system) = rows[0]["system"].as_str() {
            expected.push(json!({"role": "system", "content": system}));
        }
        let mut at = 0;
        for row in &rows {
            if row["role"] == "tool" {
                for result in row["tool_results"].as_array().unwrap() {
                    let (id, content) = (&result["tool_call_id"], &result["content"]);
                    expected.push(json!({"role": "tool", "tool_call_id": id, "content": content}));
                }
            } else {
                let mut message = row.clone();
                message.as_object_mut().unwrap().remove("system");
                message["content"] = row["content"].clone();
                expected.push(message);
            }
            if row["role"] != "assistant" {
                let found: Value = serde_json::from_str(&format!("[{}]", String::from_utf8(prompts[at].clone()).unwrap())).unwrap();
                prop_assert_eq!(&found, &Value::from(expected.clone()));
                at += 1;
            }
        }
    }
}

/// Whether a server accepts the messages: one result for each call of the message before.
fn is_paired(messages: &[Value]) -> bool {
    let mut open: Vec<&Value> = Vec::new();
    for message in messages {
        if message["role"] == "tool" {
            let Some(at) = open.iter().position(|id| **id == message["tool_call_id"]) else { return false };
            open.remove(at);
        } else if open.is_empty() {
            open = message["tool_calls"].as_array().into_iter().flatten().map(|call| &call["id"]).collect();
        } else {
            return false;
        }
    }
    open.is_empty()
}

proptest! {
    /// Whatever a server answers, it gets messages that it accepts, or none.
    #[test]
    fn no_request_breaks_the_pairing(
        rows in exchanges(),
        answers in prop::collection::vec(prop::collection::vec(select(vec!["", "p", "q", "r", "0-0"]), 0..4), 30),
        obeys in 0..4_usize,
    ) {
        let mut session = session(&rows, History::Live);
        let (mut sent_requests, mut is_over) = (0, false);
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row["role"] != "assistant") {
            let Ok(request) = session.request() else {
                is_over = true;
                break;
            };
            let messages = sent(&request)["messages"].as_array().unwrap().clone();
            prop_assert!(is_paired(&messages), "{messages:?}");
            sent_requests += 1;
            // At first the server answers like the trace.
            let recorded = rows.get(at + 1).and_then(|row| row["tool_calls"].as_array()).map_or(0, Vec::len);
            let like_the_trace: Vec<_> = ["p", "q"].into_iter().take(recorded).collect();
            let answer = if sent_requests > obeys { &answers[at % 30] } else { &like_the_trace };
            if session.answered(row["content"].as_str().unwrap_or(""), "", &live(answer), None).is_err() {
                is_over = true;
                break;
            }
        }
        prop_assert!(is_over || sent_requests == session.turns());
    }
}

#[test]
fn the_salt_precedes_the_first_text() {
    let mut rows = [user("question"), answer("b"), user("question")];
    let texts = |rows: &[Value], salt: &str| {
        let request = MessagesSession::new(conversation(rows), &options(History::Recorded, salt, &json!({}))).request();
        let sent = sent(&request.unwrap())["messages"].clone();
        sent.as_array().unwrap().iter().map(|m| m["content"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&rows, ""), ["question"]);
    assert_eq!(texts(&rows, "s1"), ["s1\nquestion"]);
    rows[0]["system"] = json!("be kind");
    assert_eq!(texts(&rows, "s1"), ["s1\nbe kind", "question"]);
    // Two runs share the bytes before the first text, and nothing of it.
    let [one, other] = ["1a", "2b"].map(|salt| prompts(&rows, History::Recorded, salt).remove(0));
    let common = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
    assert_eq!(&one[..common], br#"{"role":"system","content":""#);
    // Later messages have no salt.
    let salted = prompts(&rows, History::Recorded, "s1");
    assert_eq!(String::from_utf8(salted[1].clone()).unwrap().matches("s1").count(), 1);
}
