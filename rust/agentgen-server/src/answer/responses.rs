//! Answers of `OpenAI`'s Responses API.

use serde_json::{Value, json};

use super::items::{Item, Kind};
use super::{Answer, failed};
use crate::document::Piece;
use crate::steps::{Part, Step};

/// The type of an event.
pub(super) fn name(answer: &Answer, step: Step) -> &'static str {
    let kind = |item: usize| answer.items.get(item).map(|item| item.kind);
    match step.part {
        Part::Begin(0) => "response.created",
        Part::Begin(_) => "response.in_progress",
        Part::Open { event: 0, .. } => "response.output_item.added",
        Part::Open { .. } => "response.content_part.added",
        Part::Token | Part::Malformed => match answer.item_of(step.token).map(|(_, item)| item.kind) {
            Some(Kind::Reasoning) => "response.reasoning_text.delta",
            Some(Kind::Call(_)) => "response.function_call_arguments.delta",
            Some(Kind::Text) | None => "response.output_text.delta",
        },
        Part::Close { item, event } => match (kind(item), event) {
            (Some(Kind::Call(_)), 0) => "response.function_call_arguments.done",
            (Some(Kind::Reasoning), 0) => "response.reasoning_text.done",
            (_, 0) => "response.output_text.done",
            (Some(Kind::Reasoning | Kind::Text), 1) => "response.content_part.done",
            _ => "response.output_item.done",
        },
        Part::Error => "error",
        _ if answer.is_limited() => "response.incomplete",
        _ => "response.completed",
    }
}

/// Appends the data of an event.
pub(super) fn encode(answer: &Answer, step: Step, sequence: u64, out: &mut Vec<u8>) {
    let name = name(answer, step);
    let mut event = match step.part {
        Part::Begin(_) => json!({"response": response(answer, "in_progress", &json!([]))}),
        Part::Open { item, event } => match answer.items.get(item) {
            Some(&open) if event == 0 => json!({"output_index": item, "item": begun(answer, item, open)}),
            Some(&open) => {
                json!({"output_index": item, "item_id": item_id(answer, item, open), "content_index": 0, "part": part(open, "")})
            }
            None => return,
        },
        Part::Token => return token(answer, name, step.token, sequence, out),
        Part::Close { item, event } => match answer.items.get(item) {
            Some(&over) => closed(answer, item, over, event),
            None => return,
        },
        Part::Error => json!({"code": "server_error", "message": failed::MESSAGE, "param": null}),
        Part::Malformed => {
            out.extend_from_slice(br#"{"type":"response.output_text.delta","delta":"#);
            return;
        }
        _ => {
            let output: Vec<_> = answer.items.iter().enumerate().map(|(at, item)| ended(answer, at, *item)).collect();
            json!({"response": response(answer, status(answer), &Value::from(output))})
        }
    };
    event["type"] = name.into();
    event["sequence_number"] = sequence.into();
    out.extend_from_slice(event.to_string().as_bytes());
}

fn token(answer: &Answer, name: &str, token: u32, sequence: u64, out: &mut Vec<u8>) {
    let Some((at, item)) = answer.item_of(token) else { return };
    let (delta, id) = (Value::from(answer.delta(item, token)), item_id(answer, at, item));
    let index = if matches!(item.kind, Kind::Call(_)) { "" } else { r#""content_index":0,"# };
    let event = format!(
        r#"{{"type":"{name}","item_id":"{id}","output_index":{at},{index}"delta":{delta},"sequence_number":{sequence}}}"#
    );
    out.extend_from_slice(event.as_bytes());
}

fn closed(answer: &Answer, at: usize, item: Item, event: u8) -> Value {
    let id = item_id(answer, at, item);
    match (item.kind, event) {
        (Kind::Call(call), 0) => json!({
            "output_index": at, "item_id": id, "name": answer.calls[call].name, "arguments": answer.content(item),
        }),
        (_, 0) => json!({"output_index": at, "item_id": id, "content_index": 0, "text": answer.content(item)}),
        (Kind::Reasoning | Kind::Text, 1) => {
            json!({"output_index": at, "item_id": id, "content_index": 0, "part": part(item, &answer.content(item))})
        }
        _ => json!({"output_index": at, "item": ended(answer, at, item)}),
    }
}

fn item_id(answer: &Answer, at: usize, item: Item) -> String {
    let kind = match item.kind {
        Kind::Reasoning => "rs",
        Kind::Text => "msg",
        Kind::Call(_) => "fc",
    };
    format!("{kind}_{:016x}{at:04x}", answer.number)
}

fn part(item: Item, text: &str) -> Value {
    match item.kind {
        Kind::Reasoning => json!({"type": "reasoning_text", "text": text}),
        _ => json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}),
    }
}

fn begun(answer: &Answer, at: usize, item: Item) -> Value {
    let mut begun = ended(answer, at, Item { end: item.first, ..item });
    begun["status"] = "in_progress".into();
    if !matches!(item.kind, Kind::Call(_)) {
        begun["content"] = json!([]);
    }
    begun
}

fn ended(answer: &Answer, at: usize, item: Item) -> Value {
    let (id, content) = (item_id(answer, at, item), answer.content(item));
    match item.kind {
        Kind::Reasoning => {
            let parts = [part(item, &content)];
            json!({"id": id, "type": "reasoning", "summary": [], "content": parts, "status": "completed"})
        }
        Kind::Text => {
            let parts = [part(item, &content)];
            json!({"id": id, "type": "message", "role": "assistant", "content": parts, "status": "completed"})
        }
        Kind::Call(call) => {
            let super::Call { name, id: call_id, .. } = &answer.calls[call];
            let status = "completed";
            json!({"id": id, "type": "function_call", "call_id": call_id, "name": name, "arguments": content, "status": status})
        }
    }
}

fn status(answer: &Answer) -> &'static str {
    if answer.is_limited() { "incomplete" } else { "completed" }
}

/// The response with its output; with its usage when it is over.
fn response(answer: &Answer, status: &str, output: &Value) -> Value {
    let usage = if status == "in_progress" || answer.dialect.no_usage { Value::Null } else { usage(answer) };
    let reason = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    json!({
        "id": answer.id,
        "object": "response",
        "created_at": answer.template.created,
        "model": answer.template.model_name,
        "status": status,
        "incomplete_details": reason,
        "error": null,
        "output": output,
        "usage": usage,
    })
}

fn usage(answer: &Answer) -> Value {
    let (prompt, output) = (answer.prompt_tokens, u64::from(answer.tokens));
    let reasoning = if answer.calls.is_empty() { answer.reasoning.0.min(answer.tokens) } else { 0 };
    json!({
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": answer.cached_tokens},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + output,
    })
}

/// The answer as one document.
pub(super) fn document(answer: &Answer, no_finish: bool) -> Vec<Piece> {
    let status = if no_finish { "in_progress" } else { status(answer) };
    let mut frame = response(answer, status, &json!([]));
    frame["usage"] = if answer.dialect.no_usage { Value::Null } else { usage(answer) };
    answer.pieces(&frame, "output", |at, item| ended(answer, at, item))
}
