//! Parameters of requests.

use agentgen_trace::transcript::Parameters;

use super::*;

/// Three values of every parameter: of the run, of the conversation, of the row.
fn values(name: &str) -> [Value; 3] {
    let tool = |name: &str| json!([{"type": "function", "function": {"name": name}}]);
    match name {
        "tools" => ["run", "conversation", "row"].map(tool),
        "tool_choice" => [json!("auto"), json!("none"), json!({"type": "function", "function": {"name": "f"}})],
        "model" | "user" | "chat_template" => [json!("r"), json!("c"), json!("w")],
        "stop" => [json!("r"), json!(["c"]), json!("w")],
        "stream" => [json!(false), json!(true), json!(false)],
        "temperature" | "top_p" => [json!(0.1), json!(0.2), json!(0.30)],
        "frequency_penalty" | "presence_penalty" => [json!(-2), json!(0), json!(1.5)],
        "logit_bias" | "chat_template_kwargs" => [json!({"1": 1}), json!({"2": 2}), json!({})],
        _ => [json!(11), json!(12), json!(13)],
    }
}

#[test]
fn the_row_goes_before_the_conversation_and_that_before_the_run() {
    assert_eq!(flat::PARAMETERS.len(), 20);
    for name in flat::PARAMETERS {
        let [run, of_conversation, of_row] = values(name);
        // The first user row, a tool row and a later user row, with and without parameters of their own.
        for (has_conversation, has_row) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut rows = [
                user("a"),
                calls(&["x"]),
                results(&["x"]),
                answer("b"),
                user("c"),
                calls(&["y"]),
                results(&["y"]),
                user("d"),
            ];
            if has_conversation {
                rows[0][name] = of_conversation.clone();
            }
            if has_row {
                (rows[2][name], rows[4][name]) = (of_row.clone(), of_row.clone());
            }
            let all = if has_conversation { &of_conversation } else { &run };
            let row = if has_row { &of_row } else { all };
            let wire = if Parameters::LIMITS.contains(name) { "max_completion_tokens" } else { name };
            let mut request = json!({});
            // The run cannot use a name that no server accepts, and has an option of its own for streams.
            if *name != "stream" {
                request[if *name == "max_new_tokens" { wire } else { name }] = run.clone();
            }
            let wire = if *name == "max_tokens" { name } else { wire };
            let bodies = bodies(&rows, &request);
            let found: Vec<_> = bodies.iter().map(|body| &body[wire]).collect();
            assert_eq!(found, [all, row, row, all, all], "{name} {has_conversation} {has_row}");
        }
    }
}

#[test]
fn values_are_sent_as_they_are_written() {
    let mut first = user("12");
    first["max_new_tokens"] = json!(7);
    first["temperature"] = serde_json::from_str("0.70").unwrap();
    let tools = r#"[{"type":"function","function":{"name":"f","parameters":{"big":12345678901234567890123,"x":1.0}}}]"#;
    let row = json!({"conversation_id": "007", "turn": 1, "role": "user", "content": "12", "seed": 1}).to_string();
    let row = format!("{},\"tools\":{tools},\"temperature\":0.70}}", row.trim_end_matches('}'));
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{row}").unwrap();
    let conversation = flat::read(file.path(), &Cancel::default()).next().unwrap().unwrap();
    let mut session = MessagesSession::new(conversation, &options(History::Live, "", &json!({})));
    assert_eq!(session.key(), "007");
    let body = String::from_utf8(session.request().unwrap().body).unwrap();
    let expected =
        r#"{"messages":[{"role":"user","content":"12"}],"model":"m","seed":1,"stream":false,"temperature":0.70,"#;
    assert_eq!(body, format!("{expected}\"tools\":{tools}}}"));
    assert_eq!(bodies(&[first], &json!({}))[0]["max_completion_tokens"], json!(7));
}

