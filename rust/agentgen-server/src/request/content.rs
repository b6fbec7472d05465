//! Contents of messages: a text, or a list of parts.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::chain::Chain;
use crate::text::Text;

/// A text or a list of parts; an empty list for null.
#[derive(Debug)]
pub enum Listed<'a, T> {
    /// One text.
    Text(Text<'a>),
    /// Parts.
    Parts(Vec<T>),
}

impl<T> Default for Listed<'_, T> {
    fn default() -> Self {
        Self::Parts(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Listed<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<'a, T>(PhantomData<(&'a (), T)>);
        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for Either<'a, T> {
            type Value = Listed<'a, T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string, a list of parts or null")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Listed::default())
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Listed::Text(Text(text.into())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Listed::Text(Text(text.to_owned().into())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element()? {
                    parts.push(part);
                }
                Ok(Listed::Parts(parts))
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// A part of which only the text counts.
#[derive(Debug, Deserialize)]
pub struct TextPart<'a> {
    #[serde(default, borrow)]
    text: Option<Text<'a>>,
}

/// A content of which only the texts count.
pub type Content<'a> = Listed<'a, TextPart<'a>>;

impl Content<'_> {
    /// Appends the words of the text, or of each part that has one.
    pub fn push_words(&self, chain: &mut Chain) {
        match self {
            Self::Text(text) => chain.push_words(&text.0),
            Self::Parts(parts) => parts.iter().flat_map(|part| &part.text).for_each(|text| chain.push_words(&text.0)),
        }
    }
}
