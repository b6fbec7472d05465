//! Tool calls, put together from the fragments of a stream.

use serde::Serialize;

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

/// Adds a fragment to its call: the one with the same index; without an index, the one with the same id; without either,
/// the last one. Returns its bytes; `None` if that would be one
/// call too many.
pub(super) fn add(calls: &mut Vec<ToolCall>, fragment: ToolFragment<'_>) -> Option<usize> {
    let id = fragment.id.map(|Text(id)| id).filter(|id| !id.is_empty());
    let known = match (fragment.index.0, &id) {
        (Some(index), _) => calls.iter().rposition(|call| call.index == Some(index)),
        (None, Some(id)) => calls.iter().rposition(|call| call.id == **id),
        (None, None) => calls.len().checked_sub(1),
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
    if let Some(function) = fragment.function {
        // The name arrives whole, the arguments in fragments.
        if let Some(Text(name)) = function.name.filter(|Text(name)| !name.is_empty()) {
            bytes += name.len();
            call.function.name = name.into_owned();
        }
        if let Some(Text(arguments)) = function.arguments {
            bytes += arguments.len();
            call.function.arguments.push_str(&arguments);
        }
    }
    Some(bytes)
}
