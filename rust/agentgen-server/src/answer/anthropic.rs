//! Answers of Anthropic's Messages API.

use serde_json::{Value, json};

use super::items::{Item, Kind};
use super::{Answer, failed};
use crate::document::Piece;
use crate::steps::{Part, Step};

/// The type of an event.
pub(super) fn name(answer: &Answer, step: Step) -> &'static str {
    let is_thinking = |item: usize| answer.items.get(item).is_some_and(|item| item.kind == Kind::Reasoning);
    match step.part {
        Part::Begin(0) => "message_start",
        Part::Begin(_) => "ping",
        Part::Open { .. } => "content_block_start",
        Part::Token | Part::Malformed => "content_block_delta",
        // Before the end of a thinking comes its signature.
        Part::Close { item, event: 0 } if is_thinking(item) => "content_block_delta",
        Part::Close { .. } => "content_block_stop",
        Part::Finish => "message_delta",
        Part::Error => "error",
        _ => "message_stop",
    }
}

/// Appends the data of an event.
pub(super) fn encode(answer: &Answer, step: Step, out: &mut Vec<u8>) {
    let name = name(answer, step);
    let mut event = match step.part {
        Part::Begin(0) => {
            let mut message = message(answer, true);
            message["content"] = json!([]);
            if !answer.dialect.no_usage {
                message["usage"] = usage(answer, 1);
            }
            json!({"message": message})
        }
        Part::Open { item, .. } => match answer.items.get(item) {
            Some(&open) => {
                let mut block = block(answer, Item { end: open.first, ..open });
                if open.kind == Kind::Reasoning {
                    block["signature"] = "".into();
                }
                json!({"index": item, "content_block": block})
            }
            None => return,
        },
        Part::Token => return token(answer, step.token, out),
        Part::Close { item, .. } if name == "content_block_delta" => {
            json!({"index": item, "delta": {"type": "signature_delta", "signature": signature(answer)}})
        }
        Part::Close { item, .. } => json!({"index": item}),
        Part::Finish => {
            let mut event = json!({"delta": {"stop_reason": stop_reason(answer), "stop_sequence": null}});
            if !answer.dialect.no_usage {
                event["usage"] = usage(answer, answer.tokens);
            }
            event
        }
        Part::Error => json!({"error": {"type": "api_error", "message": failed::MESSAGE}}),
        Part::Malformed => {
            out.extend_from_slice(br#"{"type":"content_block_delta","index":0,"delta":{"type":"#);
            return;
        }
        _ => json!({}),
    };
    event["type"] = name.into();
    out.extend_from_slice(event.to_string().as_bytes());
}

fn token(answer: &Answer, token: u32, out: &mut Vec<u8>) {
    let Some((at, item)) = answer.item_of(token) else { return };
    let (kind, field) = match item.kind {
        Kind::Reasoning => ("thinking_delta", "thinking"),
        Kind::Text => ("text_delta", "text"),
        Kind::Call(_) => ("input_json_delta", "partial_json"),
    };
    let delta = Value::from(answer.delta(item, token));
    let event =
        format!(r#"{{"type":"content_block_delta","index":{at},"delta":{{"type":"{kind}","{field}":{delta}}}}}"#);
    out.extend_from_slice(event.as_bytes());
}

fn stop_reason(answer: &Answer) -> &'static str {
    match (answer.calls.is_empty(), answer.is_limited()) {
        (false, _) => "tool_use",
        (true, true) => "max_tokens",
        (true, false) => "end_turn",
    }
}

fn signature(answer: &Answer) -> String {
    format!("{:032x}", answer.key)
}

fn block(answer: &Answer, item: Item) -> Value {
    let content = answer.content(item);
    match item.kind {
        Kind::Reasoning => json!({"type": "thinking", "thinking": content, "signature": signature(answer)}),
        Kind::Text => json!({"type": "text", "text": content}),
        Kind::Call(call) => {
            let super::Call { name, id, .. } = &answer.calls[call];
            let input = serde_json::from_str(&content).unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": id, "name": name, "input": input})
        }
    }
}

/// The message without its content.
fn message(answer: &Answer, no_finish: bool) -> Value {
    json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.template.model_name,
        "stop_reason": if no_finish { None } else { Some(stop_reason(answer)) },
        "stop_sequence": null,
    })
}

/// Tokens of the prompt in the cache, those that its full blocks bring into the cache, and the rest are counted apart.
fn usage(answer: &Answer, output_tokens: u32) -> Value {
    let (prompt, cached) = (answer.prompt_tokens, u64::from(answer.cached_tokens));
    let block = u64::from(answer.template.block_tokens);
    let created = (prompt / block * block).saturating_sub(cached);
    json!({
        "input_tokens": prompt - cached - created,
        "cache_creation_input_tokens": created,
        "cache_read_input_tokens": cached,
        "output_tokens": output_tokens,
    })
}

/// The answer as one document.
pub(super) fn document(answer: &Answer, no_finish: bool) -> Vec<Piece> {
    let mut frame = message(answer, no_finish);
    if !answer.dialect.no_usage {
        frame["usage"] = usage(answer, answer.tokens);
    }
    answer.pieces(&frame, "content", |_, item| block(answer, item))
}
