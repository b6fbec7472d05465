//! Chat messages: their words, and whether each tool result belongs to a call before it.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

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

/// The texts of a message's content: none, one, or one per part that has text.
#[derive(Debug, Default)]
struct Content<'a>(Vec<Text<'a>>);

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(default, borrow)]
    text: Option<Text<'a>>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Texts;
        impl<'de> Visitor<'de> for Texts {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string, a list of parts or null")
            }

            fn visit_unit<E>(self) -> Result<Content<'de>, E> {
                Ok(Content::default())
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Content<'de>, E> {
                Ok(Content(vec![Text(text.into())]))
            }

            fn visit_str<E>(self, text: &str) -> Result<Content<'de>, E> {
                Ok(Content(vec![Text(text.to_owned().into())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content<'de>, A::Error> {
                let mut texts = Vec::new();
                while let Some(part) = seq.next_element::<Part>()? {
                    texts.extend(part.text);
                }
                Ok(Content(texts))
            }
        }
        deserializer.deserialize_any(Texts)
    }
}

impl Message<'_> {
    /// Appends the words of the content, then those of the name and the arguments of each call.
    pub fn push_words(&self, chain: &mut Chain) {
        for text in &self.content.0 {
            chain.push_words(&text.0);
        }
        for call in self.tool_calls.iter().flatten() {
            chain.push_words(&call.function.name.0);
            chain.push_words(&call.function.arguments.0);
        }
    }
}

/// Checks that every tool call is followed by its result.
#[derive(Debug, Default)]
pub struct History {
    messages: usize,
    /// Ids of the calls of the last assistant message, while only tool messages have followed it.
    calls: HashSet<String>,
    /// Those of them without a result, in order.
    open: Vec<String>,
}

impl History {
    /// Adds a message. The error is one line.
    pub fn add(&mut self, message: &Message) -> Result<(), String> {
        let at = self.messages;
        self.messages += 1;
        let role = &*message.role.0;
        if role == "tool" {
            let Some(id) = &message.tool_call_id else {
                return Err(format!("messages[{at}].tool_call_id: missing, expected the id of a tool call"));
            };
            if !self.calls.contains(&*id.0) {
                return Err(format!(
                    "messages[{at}].tool_call_id: found {:?}, expected the id of a tool call of the assistant message before it",
                    id.0
                ));
            }
            let Some(open) = self.open.iter().position(|open| *open == id.0) else {
                return Err(format!(
                    "messages[{at}].tool_call_id: found {:?} twice, expected one result for each tool call",
                    id.0
                ));
            };
            self.open.remove(open);
            return Ok(());
        }
        self.end()?;
        self.calls.clear();
        let calls = message.tool_calls.as_deref().unwrap_or_default();
        match role {
            "assistant" => {
                for call in calls {
                    if call.id.0.is_empty() || !self.calls.insert(call.id.0.clone().into_owned()) {
                        return Err(format!(
                            "messages[{at}].tool_calls: found id {:?}, expected a non-empty id that no other call has",
                            call.id.0
                        ));
                    }
                    self.open.push(call.id.0.clone().into_owned());
                }
            }
            "system" | "developer" | "user" if calls.is_empty() => {}
            "system" | "developer" | "user" => {
                return Err(format!(
                    "messages[{at}].tool_calls: found with role {role:?}, expected only with role \"assistant\""
                ));
            }
            _ => {
                return Err(format!(
                    "messages[{at}].role: found {role:?}, expected system, developer, user, assistant or tool"
                ));
            }
        }
        Ok(())
    }

    /// Ends a sequence of tool messages. The error is one line.
    pub fn end(&self) -> Result<(), String> {
        if self.open.is_empty() {
            return Ok(());
        }
        Err(format!(
            "messages[{}]: an assistant message with tool_calls must be followed by a tool message for each call; missing: {}",
            self.messages.saturating_sub(1),
            self.open.join(", ")
        ))
    }
}
