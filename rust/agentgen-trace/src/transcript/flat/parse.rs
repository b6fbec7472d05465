//! Parses a line into a row, and into the known fields of an invalid row.

use crate::diagnostic::Diagnostic;
use crate::source;
use crate::source::json_object::{Members, members};
use serde_json::value::RawValue;

use super::field::{Field, HeaderText, JsonPath, Text, wrong};
use super::object::take;
use super::row::{self, AnswerRow, CallRow, Common, Seconds, ToolRow, UserRow};
use crate::transcript::model::{Message, Parameters, Part, Role, ToolCall, ToolResult};

impl Field for Role {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
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
        diagnostics.push(role);
        None
    }
}

/// A valid row.
#[derive(Debug)]
pub(super) struct Row {
    pub message: Message,
    /// Options of the request that the row causes; `None` for an answer.
    pub options: Option<RequestOptions>,
}

/// Options of the request that a row causes.
#[derive(Debug)]
pub(super) struct RequestOptions {
    /// Delay before the request, from the end of the answer before, ms.
    pub delay_ms: f64,
    /// The row's own parameters.
    pub parameters: Parameters,
}

/// A line that belongs to a conversation: the fields that can be read.
#[derive(Debug)]
pub(super) struct Parsed {
    pub id: Option<String>,
    pub turn: Option<u32>,
    pub role: Option<Role>,
    /// Whether the row is an assistant's and has tool calls, valid or not.
    pub calls: bool,
    pub system: Option<String>,
    /// The row, if it is valid.
    pub row: Option<Row>,
}

/// Parses a line; `None` for a line about the file and for a line that is not an object.
pub(super) fn parse(line: &source::Line, diagnostics: &mut Vec<Diagnostic>) -> Option<Parsed> {
    if let Some(found) = line.refuse() {
        diagnostics.push(found);
        return None;
    }
    let before = diagnostics.len();
    let members = members(line.bytes, diagnostics);
    line.explain(&mut diagnostics[before..]);
    let members = members?;
    if row::is_metadata(&members) {
        return None;
    }
    let mut ignored = Vec::new();
    let role: Option<Role> = take(&members, "role", &JsonPath::Row, &mut ignored);
    let calls = role == Some(Role::Assistant) && given(&members, "tool_calls").is_some();
    let id: Option<HeaderText> = take(&members, "conversation_id", &JsonPath::Row, &mut ignored);
    let turn: Option<row::Turn> = take(&members, "turn", &JsonPath::Row, &mut ignored);
    let system: Option<Option<String>> = take(&members, "system", &JsonPath::Row, &mut ignored);
    let parsed = match role {
        Some(Role::User) => UserRow::of(&members, &JsonPath::Row, diagnostics).map(|row| user(row, &members)),
        Some(Role::Assistant) if calls => CallRow::of(&members, &JsonPath::Row, diagnostics).map(call),
        Some(Role::Assistant) => AnswerRow::of(&members, &JsonPath::Row, diagnostics).map(answer),
        Some(Role::Tool) => ToolRow::of(&members, &JsonPath::Row, diagnostics).map(|row| tool(row, &members)),
        // No row has the role `system`: the system prompt is a field.
        None | Some(Role::System) => {
            take::<Role>(&members, "role", &JsonPath::Row, diagnostics);
            Common::of(&members, &JsonPath::Row, diagnostics).and(None)
        }
    };
    Some(Parsed {
        id: id.map(|id| id.0),
        turn: turn.map(|turn| turn.0 as u32),
        role,
        calls,
        system: system.flatten().filter(|text| !text.is_empty()),
        row: parsed.filter(|_| diagnostics.len() == before),
    })
}

/// The JSON text of a member that is neither absent nor null.
fn given<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().find(|(key, value)| key == name && value.get() != "null").map(|(_, value)| *value)
}

fn text(text: Option<Text>) -> Option<String> {
    text.map(|text| text.0)
}

/// The options of a request; its parameters are members of the row.
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
