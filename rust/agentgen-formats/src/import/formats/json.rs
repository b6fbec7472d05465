//! JSON of programs that nobody documents: text without copies, and fields that may have any type.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use memchr::memchr;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A string that is borrowed from the line unless it has escapes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Str<'a>(pub Cow<'a, str>);

impl Deref for Str<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A value of any type of which one type is of use: `None` if it has another.
#[derive(Debug, Clone)]
pub struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// Visits that find nothing of use.
macro_rules! ignore {
    ($($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        })*
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

macro_rules! ignore_seq {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
            while elements.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

macro_rules! ignore_map {
    () => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

macro_rules! expect_anything {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON value")
        }
    };
}

/// An object.
struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = Maybe<T>;

    expect_anything!();
    ignore!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    ignore_seq!();

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|object| Maybe(Some(object)))
    }
}

/// An object; any other value is `None`.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Object(PhantomData))
    }
}

/// A string; any other value is an empty one.
struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Str<'de>;

    expect_anything!();
    ignore!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
    ignore_seq!();
    ignore_map!();

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Str(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Str(Cow::Owned(text.to_owned())))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// A number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Number(pub Option<f64>);

impl Number {
    /// A count of tokens, if it can be one.
    #[must_use]
    pub fn count(self) -> Option<u64> {
        self.0.filter(|n| (0.0..=f64::from(i32::MAX)).contains(n)).map(|n| n as u64)
    }
}

struct AnyNumber;

impl<'de> Visitor<'de> for AnyNumber {
    type Value = Number;

    expect_anything!();
    ignore!(visit_bool: bool, visit_str: &str);
    ignore_seq!();
    ignore_map!();

    fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
        Ok(Number(Some(number as f64)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Number, E> {
        Ok(Number(Some(number as f64)))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Number, E> {
        Ok(Number(Some(number)))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

/// Whether a value is `true`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub Option<bool>);

struct AnyFlag;

impl<'de> Visitor<'de> for AnyFlag {
    type Value = Flag;

    expect_anything!();
    ignore!(visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);
    ignore_seq!();
    ignore_map!();

    fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
        Ok(Flag(Some(flag)))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyFlag)
    }
}

impl Flag {
    /// Whether it is `true`.
    #[must_use]
    pub fn is_set(self) -> bool {
        self.0 == Some(true)
    }
}

/// The content of a message: text, or blocks. Blocks that are strings count as text.
#[derive(Debug)]
pub enum Content<'a, B> {
    /// Plain text.
    Text(Str<'a>),
    /// Blocks, of which those that are no objects are left out.
    Blocks(Vec<B>),
}

impl<B> Default for Content<'_, B> {
    fn default() -> Self {
        Self::Blocks(Vec::new())
    }
}

struct AnyContent<B>(PhantomData<B>);

impl<'de, B: Deserialize<'de>> Visitor<'de> for AnyContent<B> {
    type Value = Content<'de, B>;

    expect_anything!();
    ignore!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
    ignore_map!();

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Str(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Str(Cow::Owned(text.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut blocks = Vec::new();
        while let Some(block) = elements.next_element::<Maybe<B>>()? {
            blocks.extend(block.0);
        }
        Ok(Content::Blocks(blocks))
    }
}

impl<'de: 'a, 'a, B: Deserialize<'de>> Deserialize<'de> for Content<'a, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyContent(PhantomData))
    }
}

/// Bytes of the text of a JSON string, without a copy; of another value: bytes of its JSON.
#[must_use]
pub fn text_bytes(value: &RawValue) -> u64 {
    let json = value.get();
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return if json == "null" { 0 } else { json.len() as u64 };
    };
    let (mut rest, mut bytes) = (inner.as_bytes(), inner.len());
    while let Some(at) = memchr(b'\\', rest) {
        let escape = rest.get(at + 1..).unwrap_or_default();
        let (escaped, text) = match escape.first() {
            Some(b'u') => (6, escape.get(1..5).map_or(0, utf8_bytes)),
            _ => (2, 1),
        };
        bytes = (bytes + text).saturating_sub(escaped);
        rest = rest.get(at + escaped..).unwrap_or_default();
    }
    bytes as u64
}

/// Bytes in UTF-8 of a UTF-16 unit in hexadecimal. A pair of surrogates has 4 bytes, 2 of each.
fn utf8_bytes(hex: &[u8]) -> usize {
    let code = std::str::from_utf8(hex).ok().and_then(|h| u32::from_str_radix(h, 16).ok()).unwrap_or(0);
    match code {
        0..0x80 => 1,
        0x80..0x800 | 0xd800..0xe000 => 2,
        _ => 3,
    }
}
