//! A request as the tap has collected it.

use std::borrow::Cow;

use agentgen_formats::import::formats::request::{Body, Section, Sections};
use agentgen_replay::answer::{Answer, Endpoint};
use serde_json::{Value, json};

use crate::client::Names;
use crate::decode::Decoder;

/// Most bytes of a request's body that are kept to be read.
pub const MAX_BYTES: usize = 64 << 20;

/// The API of a path; `None` for other paths.
pub fn endpoint(method: &str, path: &str) -> Option<Endpoint> {
    let path = path.split('?').next().unwrap_or_default().trim_end_matches('/');
    let ends = [
        ("/chat/completions", Endpoint::Chat),
        ("/completions", Endpoint::Completions),
        ("/responses", Endpoint::Responses),
        ("/messages", Endpoint::Messages),
    ];
    ends.into_iter().find(|(end, _)| method == "POST" && path.ends_with(end)).map(|(_, endpoint)| endpoint)
}

/// The name of an API in journals.
pub fn name(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Chat => "chat",
        Endpoint::Completions => "completions",
        Endpoint::Responses => "responses",
        Endpoint::Messages => "messages",
    }
}

/// What begins the line that Claude Code puts before its system prompt. It is another one in each request.
const ATTRIBUTION: &str = "x-anthropic-billing-header:";

/// A system prompt without the line that differs in each request.
pub fn without_attribution(section: &Section) -> &str {
    let text = &*section.text;
    if section.role == "system" && text.starts_with(ATTRIBUTION) {
        return text.split_once('\n').map_or("", |(_, rest)| rest);
    }
    text
}

/// What a request says.
pub struct Read {
    pub model: Option<String>,
    pub names: Names,
    pub prompt: Sections,
    pub has_tools: bool,
}

/// Reads the body of a request; `None` if it cannot be read.
pub fn read(body: &[u8], encoding: Option<&str>) -> Option<Read> {
    let body = &*decoded(body, encoding)?;
    let members: Body = serde_json::from_slice(body).ok()?;
    let names = serde_json::from_slice(body).unwrap_or_default();
    let prompt = members.sections().ok()?;
    let has_tools = prompt.list.first().is_some_and(|section| section.role == "tools");
    Some(Read { model: members.model, names, prompt, has_tools })
}

/// A body without its compression; none if it does not have that.
pub fn decoded<'a>(body: &'a [u8], encoding: Option<&str>) -> Option<Cow<'a, [u8]>> {
    let mut decoder = Decoder::new(encoding);
    if let Decoder::Plain = decoder {
        return Some(body.into());
    }
    let mut decoded = Vec::new();
    for part in body.chunks(1 << 16) {
        decoder.add(part, |data| decoded.extend_from_slice(data));
        if !decoder.is_readable() || decoded.len() > MAX_BYTES {
            return None;
        }
    }
    Some(decoded.into())
}

/// An answer as the next prompt has it.
pub fn answer_sections(endpoint: Endpoint, answer: &Answer) -> Vec<Section> {
    let calls = answer.tool_calls();
    let message = match endpoint {
        Endpoint::Completions => return Vec::new(),
        Endpoint::Chat | Endpoint::Responses => {
            json!({"role": "assistant", "content": answer.text(), "tool_calls": if endpoint == Endpoint::Chat { calls } else { &[] }})
        }
        Endpoint::Messages => {
            let thinking = json!({"type": "thinking", "thinking": answer.reasoning()});
            let text = json!({"type": "text", "text": answer.text()});
            let texts = [(thinking, answer.reasoning()), (text, answer.text())];
            let texts = texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(block, _)| block);
            let calls = calls.iter().map(|call| {
                let input: Value = serde_json::from_str(&call.function.arguments).unwrap_or_else(|_| json!({}));
                json!({"type": "tool_use", "name": call.function.name, "input": input})
            });
            json!({"role": "assistant", "content": texts.chain(calls).collect::<Vec<_>>()})
        }
    };
    let mut items = Vec::new();
    if endpoint != Endpoint::Responses || !answer.text().is_empty() {
        items.push(message);
    }
    if endpoint == Endpoint::Responses {
        let call = |call: &agentgen_replay::answer::ToolCall| json!({"type": "function_call", "name": call.function.name, "arguments": call.function.arguments});
        items.extend(calls.iter().map(call));
    }
    let body = Body { messages: Some(items), ..Body::default() };
    body.sections().map(|sections| sections.list).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use agentgen_replay::answer::End;

    #[test]
    fn paths_are_known_by_their_end() {
        for (method, path, expected) in [
            ("POST", "/v1/chat/completions", Some(Endpoint::Chat)),
            ("POST", "/openai/deployments/x/chat/completions?api-version=1", Some(Endpoint::Chat)),
            ("POST", "/v1/completions/", Some(Endpoint::Completions)),
            ("POST", "/v1/messages?beta=true", Some(Endpoint::Messages)),
            ("POST", "/responses", Some(Endpoint::Responses)),
            ("POST", "/v1/messages/count_tokens", None),
            ("GET", "/v1/responses", None),
        ] {
            assert_eq!(endpoint(method, path), expected, "{path}");
        }
    }

    /// An answer is rendered as the message with which a client sends it back.
    #[test]
    fn answers_are_rendered_as_the_next_prompt_has_them() {
        let cases = [
            (
                Endpoint::Chat,
                r#"{"choices":[{"message":{"content":"hi","tool_calls":[{"id":"c","function":{"name":"ls","arguments":"{\"a\":1}"}}]}}]}"#,
                r#"{"messages":[{"role":"assistant","content":"hi","tool_calls":[{"id":"c","function":{"name":"ls","arguments":"{\"a\":1}"}}]}]}"#,
            ),
            (
                Endpoint::Messages,
                r#"{"content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"hi"},{"type":"tool_use","id":"c","name":"ls","input":{"b":2,"a":1}}]}"#,
                r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},{"type":"text","text":"hi"},{"type":"tool_use","id":"c","name":"ls","input":{"a":1,"b":2}}]}]}"#,
            ),
            (
                Endpoint::Responses,
                r#"{"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]},{"type":"function_call","call_id":"c","name":"ls","arguments":"{}"}]}"#,
                r#"{"input":[{"role":"assistant","content":[{"type":"output_text","text":"hi"}]},{"type":"function_call","call_id":"c","name":"ls","arguments":"{}"}]}"#,
            ),
        ];
        for (endpoint, document, next) in cases {
            let mut answer = Answer::new(endpoint, false);
            answer.feed(document.as_bytes(), 0);
            answer.end(End::Complete, 0);
            assert_eq!(answer.failure(), None);
            let expected = read(next.as_bytes(), None).unwrap().prompt.list;
            assert_eq!(answer_sections(endpoint, &answer), expected, "{endpoint:?}");
        }
    }

    #[test]
    fn a_compressed_request_is_read() {
        let body = br#"{"model":"m","prompt":"a b"}"#;
        let compressed = zstd::encode_all(&body[..], 1).unwrap();
        assert_eq!(read(&compressed, Some("zstd")).unwrap().model.as_deref(), Some("m"));
        assert!(read(&compressed, None).is_none() && read(body, Some("gzip")).is_none());
    }
}
