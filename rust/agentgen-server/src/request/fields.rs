//! The fields of a body, one at a time: text becomes tokens as it is read.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::content::Content;
use super::history::{Element, History};
use super::{Endpoint, Reader, anthropic, chat, responses};
use crate::text::Text;

/// The fields of a body.
pub(super) struct Fields<'r, 'a>(pub &'r mut Reader<'a>);

impl<'de> Visitor<'de> for Fields<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let reader = self.0;
        while let Some(key) = map.next_key::<Text>()? {
            let (key, endpoint) = (&*key.0, reader.endpoint);
            reader.note(key);
            if key == endpoint.prompt_field() {
                if std::mem::replace(&mut reader.prompt_seen, true) {
                    return Err(A::Error::custom(format!("{key} twice")));
                }
                match endpoint {
                    Endpoint::Chat => map.next_value_seed(List::<chat::Message>::of(reader))?,
                    Endpoint::Completions => map.next_value_seed(Prompt(reader))?,
                    Endpoint::Responses => map.next_value_seed(Input(reader))?,
                    Endpoint::Messages => map.next_value_seed(List::<anthropic::Message>::of(reader))?,
                }
                continue;
            }
            match (key, endpoint) {
                ("model", _) => reader.model = map.next_value()?,
                ("stream", _) => reader.stream = map.next_value()?,
                ("return_token_ids", _) => reader.return_token_ids = map.next_value()?,
                ("stream_options", Endpoint::Chat | Endpoint::Completions) => {
                    reader.stream_options = map.next_value()?;
                }
                ("max_tokens", Endpoint::Chat | Endpoint::Completions | Endpoint::Messages) => {
                    reader.max_tokens = map.next_value()?;
                }
                ("max_completion_tokens", Endpoint::Chat | Endpoint::Completions)
                | ("max_output_tokens", Endpoint::Responses) => {
                    reader.newer_max_tokens = map.next_value()?;
                }
                ("min_tokens", _) => reader.min_tokens = map.next_value()?,
                ("n", _) => reader.n = map.next_value()?,
                // Their words were pushed before all others.
                ("instructions", Endpoint::Responses) => drop(map.next_value::<Option<Text>>()?),
                ("system", Endpoint::Messages) => drop(map.next_value::<Content>()?),
                ("tools", Endpoint::Chat | Endpoint::Responses | Endpoint::Messages) => {
                    reader.tools = map.next_value()?;
                }
                ("tool_choice", Endpoint::Chat | Endpoint::Responses | Endpoint::Messages) => {
                    reader.tool_choice = map.next_value()?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The elements of a conversation, one at a time.
struct List<'r, 'a, T>(&'r mut Reader<'a>, PhantomData<T>);

impl<'r, 'a, T> List<'r, 'a, T> {
    fn of(reader: &'r mut Reader<'a>) -> Self {
        Self(reader, PhantomData)
    }
}

impl<'de, T: Element + Deserialize<'de>> DeserializeSeed<'de> for List<'_, 'de, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Element + Deserialize<'de>> Visitor<'de> for List<'_, 'de, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut history = History::new(T::NAMES);
        let mut checked = Ok(());
        while let Some(element) = seq.next_element::<T>()? {
            element.push_words(&mut self.0.chain);
            history.begin();
            checked = checked.and_then(|()| element.add_to(&mut history));
        }
        self.0.problem = checked.and_then(|()| history.end()).err();
        Ok(())
    }
}

/// The `input` of a request to the Responses API: a text or a list of items.
struct Input<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Input<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Input<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string or a list of items")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.chain.push_words(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<(), A::Error> {
        List::<responses::Item>::of(self.0).visit_seq(seq)
    }
}

/// The `prompt` of a completions request: a text, a list of token ids, or a list of one of either.
struct Prompt<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for Prompt<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Prompt<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string or a list of token ids")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.chain.push_words(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let (mut ids, mut prompts) = (0, 0);
        while let Some(is_id) = seq.next_element_seed(PromptElement(self.0))? {
            *if is_id { &mut ids } else { &mut prompts } += 1;
        }
        if prompts > 1 {
            self.0.problem = Some(format!("prompt: found a list of {prompts} prompts, expected one"));
        } else if prompts > 0 && ids > 0 {
            self.0.problem = Some("prompt: found token ids beside a prompt, expected either".to_owned());
        }
        Ok(())
    }
}

/// An element of the list in `prompt`; true if it is a token id.
struct PromptElement<'r, 'a>(&'r mut Reader<'a>);

impl<'de> DeserializeSeed<'de> for PromptElement<'_, 'de> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PromptElement<'_, 'de> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a token id, a string or a list of token ids")
    }

    fn visit_u64<E: Error>(self, id: u64) -> Result<bool, E> {
        let id = u32::try_from(id).map_err(|_| E::custom(format!("found token id {id}, expected 32 bits")))?;
        self.0.push_id(id);
        Ok(true)
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        self.0.chain.push_words(text);
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while let Some(id) = seq.next_element()? {
            self.0.push_id(id);
        }
        Ok(false)
    }
}

/// Reads all fields of a body.
pub(super) fn read<'a>(reader: &mut Reader<'a>, body: &'a [u8]) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    deserializer.deserialize_map(Fields(reader))?;
    deserializer.end()
}
