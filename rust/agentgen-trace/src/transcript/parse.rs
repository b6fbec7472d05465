//! A line as a row: what its object says, and what is still known of one that is not sound.

use crate::diagnostic::Fault;
use crate::source;
use crate::source::json_object::{Members, members};
use serde_json::value::RawValue;

use super::field::{At, Field, HeaderText, Text, wrong};
use super::model::{Message, Parameters, RequestOptions, Row, ToolCall, ToolResult};
use super::object::take;
use super::row::{self, AnswerRow, CallRow, Common, ToolRow, UserRow};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    User,
    Assistant,
    Tool,
}

impl Role {
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl Field for Role {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Fault>) -> Option<Self> {
        let name = serde_json::from_str::<String>(json.get()).ok();
        let role = match name.as_deref() {
            Some("user") => return Some(Self::User),
            Some("assistant") => return Some(Self::Assistant),
            Some("tool") => return Some(Self::Tool),
            Some("system") => {
                wrong("range", json, at, "user, assistant or tool (a system prompt is the field `system`)")
            }
            Some(_) => wrong("range", json, at, "user, assistant or tool"),
            None => wrong("type", json, at, "user, assistant or tool"),
        };
        faults.push(role);
        None
    }
}

/// A line that belongs to a conversation, as far as it can be understood.
#[derive(Debug)]
pub(super) struct Parsed {
    pub id: Option<String>,
    pub turn: Option<u32>,
    pub role: Option<Role>,
    /// An assistant's row that calls tools, well or badly.
    pub calls: bool,
    pub system: Option<String>,
    /// The row, if nothing is wrong with it.
    pub row: Option<Row>,
}

/// Reads a line; nothing if it belongs to no conversation: a line about the file, or no object at all.
pub(super) fn parse(line: &source::Line, faults: &mut Vec<Fault>) -> Option<Parsed> {
    let before = faults.len();
    let members = members(line.bytes, faults);
    line.explain(&mut faults[before..]);
    let members = members?;
    if row::is_metadata(&members) {
        return None;
    }
    let mut quiet = Vec::new();
    let role: Option<Role> = take(&members, "role", &At::Row, &mut quiet);
    let calls = role == Some(Role::Assistant) && given(&members, "tool_calls").is_some();
    let id: Option<HeaderText> = take(&members, "conversation_id", &At::Row, &mut quiet);
    let turn: Option<row::Turn> = take(&members, "turn", &At::Row, &mut quiet);
    let system: Option<Option<String>> = take(&members, "system", &At::Row, &mut quiet);
    let parsed = match role {
        Some(Role::User) => UserRow::of(&members, &At::Row, faults).map(|row| user(row, &members)),
        Some(Role::Assistant) if calls => CallRow::of(&members, &At::Row, faults).map(call),
        Some(Role::Assistant) => AnswerRow::of(&members, &At::Row, faults).map(answer),
        Some(Role::Tool) => ToolRow::of(&members, &At::Row, faults).map(|row| tool(row, &members)),
        None => {
            take::<Role>(&members, "role", &At::Row, faults);
            Common::of(&members, &At::Row, faults).and(None)
        }
    };
    Some(Parsed {
        id: id.map(|id| id.0),
        turn: turn.map(|turn| turn.0 as u32),
        role,
        calls,
        system: system.flatten().filter(|text| !text.is_empty()),
        row: parsed.filter(|_| faults.len() == before),
    })
}

/// The text of a member that is neither missing nor null.
fn given<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(key, value)| key == name && value.get() != "null").map(|(_, value)| *value)
}

fn text(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0)
}

fn ask(delay_seconds: Option<f64>, members: &Members) -> RequestOptions {
    let names = Parameters::NAMES.iter();
    let given = names.filter_map(|name| Some((*name, given(members, name)?.to_owned())));
    RequestOptions {
        delay_ms: delay_seconds.unwrap_or(0.0).abs() * 1000.0,
        parameters: Parameters::new(given.collect()),
    }
}

fn user(row: UserRow, members: &Members) -> Row {
    let ask = ask(row.delay_seconds.map(|seconds| seconds.0), members);
    Row { name: text(row.common.name), message: Message::User { content: row.content.0, ask } }
}

fn answer(row: AnswerRow) -> Row {
    let (content, reasoning) = (Some(row.content.0), row.reasoning_content);
    Row { name: text(row.common.name), message: Message::Assistant { content, reasoning, tool_calls: Vec::new() } }
}

fn call(row: CallRow) -> Row {
    let made =
        |call: row::Call| ToolCall { id: call.id.0, name: call.function.name.0, arguments: call.function.arguments.0 };
    let message = Message::Assistant {
        content: row.content,
        reasoning: row.reasoning_content,
        tool_calls: row.tool_calls.0.into_iter().map(made).collect(),
    };
    Row { name: text(row.common.name), message }
}

fn tool(row: ToolRow, members: &Members) -> Row {
    let made = |result: row::CallResult| ToolResult { tool_call_id: result.tool_call_id.0, content: result.content };
    let ask = ask(row.delay_seconds.map(|seconds| seconds.0), members);
    let results = row.tool_results.0.into_iter().map(made).collect();
    Row { name: text(row.common.name), message: Message::Tool { results, ask } }
}
