//! Tool calls, put together from the fragments of a stream.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::frame::{MAX_TOOL_CALLS, Text, ToolFragment};

/// A tool call, in the form of the next prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToolCall {
    /// The server's id of the call; empty if it gave none.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The function that is called.
    pub function: Function,
    /// The server's index of the call.
    #[serde(skip)]
    index: Option<u64>,
}

/// The kind of a call; there is only one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A function.
    #[default]
    Function,
}

/// A function and its arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// JSON as the model wrote it, which need not be valid.
    pub arguments: String,
}

/// Adds a fragment to its call. Returns its bytes; `None` if that would be one call too many.
///
/// The call is the one with the same id; else a new one, if the fragment has an id and a name; else the one with the same
/// index. Some servers give every call the index 0. Without an index, a new id is a new call, and no id continues the last.
pub(super) fn add(calls: &mut Vec<ToolCall>, fragment: ToolFragment<'_>) -> Option<usize> {
    let id = fragment.id.map(|Text(id)| id).filter(|id| !id.is_empty());
    let function = fragment.function.unwrap_or_default();
    let name = function.name.map(|Text(name)| name).filter(|name| !name.is_empty());
    let of_id = id.as_ref().and_then(|id| calls.iter().rposition(|call| call.id == **id));
    let of_index = |calls: &[ToolCall]| {
        let index = fragment.index.0?;
        let at = calls.iter().rposition(|call| call.index == Some(index))?;
        let begins = id.is_some() && name.is_some() && !calls[at].id.is_empty();
        (!begins).then_some(at)
    };
    let known = match (of_id, fragment.index.0, &id) {
        (Some(at), _, _) => Some(at),
        (None, Some(_), _) => of_index(calls),
        (None, None, Some(_)) => None,
        (None, None, None) => calls.len().checked_sub(1),
    };
    if known.is_none() && calls.len() == MAX_TOOL_CALLS {
        return None;
    }
    let at = known.unwrap_or_else(|| {
        calls.push(ToolCall { index: fragment.index.0, ..ToolCall::default() });
        calls.len() - 1
    });
    let call = &mut calls[at];
    let mut bytes = 0;
    if let Some(id) = id {
        bytes += id.len();
        call.id = id.into_owned();
    }
    // The name arrives whole, the arguments in fragments.
    if let Some(name) = name {
        bytes += name.len();
        call.function.name = name.into_owned();
    }
    if let Some(json) = function.arguments.map(RawValue::get) {
        let text = serde_json::from_str::<Text<'_>>(json).map_or(Cow::Borrowed(json), |Text(text)| text);
        bytes += text.len();
        call.function.arguments.push_str(&text);
    }
    Some(bytes)
}
