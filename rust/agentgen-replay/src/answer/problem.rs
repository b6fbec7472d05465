//! Error messages of servers, in one line.

use serde_json::Value;
use serde_json::value::RawValue;

use super::frame::Frame;
use crate::secrets::{MAX_TEXT_BYTES, Secrets};

/// Characters of a body that are quoted.
const MAX_QUOTED_CHARS: usize = 80;

/// The error that a chunk or document reports, if any.
pub(super) fn of_frame(frame: &Frame<'_>, secrets: &Secrets) -> Option<String> {
    let is_error = frame.object.as_ref().is_some_and(|object| object.0 == "error");
    match frame.error {
        Some(problem) if problem.get() != "false" => Some(message(problem, secrets)),
        None if frame.choices.0.is_none() && frame.detail.is_some() => {
            frame.detail.map(|detail| message(detail, secrets))
        }
        _ if is_error => Some(frame.message.map_or_else(|| "error".to_owned(), |text| message(text, secrets))),
        _ => None,
    }
}

/// The error that an event of type `error` reports.
pub(super) fn of_event(frame: Option<&Frame<'_>>, data: &[u8], secrets: &Secrets) -> String {
    let reported =
        frame.and_then(|frame| of_frame(frame, secrets).or_else(|| frame.message.map(|text| message(text, secrets))));
    reported.unwrap_or_else(|| secrets.line(&secrets.text(data)))
}

/// What an error response says, wherever it stands in the body; empty if it says nothing.
pub(super) fn of_body(body: &[u8], secrets: &Secrets) -> String {
    let text = secrets.text(body);
    let text = text.trim();
    if let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(text) {
        let stated = |name: &&str| fields.get(*name).filter(|value| !value.is_null());
        if let Some(problem) = ["error", "detail", "message", "msg"].iter().find_map(stated) {
            return secrets.line(&words(problem));
        }
    }
    secrets.line(&if text.starts_with('<') { page_text(text) } else { text.to_owned() })
}

/// The first characters of a body, quoted for a message.
pub(super) fn quoted(body: &[u8], secrets: &Secrets) -> String {
    let text = secrets.line(&secrets.text(body));
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        format!("{:?}", text.chars().take(MAX_QUOTED_CHARS).collect::<String>())
    }
}

/// What a problem says.
pub(super) fn message(problem: &RawValue, secrets: &Secrets) -> String {
    let json = problem.get();
    // A long value is not parsed: its parts could take much more memory than its text.
    let parsed = if json.len() < MAX_TEXT_BYTES { serde_json::from_str(json).ok() } else { None };
    secrets.line(&parsed.as_ref().map_or_else(|| json.to_owned(), words))
}

/// The message in an error, with its code: a text, an object, or `FastAPI`'s list of what is invalid where.
fn words(problem: &Value) -> String {
    let word = |value: &Value, name: &str| match value.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    match problem {
        Value::String(text) => text.clone(),
        Value::Array(problems) if problems.iter().any(|one| one.get("msg").is_some()) => {
            let one = |one: &Value| {
                let path = one["loc"].as_array().into_iter().flatten();
                let path: Vec<_> =
                    path.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect();
                let said = word(one, "msg").unwrap_or_else(|| one.to_string());
                if path.is_empty() { said } else { format!("{}: {said}", path.join(".")) }
            };
            problems.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        _ => {
            let text = word(problem, "message").unwrap_or_else(|| problem.to_string());
            match word(problem, "code").or_else(|| word(problem, "type")) {
                Some(code) => format!("{text} ({code})"),
                None => text,
            }
        }
    }
}

/// The title of an HTML page, or its text.
fn page_text(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    if let Some(begin) = lower.find("<title>").map(|at| at + "<title>".len())
        && let Some(length) = lower[begin..].find('<')
    {
        return page[begin..begin + length].to_owned();
    }
    page.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text)).collect::<Vec<_>>().join(" ")
}
