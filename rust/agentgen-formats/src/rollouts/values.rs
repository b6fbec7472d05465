//! Values of foreign JSON in the forms of rollout rows.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};

use super::model::{Block, Message, ToolCall, text_block};
use crate::import::lines::BadLine;
use crate::import::time::iso_ms;

/// A short value as text: a string, a number, a truth value.
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        number @ (Value::Number(_) | Value::Bool(_)) => Some(number.to_string()),
        _ => None,
    }
}

/// The text of a field, unless it is missing or empty.
pub(super) fn field(object: &Value, key: &str) -> Option<String> {
    text(object.get(key)).filter(|text| !text.is_empty())
}

/// A text that must be there.
pub(super) fn required(object: &Value, key: &'static str) -> Result<String, BadLine> {
    field(object, key).ok_or_else(|| BadLine::new(format!("no {key}")))
}

/// Content as blocks: text is one block, blocks with a type stay as they are.
pub(super) fn blocks(content: Option<&Value>) -> Vec<Block> {
    match content {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(elements)) => elements.iter().map(block).collect(),
        Some(value) => vec![block(value)],
    }
}

/// Content as blocks, with an empty text if there is none.
pub(super) fn blocks_or_empty(content: Option<&Value>) -> Vec<Block> {
    match content {
        None | Some(Value::Null) => vec![text_block("")],
        Some(_) => blocks(content),
    }
}

fn block(value: &Value) -> Block {
    match value {
        Value::Object(object) if object.get("type").is_some_and(Value::is_string) => Block(object.clone()),
        Value::Object(object) if object.contains_key("text") => text_block(&plain(object.get("text"))),
        other => text_block(&plain(Some(other))),
    }
}

/// A value as plain text: JSON if it has parts.
fn plain(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => python_json(other),
    }
}

/// Arguments of a tool call: text as it is, anything else as JSON.
pub(super) fn arguments(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => python_json(other),
    }
}

/// A tool call in the form of `OpenAI` (`function`), or flat.
pub(super) fn tool_call(call: &Value) -> Result<ToolCall, BadLine> {
    let function = call.get("function").filter(|function| function.is_object()).unwrap_or(call);
    Ok(ToolCall {
        id: field(call, "id")
            .or_else(|| field(call, "call_id"))
            .ok_or_else(|| BadLine::new("a tool call without an id"))?,
        name: field(function, "name")
            .or_else(|| field(call, "name"))
            .ok_or_else(|| BadLine::new("a tool call without a name"))?,
        arguments: arguments(function.get("arguments").or_else(|| call.get("arguments"))),
    })
}

/// The role of a message; none for one that is no message of a chat.
pub(super) fn role(name: Option<&str>) -> Option<&'static str> {
    match name? {
        "user" => Some("user"),
        "assistant" => Some("assistant"),
        "system" | "developer" => Some("system"),
        "tool" => Some("tool"),
        _ => None,
    }
}

/// Adds what is not `None`.
pub(super) fn insert(meta: &mut Map<String, Value>, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        meta.insert(key.to_owned(), value.into());
    }
}

/// Adds a message that continues the answer before it, or is one of its own.
pub(super) fn push_answer(messages: &mut Vec<Message>, part: Message, continues: bool) {
    match messages.last_mut() {
        Some(last) if continues && last.role == "assistant" => last.extend(part),
        _ => messages.push(part),
    }
}

/// The first and the last of some times, as they are spelled.
#[derive(Debug, Default)]
pub(super) struct Times {
    first: Option<(f64, String)>,
    last: Option<(f64, String)>,
}

impl Times {
    /// A text that is no time does not count.
    pub fn add(&mut self, time: Option<String>) {
        let Some((ms, time)) = time.and_then(|time| Some((iso_ms(&time)?, time))) else { return };
        if self.first.as_ref().is_none_or(|(first, _)| ms < *first) {
            self.first = Some((ms, time.clone()));
        }
        if self.last.as_ref().is_none_or(|(last, _)| ms > *last) {
            self.last = Some((ms, time));
        }
    }

    pub fn first(&self) -> Option<String> {
        self.first.as_ref().map(|(_, time)| time.clone())
    }

    pub fn last(&self) -> Option<String> {
        self.last.as_ref().map(|(_, time)| time.clone())
    }
}

/// JSON as Python's `json.dumps(value, sort_keys=True)` writes it, so that rows equal those of Python tools.
pub(super) fn python_json(value: &Value) -> String {
    let mut bytes = Vec::new();
    let written = value.serialize(&mut Serializer::with_formatter(&mut bytes, Python));
    written.ok().and_then(|()| String::from_utf8(bytes).ok()).unwrap_or_default()
}

struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        let mut rest = text;
        while let Some(at) = rest.find(|character| character > '~') {
            writer.write_all(&rest.as_bytes()[..at])?;
            let length = rest[at..].chars().next().map_or(1, char::len_utf8);
            for unit in rest[at..at + length].encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + length..];
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_that_of_python() {
        let value: Value =
            serde_json::from_str(r#"{"b":[1,2.5,null,true],"a":"é\u0001\n\"😀\u007f","c":{}}"#).expect("JSON");
        let expected = r#"{"a": "\u00e9\u0001\n\"\ud83d\ude00\u007f", "b": [1, 2.5, null, true], "c": {}}"#;
        assert_eq!(python_json(&value), expected);
    }

    #[test]
    fn times_are_compared_as_instants_and_kept_as_spelled() {
        let mut times = Times::default();
        for time in ["2025-01-01T00:00:00Z", "2025-01-01T00:30:00+01:00", "later", "2025-01-01T00:00:00.5"] {
            times.add(Some(time.to_owned()));
        }
        assert_eq!(times.first().as_deref(), Some("2025-01-01T00:30:00+01:00"));
        assert_eq!(times.last().as_deref(), Some("2025-01-01T00:00:00.5"));
    }
}
