//! Calls of tools, which come in fragments.

use serde::Serialize;

use super::frame::{Text, ToolFragment};

/// A call as it goes into the next prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToolCall {
    /// The server's name of the call; empty if it gave none.
    pub id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What is called.
    pub function: Function,
    /// The server's number of the call.
    #[serde(skip)]
    index: Option<u64>,
}

/// The kind of a call; there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A function.
    #[default]
    Function,
}

/// A function and what it is called with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// JSON as the model wrote it, which need not be valid.
    pub arguments: String,
}

/// Adds a fragment to the call it belongs to: of the same number; without one, of the same id, or the last one when it
/// has no id either.
pub(super) fn add(calls: &mut Vec<ToolCall>, fragment: ToolFragment<'_>) {
    let id = fragment.id.map(|Text(id)| id).filter(|id| !id.is_empty());
    let known = match (fragment.index.0, &id) {
        (Some(index), _) => calls.iter().rposition(|call| call.index == Some(index)),
        (None, Some(id)) => calls.iter().rposition(|call| call.id == **id),
        (None, None) => calls.len().checked_sub(1),
    };
    let at = known.unwrap_or_else(|| {
        calls.push(ToolCall { index: fragment.index.0, ..ToolCall::default() });
        calls.len() - 1
    });
    let call = &mut calls[at];
    if let Some(id) = id {
        call.id = id.into_owned();
    }
    if let Some(function) = fragment.function {
        // The name comes whole; the arguments in pieces.
        if let Some(Text(name)) = function.name.filter(|Text(name)| !name.is_empty()) {
            call.function.name = name.into_owned();
        }
        if let Some(Text(arguments)) = function.arguments {
            call.function.arguments.push_str(&arguments);
        }
    }
}