#[test]
fn one_limit_is_sent_whatever_its_name() {
    let limit = |row: Value, run: Value, history: History| {
        let mut first = user("a");
        row.as_object().unwrap().iter().for_each(|(name, value)| first[name] = value.clone());
        let mut session = MessagesSession::new(conversation(&[first, answer("12345678")]), &options(history, "", &run));
        let body = sent(&session.request().unwrap());
        let given = Parameters::LIMITS.iter().filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.as_u64()?)));
        given.collect::<Vec<_>>()
    };
    let all = json!({"max_new_tokens": 1, "max_completion_tokens": 2, "max_tokens": 3});
    let completion = |tokens| vec![("max_completion_tokens".to_owned(), tokens)];
    for history in [History::Live, History::Recorded] {
        assert_eq!(limit(all.clone(), json!({}), history), completion(1));
        assert_eq!(limit(json!({"max_completion_tokens": 2, "max_tokens": 3}), all.clone(), history), completion(2));
        assert_eq!(limit(json!({"max_tokens": 3}), json!({"max_completion_tokens": 9}), history), completion(3));
        assert_eq!(limit(json!({}), json!({"max_completion_tokens": 9}), history), completion(9));
        // A run can choose the old name for servers that support no other.
        assert_eq!(
            limit(json!({"max_new_tokens": 5}), json!({"max_tokens": 9}), history),
            [("max_tokens".to_owned(), 5)]
        );
    }
    // A name that the server does not know is left out, and so is the limit without any name.
    assert_eq!(
        limit(json!({"max_tokens": 3}), json!({"max_completion_tokens": null}), History::Live),
        [("max_tokens".to_owned(), 3)]
    );
    let neither = json!({"max_completion_tokens": null, "max_tokens": null});
    assert_eq!(limit(json!({"max_tokens": 3}), neither, History::Live), []);
    // Without a limit: the length of the recorded answer, or no limit for live answers.
    assert_eq!(limit(json!({}), json!({}), History::Recorded), completion(2));
    assert_eq!(limit(json!({}), json!({}), History::Live), []);
}

#[test]
fn only_streams_ask_for_usage() {
    let mut rows = [user("a"), answer("b"), user("c")];
    rows[0]["stream"] = json!(true);
    rows[2]["stream"] = json!(false);
    let found = bodies(&rows, &json!({}));
    assert_eq!((&found[0]["stream"], &found[0]["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    assert_eq!((&found[1]["stream"], found[1].get("stream_options")), (&json!(false), None));
    let own = bodies(&rows, &json!({"stream_options": {"x": 1}}));
    assert_eq!((&own[0]["stream_options"], own[1].get("stream_options")), (&json!({"x": 1}), None));
    let mut session = MessagesSession::new(conversation(&rows), &options(History::Recorded, "", &json!({})));
    assert_eq!([session.request().unwrap().stream, session.request().unwrap().stream], [true, false]);
}

#[test]
fn delays_are_kept_and_never_sent() {
    let mut rows = [user("a"), calls(&["x"]), results(&["x"]), answer("b"), user("c")];
    rows[0]["delay_seconds"] = json!(0.25);
    rows[2]["delay_seconds"] = json!(1.5);
    let mut session = session(&rows, History::Recorded);
    let mut delays = Vec::new();
    for _ in 0..session.turns() {
        delays.push(session.delay_ms());
        session.request().unwrap();
    }
    assert_eq!((delays, session.delay_ms()), (vec![250.0, 1500.0, 0.0], 0.0));
    assert!(bodies(&rows, &json!({})).iter().all(|body| !body.to_string().contains("delay")));
}

#[test]
fn the_run_replaces_and_drops_fields() {
    let body = &bodies(&[user("a")], &json!({"min_tokens": 5, "model": "other", "x\"": [1]}))[0];
    assert_eq!([&body["min_tokens"], &body["model"], &body["x\""]], [&json!(5), &json!("other"), &json!([1])]);
    let mut row = user("a");
    (row["stream"], row["temperature"], row["seed"]) = (json!(true), json!(0.5), json!(1));
    let body = &bodies(&[row], &json!({"stream_options": null, "temperature": null, "model": null}))[0];
    let names: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["max_completion_tokens", "messages", "seed", "stream"]);
}
