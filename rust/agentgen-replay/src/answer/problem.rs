//! Error messages of servers, in one line.

use serde_json::Value;

use super::frame::Frame;

/// The most characters of a message.
const MAX_CHARS: usize = 500;

/// The error that a chunk or document reports, if any.
pub(super) fn of_frame(frame: &Frame<'_>) -> Option<String> {
    let is_error = frame.object.as_ref().is_some_and(|object| object.0 == "error");
    match &frame.error {
        Some(problem) if *problem != Value::Bool(false) => Some(message(problem)),
        _ if is_error => Some(frame.message.as_ref().map_or_else(|| "error".to_owned(), message)),
        _ => None,
    }
}

/// The error that an event of type `error` reports.
pub(super) fn of_event(frame: Option<Frame<'_>>, data: &[u8]) -> String {
    let reported = frame.and_then(|frame| of_frame(&frame).or_else(|| frame.message.as_ref().map(message)));
    reported.unwrap_or_else(|| line(&String::from_utf8_lossy(data)))
}

/// The first characters of a body, quoted for a message.
pub(super) fn quoted(body: &[u8]) -> String {
    let text = line(&String::from_utf8_lossy(&body[..body.len().min(MAX_CHARS)]));
    if text.is_empty() { "nothing".to_owned() } else { format!("{:?}", text.chars().take(80).collect::<String>()) }
}

fn message(problem: &Value) -> String {
    let word = |name: &str| match problem.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let text = match problem {
        Value::String(text) => text.clone(),
        _ => word("message").unwrap_or_else(|| problem.to_string()),
    };
    let code = word("code").or_else(|| word("type"));
    line(&code.map_or_else(|| text.clone(), |code| format!("{text} ({code})")))
}

fn line(text: &str) -> String {
    let visible: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(MAX_CHARS).collect()
}
