//! Messages of chat completions.

use serde::Deserialize;

use super::content::Content;
use super::history::{Element, History, Names};
use crate::chain::Chain;
use crate::text::Text;

/// A chat message.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(default, borrow)]
    content: Content<'a>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<Call<'a>>>,
    #[serde(default, borrow)]
    tool_call_id: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow)]
    function: Function<'a>,
}

#[derive(Debug, Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
}

impl Element for Message<'_> {
    const NAMES: Names = Names {
        list: "messages",
        calls: "tool_calls",
        result: "tool_call_id",
        caller: "assistant message",
        kind: "tool message",
    };

    /// The words of the content, then those of the name and the arguments of each call.
    fn push_words(&self, chain: &mut Chain) {
        self.content.push_words(chain);
        for call in self.tool_calls.iter().flatten() {
            chain.push_words(&call.function.name.0);
            chain.push_words(&call.function.arguments.0);
        }
    }

    fn add_to(&self, history: &mut History) -> Result<(), String> {
        let role = &*self.role.0;
        if role == "tool" {
            return history.result(self.tool_call_id.as_ref().map(|id| &*id.0));
        }
        history.message()?;
        let calls = self.tool_calls.as_deref().unwrap_or_default();
        match role {
            "assistant" => calls.iter().try_for_each(|call| history.call(&call.id.0)),
            "system" | "developer" | "user" if calls.is_empty() => Ok(()),
            "system" | "developer" | "user" => {
                let place = history.place("tool_calls");
                Err(format!("{place}: found with role {role:?}, expected only with role \"assistant\""))
            }
            _ => {
                let place = history.place("role");
                Err(format!("{place}: found {role:?}, expected system, developer, user, assistant or tool"))
            }
        }
    }
}
