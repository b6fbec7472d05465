//! Messages of Anthropic's Messages API.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::content::{Content, Listed};
use super::history::{Element, History, Names};
use crate::chain::Chain;
use crate::text::Text;

/// A message of the user or the assistant.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow)]
    content: Listed<'a, Block<'a>>,
}

/// A block of a message: text, a tool call, a result. Blocks of other types add no words.
#[derive(Debug, Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default, borrow)]
    text: Option<Text<'a>>,
    #[serde(default, borrow)]
    id: Option<Text<'a>>,
    #[serde(default, borrow)]
    name: Option<Text<'a>>,
    #[serde(default, borrow)]
    input: Option<&'a RawValue>,
    #[serde(default, borrow)]
    tool_use_id: Option<Text<'a>>,
    #[serde(default, borrow)]
    content: Content<'a>,
}

impl Element for Message<'_> {
    const NAMES: Names = Names {
        list: "messages",
        calls: "content of type tool_use",
        result: "content.tool_use_id",
        caller: "assistant message",
        kind: "tool_result in the next message",
    };

    /// Block by block the words of a text, of a call's name and input, or of a result.
    fn push_words(&self, chain: &mut Chain) {
        let blocks = match &self.content {
            Listed::Text(text) => return chain.push_words(&text.0),
            Listed::Parts(blocks) => blocks,
        };
        for block in blocks {
            match &*block.kind.0 {
                "text" => chain.push_words(block.text.as_ref().map_or("", |text| &text.0)),
                "tool_use" => {
                    chain.push_words(block.name.as_ref().map_or("", |name| &name.0));
                    chain.push_words(&compact(block.input.map_or("{}", RawValue::get)));
                }
                "tool_result" => block.content.push_words(chain),
                _ => {}
            }
        }
    }

    fn add_to(&self, history: &mut History) -> Result<(), String> {
        let blocks = match &self.content {
            Listed::Text(_) => &[][..],
            Listed::Parts(blocks) => blocks,
        };
        let of_kind = |kind: &'static str| blocks.iter().filter(move |block| block.kind.0 == kind);
        match &*self.role.0 {
            "assistant" => {
                history.message()?;
                of_kind("tool_use").try_for_each(|block| history.call(block.id.as_ref().map_or("", |id| &id.0)))
            }
            "user" => {
                for block in of_kind("tool_result") {
                    history.result(block.tool_use_id.as_ref().map(|id| &*id.0))?;
                }
                history.message()
            }
            role => Err(format!("{}: found {role:?}, expected user or assistant", history.place("role"))),
        }
    }
}

/// JSON without white space outside of strings: the words of an input do not depend on who wrote its JSON.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |&character: &char| {
        let kept = in_string || !matches!(character, ' ' | '\t' | '\n' | '\r');
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        kept
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_only_outside_of_strings() {
        for (json, expected) in [
            ("{ \"a\" : [ 1 ,\n2 ] }", "{\"a\":[1,2]}"),
            (r#"{"a b": " \" c \\" , "d": "e f"}"#, r#"{"a b":" \" c \\","d":"e f"}"#),
        ] {
            assert_eq!(compact(json), expected);
        }
    }
}
