//! Input items of `OpenAI`'s Responses API.

use serde::Deserialize;

use super::content::Content;
use super::history::{Element, History, Names};
use crate::chain::Chain;
use crate::text::Text;

/// An item of the input: a message, a tool call or a result. Items of other types add no words.
#[derive(Debug, Deserialize)]
pub struct Item<'a> {
    #[serde(default, borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default, borrow)]
    role: Option<Text<'a>>,
    #[serde(default, borrow)]
    content: Content<'a>,
    #[serde(default, borrow)]
    call_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    name: Option<Text<'a>>,
    #[serde(default, borrow)]
    arguments: Option<Text<'a>>,
    #[serde(default, borrow)]
    output: Content<'a>,
}

impl Item<'_> {
    fn kind(&self) -> &str {
        self.kind.as_ref().map_or("message", |kind| &kind.0)
    }
}

impl Element for Item<'_> {
    const NAMES: Names = Names {
        list: "input",
        calls: "call_id",
        result: "call_id",
        caller: "item function_call",
        kind: "item function_call_output",
    };

    /// The words of the content, of a call's name and arguments, or of a result.
    fn push_words(&self, chain: &mut Chain) {
        match self.kind() {
            "message" => self.content.push_words(chain),
            "function_call" => {
                for text in [&self.name, &self.arguments].into_iter().flatten() {
                    chain.push_words(&text.0);
                }
            }
            "function_call_output" => self.output.push_words(chain),
            _ => {}
        }
    }

    fn add_to(&self, history: &mut History) -> Result<(), String> {
        let id = self.call_id.as_ref().map(|id| &*id.0);
        match self.kind() {
            "function_call" => {
                if history.has_results() {
                    history.message()?;
                }
                for (field, text) in [("name", &self.name), ("arguments", &self.arguments)] {
                    if text.is_none() {
                        return Err(format!("{}: missing, expected a text", history.place(field)));
                    }
                }
                history.call(id.unwrap_or_default())
            }
            "function_call_output" => history.result(id),
            "message" => {
                history.message()?;
                let role = self.role.as_ref().map_or("", |role| &role.0);
                if ["system", "developer", "user", "assistant"].contains(&role) {
                    return Ok(());
                }
                let place = history.place("role");
                Err(format!("{place}: found {role:?}, expected system, developer, user or assistant"))
            }
            _ => Ok(()),
        }
    }
}
