//! A call as a conversation in the form of `OpenAI`'s chat completions, with its text.

use agentgen_replay::answer::{Answer, Endpoint};
use serde_json::{Value, json};

/// The messages of a request; none of one that cannot be read.
pub fn request_messages(endpoint: Endpoint, body: &Value) -> Vec<Value> {
    let mut messages = Vec::new();
    let system = body.get("system").or(body.get("instructions")).filter(|system| !system.is_null());
    messages.extend(system.map(|system| json!({"role": "system", "content": system})));
    match endpoint {
        Endpoint::Chat => messages.extend(list(body, "messages").iter().cloned()),
        Endpoint::Completions => {
            messages.extend(body.get("prompt").map(|text| json!({"role": "user", "content": text})));
        }
        Endpoint::Messages => {
            for message in list(body, "messages") {
                add_message(message, &mut messages);
            }
        }
        Endpoint::Responses => {
            if let Some(text @ Value::String(_)) = body.get("input") {
                messages.push(json!({"role": "user", "content": text}));
            }
            for item in list(body, "input") {
                add_item(item, &mut messages);
            }
        }
    }
    messages
}

/// The message of an answer.
pub fn answer_message(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": answer.text()});
    if !answer.reasoning().is_empty() {
        message["reasoning_content"] = answer.reasoning().into();
    }
    if !answer.tool_calls().is_empty() {
        message["tool_calls"] = json!(answer.tool_calls());
    }
    message
}

fn list<'a>(body: &'a Value, key: &str) -> &'a [Value] {
    body.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn kind(block: &Value) -> &str {
    block.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// Adds a message of Anthropic: results of tools are messages of their own.
fn add_message(message: &Value, messages: &mut Vec<Value>) {
    let role = &message["role"];
    let Some(blocks) = message.get("content").and_then(Value::as_array) else {
        messages.push(message.clone());
        return;
    };
    let (mut content, mut calls, mut reasoning) = (Vec::new(), Vec::new(), String::new());
    for block in blocks {
        match kind(block) {
            "tool_result" => messages
                .push(json!({"role": "tool", "tool_call_id": block["tool_use_id"], "content": block["content"]})),
            "tool_use" => calls.push(call(&block["id"], &block["name"], &block["input"])),
            "thinking" => reasoning.push_str(block["thinking"].as_str().unwrap_or_default()),
            _ => content.push(block.clone()),
        }
    }
    if !(content.is_empty() && calls.is_empty() && reasoning.is_empty()) {
        messages.push(spoken(role, content, calls, &reasoning));
    }
}

/// Adds an item of a response: what an answer holds in several items is one message.
fn add_item(item: &Value, messages: &mut Vec<Value>) {
    match kind(item) {
        "function_call_output" | "custom_tool_call_output" => {
            messages.push(json!({"role": "tool", "tool_call_id": item["call_id"], "content": item["output"]}));
        }
        "function_call" | "custom_tool_call" => {
            let input = item.get("arguments").or(item.get("input")).unwrap_or(&Value::Null);
            let call = call(&item["call_id"], &item["name"], input);
            match messages.last_mut().filter(|last| last["role"] == "assistant") {
                Some(last) => match last.get_mut("tool_calls").and_then(Value::as_array_mut) {
                    Some(calls) => calls.push(call),
                    None => last["tool_calls"] = json!([call]),
                },
                None => messages.push(spoken(&json!("assistant"), Vec::new(), vec![call], "")),
            }
        }
        _ if item.get("role").is_some() => messages.push(json!({"role": item["role"], "content": item["content"]})),
        // Reasoning is encrypted, or a summary.
        _ => {}
    }
}

fn spoken(role: &Value, content: Vec<Value>, calls: Vec<Value>, reasoning: &str) -> Value {
    let mut message = json!({"role": role});
    message["content"] = content.into();
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

fn call(id: &Value, name: &Value, input: &Value) -> Value {
    let arguments = input.as_str().map_or_else(|| input.to_string(), str::to_owned);
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One conversation in three APIs is the same in the form of chat completions.
    #[test]
    fn conversations_of_all_apis_are_those_of_chat_completions() {
        let text = |text: &str| json!([{"type": "text", "text": text}]);
        let chat = json!({"messages": [
            {"role": "system", "content": "be good"},
            {"role": "user", "content": text("look")},
            {"role": "assistant", "content": text("I do"), "tool_calls": [call(&json!("c"), &json!("ls"), &json!("{\"a\":1}"))]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
            {"role": "user", "content": text("more")},
        ]});
        let anthropic = json!({"system": "be good", "messages": [
            {"role": "user", "content": text("look")},
            {"role": "assistant", "content": [{"type": "text", "text": "I do"}, {"type": "tool_use", "id": "c", "name": "ls", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}, {"type": "text", "text": "more"}]},
        ]});
        let responses = json!({"instructions": "be good", "input": [
            {"role": "user", "content": text("look")},
            {"type": "reasoning", "summary": []},
            {"type": "message", "role": "assistant", "content": text("I do")},
            {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "c", "output": "ok"},
            {"role": "user", "content": text("more")},
        ]});
        let expected = chat["messages"].as_array().cloned().unwrap_or_default();
        for (endpoint, body) in
            [(Endpoint::Chat, chat), (Endpoint::Messages, anthropic), (Endpoint::Responses, responses)]
        {
            assert_eq!(request_messages(endpoint, &body), expected, "{endpoint:?}");
        }
        let completion = request_messages(Endpoint::Completions, &json!({"prompt": "x"}));
        assert_eq!(completion, [json!({"role": "user", "content": "x"})]);
    }
}
