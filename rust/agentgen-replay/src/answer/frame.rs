//! The members of a chunk or document that the client uses. Strings are borrowed where they hold no escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most tool calls of an answer.
pub(super) const MAX_TOOL_CALLS: usize = 1024;
/// Largest token count; sums of counts stay far from overflow.
const MAX_COUNT: u64 = u32::MAX as u64;

/// A chunk or a document of chat completions or completions.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    pub choices: First<Choice<'a>>,
    pub usage: Option<Usage>,
    pub timings: Option<Timings>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    #[serde(borrow)]
    pub message: Option<&'a RawValue>,
    /// The error of a server made with `FastAPI`.
    #[serde(borrow)]
    pub detail: Option<&'a RawValue>,
    /// Read when it is used: a chunk whose id is no text is still one.
    #[serde(borrow)]
    pub id: Option<&'a RawValue>,
}

/// One choice of the answer; a replay asks for one only.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Choice<'a> {
    #[serde(borrow)]
    pub delta: Option<Message<'a>>,
    #[serde(borrow)]
    pub message: Option<Message<'a>>,
    #[serde(borrow)]
    pub text: Option<Text<'a>>,
    #[serde(borrow)]
    pub finish_reason: Option<Text<'a>>,
}

/// A message of the assistant, or a delta of one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Message<'a> {
    #[serde(borrow)]
    pub content: Content<'a>,
    /// The older name of `reasoning`; servers that send both send the same text.
    #[serde(borrow)]
    pub reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    pub reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    pub tool_calls: Option<Limited<ToolFragment<'a>>>,
}

/// A tool call, or a fragment of one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct ToolFragment<'a> {
    pub index: Count,
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub function: Option<FunctionFragment<'a>>,
}

/// The function of a tool call.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct FunctionFragment<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
    /// A string, or the JSON value itself.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
}

/// Token counts of the server.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub prompt_tokens: Count,
    pub completion_tokens: Count,
    // OpenAI, vLLM, SGLang, TensorRT-LLM, llama.cpp.
    prompt_tokens_details: Option<Details>,
    // Servers that use the names of OpenAI's Responses API.
    input_tokens_details: Option<Details>,
    // DeepSeek.
    prompt_cache_hit_tokens: Count,
    // Moonshot.
    cached_tokens: Count,
    completion_tokens_details: Option<OutputDetails>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Count,
}

/// Parts of an output.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct OutputDetails {
    pub reasoning_tokens: Count,
}

impl Usage {
    /// Tokens of the output that are reasoning.
    pub fn reasoning(&self) -> Option<u64> {
        self.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens.0)
    }

    /// Tokens of the prompt that were found in the cache, under any name in use.
    pub fn cached(&self) -> Option<u64> {
        let of = |details: &Option<Details>| details.as_ref().and_then(|details| details.cached_tokens.0);
        of(&self.prompt_tokens_details)
            .or_else(|| of(&self.input_tokens_details))
            .or(self.prompt_cache_hit_tokens.0)
            .or(self.cached_tokens.0)
    }
}

/// Counts of llama.cpp, next to or instead of `usage`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
#[allow(clippy::struct_field_names)] // names of the server
pub(super) struct Timings {
    pub cache_n: Count,
    pub prompt_n: Count,
    pub predicted_n: Count,
}

/// A string that is borrowed if it holds no escapes. (Inside an `Option`, serde's `Cow` is always owned.)
#[derive(Debug)]
pub(super) struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Strings;
        impl<'de> Visitor<'de> for Strings {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Strings)
    }
}

/// Elements of an array: as many as there may be tool calls, and whether there were more.
#[derive(Debug)]
pub(super) struct Limited<T> {
    pub kept: Vec<T>,
    pub more: bool,
}

impl<T> Default for Limited<T> {
    fn default() -> Self {
        Self { kept: Vec::new(), more: false }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Limited<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = Limited<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let mut elements = Limited::default();
                while elements.kept.len() < MAX_TOOL_CALLS {
                    let Some(element) = sequence.next_element()? else { return Ok(elements) };
                    elements.kept.push(element);
                }
                while sequence.next_element::<IgnoredAny>()?.is_some() {
                    elements.more = true;
                }
                Ok(elements)
            }
        }
        deserializer.deserialize_seq(Elements(std::marker::PhantomData))
    }
}

/// The content of a message: null, a string, or a list of parts with text or thinking (Mistral).
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub text: Option<Text<'a>>,
    pub thinking: String,
}

/// A part of a content, or a part of its thinking.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct ContentPart<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    thinking: Thinking<'a>,
}

/// A string, or a list of parts with text.
#[derive(Debug, Default)]
struct Thinking<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Contents;
        impl<'de> Visitor<'de> for Contents {
            type Value = Content<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a list of parts or null")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Content::default())
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content { text: Some(Text(Cow::Borrowed(text))), thinking: String::new() })
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content { text: Some(Text(Cow::Owned(text.to_owned()))), thinking: String::new() })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                let (mut said, mut thinking) = (String::new(), String::new());
                while let Some(part) = sequence.next_element::<ContentPart<'_>>()? {
                    let is_thought = part.kind.is_some_and(|Text(kind)| matches!(&*kind, "thinking" | "reasoning"));
                    let text = part.text.map_or(Cow::Borrowed(""), |Text(text)| text);
                    if is_thought { &mut thinking } else { &mut said }.push_str(&text);
                    thinking.push_str(&part.thinking.0);
                }
                Ok(Content { text: Some(Text(Cow::Owned(said))), thinking })
            }
        }
        deserializer.deserialize_any(Contents)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Thinking<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Content { text, thinking } = Content::deserialize(deserializer)?;
        let text = text.map_or(Cow::Borrowed(""), |Text(text)| text);
        Ok(Self(if thinking.is_empty() { text } else { Cow::Owned(thinking + &text) }))
    }
}

/// A count. Any value that is not a count reads as unknown, as does one that no token count reaches.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count(pub Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
                Ok(Count(Some(count).filter(|&count| count <= MAX_COUNT)))
            }

            fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
                Ok(Count((0.0..=MAX_COUNT as f64).contains(&count).then_some(count as u64)))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_str<E>(self, _: &str) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Count, A::Error> {
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Count, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(Counts)
    }
}

/// The first element of an array; none of an empty array or null.
#[derive(Debug)]
pub(super) struct First<T>(pub Option<T>);

impl<T> Default for First<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array or null")
            }

            fn visit_unit<E>(self) -> Result<First<T>, E> {
                Ok(First(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<First<T>, A::Error> {
                let first = sequence.next_element()?;
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        deserializer.deserialize_any(Elements(std::marker::PhantomData))
    }
}
