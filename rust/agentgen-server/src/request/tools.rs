//! The functions that an answer may call.

use serde::Deserialize;

use super::Endpoint;
use crate::text::Text;

/// A tool. Chat completions put its name into `function`.
#[derive(Debug, Deserialize)]
pub struct Tool<'a> {
    #[serde(default, borrow)]
    function: Option<Function<'a>>,
    #[serde(default, borrow)]
    name: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
}

/// A mode (`none`, `auto`, `required`, `any`) or a function, in the forms of all endpoints.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Choice<'a> {
    /// A mode.
    #[serde(borrow)]
    Mode(Text<'a>),
    /// A function, or a mode as the type.
    Typed(#[serde(borrow)] Typed<'a>),
}

/// An object that chooses.
#[derive(Debug, Deserialize)]
pub struct Typed<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(flatten, borrow)]
    tool: Tool<'a>,
}

/// The names of the functions that may be called, and whether one must be. The error is one line.
pub fn choose(
    endpoint: Endpoint,
    tools: Vec<Tool<'_>>,
    choice: Option<Choice<'_>>,
) -> Result<(Vec<String>, bool), String> {
    let mut names = Vec::new();
    for (at, tool) in tools.into_iter().enumerate() {
        if endpoint == Endpoint::Chat && tool.function.is_none() {
            return Err(format!("tools[{at}].function: missing"));
        }
        names.extend(tool.into_name());
    }
    let mode = match choice {
        Some(Choice::Mode(mode)) => Some(mode),
        Some(Choice::Typed(Typed { kind, tool })) => {
            if let Some(name) = tool.into_name() {
                return Ok((vec![name], true));
            }
            kind
        }
        None => None,
    };
    Ok(match mode.as_ref().map(|mode| &*mode.0) {
        Some("required" | "any") => (names, true),
        Some("none") => (Vec::new(), false),
        _ => (names, false),
    })
}

impl Tool<'_> {
    fn into_name(self) -> Option<String> {
        self.function.map(|function| function.name).or(self.name).map(|name| name.0.into_owned())
    }
}
