//! A line as a row, and what is still known of a row that breaks a rule.

use crate::diagnostic::Diagnostic;
use crate::source;
use crate::source::json_object::{Members, members};
use serde_json::value::RawValue;

use super::field::{At, Field, HeaderText, Text, wrong};
use super::object::take;
use super::row::{self, AnswerRow, CallRow, Common, Seconds, ToolRow, UserRow};
use crate::transcript::model::{Message, Parameters, Part, Role, ToolCall, ToolResult};

impl Field for Role {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
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

/// A row that breaks no rule.
#[derive(Debug)]
pub(super) struct Row {
    pub message: Message,
    /// Of a row that causes a request.
    pub options: Option<RequestOptions>,
}

/// How a row wants the request that it causes.
#[derive(Debug)]
pub(super) struct RequestOptions {
    /// Wait before the request, from the end of the answer before, ms.
    pub delay_ms: f64,
    /// The row's own parameters.
    pub parameters: Parameters,
}

/// A line that belongs to a conversation, as far as it can be understood.
#[derive(Debug)]
pub(super) struct Parsed {
    pub id: Option<String>,
    pub turn: Option<u32>,
    pub role: Option<Role>,
    /// Whether it is an assistant's row that calls tools, well-formed or not.
    pub calls: bool,
    pub system: Option<String>,
    /// The row, if it breaks no rule.
    pub row: Option<Row>,
}

/// Reads a line; `None` for a line about the file, and for one that is no object.
pub(super) fn parse(line: &source::Line, faults: &mut Vec<Diagnostic>) -> Option<Parsed> {
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
        // No row has the role of the system: its prompt is a field.
        None | Some(Role::System) => {
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

/// Options of a request, with the parameters among the members of its row.
fn options(delay_seconds: Option<Seconds>, members: &Members) -> RequestOptions {
    let names = row::Parameters::KEYS.iter();
    let parameters = names.filter_map(|name| Some(((*name).to_owned(), given(members, name)?.to_owned()))).collect();
    RequestOptions { delay_ms: delay_seconds.map_or(0.0, |seconds| seconds.0).abs() * 1000.0, parameters }
}

fn user(row: UserRow, members: &Members) -> Row {
    let parts = vec![Part::Text(row.content.0)];
    let message = Message { role: Role::User, name: text(row.common.name), parts };
    Row { message, options: Some(options(row.delay_seconds, members)) }
}

fn answer(row: AnswerRow) -> Row {
    let reasoning = row.reasoning_content.map(Part::Reasoning);
    assistant(row.common, reasoning.into_iter().chain([Part::Text(row.content.0)]).collect())
}

fn call(row: CallRow) -> Row {
    let called = |call: row::Call| {
        Part::ToolCall(ToolCall { id: call.id.0, name: call.function.name.0, arguments: call.function.arguments.0 })
    };
    let said = row.reasoning_content.map(Part::Reasoning).into_iter().chain(row.content.map(Part::Text));
    assistant(row.common, said.chain(row.tool_calls.0.into_iter().map(called)).collect())
}

fn assistant(common: Common, parts: Vec<Part>) -> Row {
    Row { message: Message { role: Role::Assistant, name: text(common.name), parts }, options: None }
}

fn tool(row: ToolRow, members: &Members) -> Row {
    let returned = |result: row::CallResult| {
        Part::ToolResult(ToolResult { tool_call_id: result.tool_call_id.0, content: result.content })
    };
    let parts = row.tool_results.0.into_iter().map(returned).collect();
    let message = Message { role: Role::Tool, name: text(row.common.name), parts };
    Row { message, options: Some(options(row.delay_seconds, members)) }
}
