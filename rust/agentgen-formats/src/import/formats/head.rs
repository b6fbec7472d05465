//! The beginning of a file: its first lines, and the keys of its first JSON objects.

use std::borrow::Cow;
use std::path::Path;

use agentgen_trace::error::Result;
use agentgen_trace::source::{Blocks, column_names};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What is read of a file to recognise it.
const HEAD_BYTES: u64 = 1 << 20;

/// Lines, or elements of an array, that are looked at.
const OBJECTS: usize = 32;

const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Longer texts are no values by which a format is recognised.
const MAX_TEXT_BYTES: usize = 256;

/// The beginning of a file.
#[derive(Debug, Default)]
pub struct Head {
    /// The first line that is not blank.
    pub first_line: String,
    /// The first JSON objects: those of the first lines, or the document, or the elements of an array that is the document.
    pub objects: Vec<HeadObject>,
    /// Whether the document is an array.
    pub is_array: bool,
    /// The names of the columns of a Parquet file.
    pub columns: Vec<String>,
}

/// The keys of an object, in order. Those of a large object may be missing.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct HeadObject(Vec<(String, HeadValue)>);

/// A value of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadValue {
    /// A short string.
    Text(String),
    /// An object, with its own keys.
    Object(HeadObject),
    /// An array.
    Array,
    /// Anything else.
    Other,
}

impl HeadObject {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&HeadValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether it has a key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether it has all keys.
    #[must_use]
    pub fn has_all(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| self.has(key))
    }

    /// A short string.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(HeadValue::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// An object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<&HeadObject> {
        match self.get(key) {
            Some(HeadValue::Object(object)) => Some(object),
            _ => None,
        }
    }

    /// Whether a key has an array.
    #[must_use]
    pub fn has_array(&self, key: &str) -> bool {
        matches!(self.get(key), Some(HeadValue::Array))
    }
}

impl Head {
    /// Reads the beginning of a file.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = Blocks::head(path, HEAD_BYTES)?;
        if bytes.starts_with(PARQUET_MAGIC) {
            // A damaged file has no format.
            return Ok(Self { columns: column_names(path).unwrap_or_default(), ..Self::default() });
        }
        let text = match std::str::from_utf8(&bytes) {
            Ok(text) => Cow::Borrowed(text),
            // The end may be inside of a character.
            Err(error) if error.error_len().is_none() => String::from_utf8_lossy(&bytes[..error.valid_up_to()]),
            Err(_) => String::from_utf8_lossy(&bytes),
        };
        Ok(Self::of(&text))
    }

    /// The head of a file that begins with `text`.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let mut head = Self {
            first_line: lines().next().unwrap_or_default().to_owned(),
            is_array: text.trim_start().starts_with('['),
            ..Self::default()
        };
        // A document over many lines, or its beginning, is one value; JSONL has a value on each line.
        if !head.add(&head.first_line.clone()) {
            head.objects.clear();
            head.add(text);
            if !head.objects.is_empty() {
                return head;
            }
        }
        for line in lines().skip(1).take(OBJECTS) {
            head.add(line);
        }
        head
    }

    /// Adds the objects of a JSON value; returns whether it is complete. Of one that is not, the keys before its end count.
    fn add(&mut self, text: &str) -> bool {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        Objects(&mut self.objects).deserialize(&mut deserializer).is_ok() && deserializer.end().is_ok()
    }

    /// Whether one of the first objects satisfies a condition.
    pub fn any(&self, is: impl Fn(&HeadObject) -> bool) -> bool {
        self.objects.iter().any(is)
    }
}

/// Collects the objects of a value: itself, or the elements of an array.
struct Objects<'a>(&'a mut Vec<HeadObject>);

impl<'de> DeserializeSeed<'de> for Objects<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// The visits of scalars, which hold no keys.
macro_rules! ignore_scalars {
    ($value:expr) => {
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($value)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }
    };
}

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    ignore_scalars!(());

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while self.0.len() < OBJECTS {
            if elements.next_element_seed(Objects(self.0))?.is_none() {
                return Ok(());
            }
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.0.push(HeadObject::default());
        match self.0.last_mut() {
            Some(object) => fill(object, map, true),
            None => Ok(()),
        }
    }
}

/// Adds keys and values; stays with what precedes an error.
fn fill<'de, A: MapAccess<'de>>(object: &mut HeadObject, mut map: A, is_outer: bool) -> Result<(), A::Error> {
    while let Some(key) = map.next_key::<String>()? {
        object.0.push((key, HeadValue::Other));
        if let Some((_, value)) = object.0.last_mut() {
            map.next_value_seed(Value { value, is_outer })?;
        }
    }
    Ok(())
}

/// Keeps a value in `value`; objects inside of objects are kept two levels deep.
struct Value<'a> {
    value: &'a mut HeadValue,
    is_outer: bool,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    ignore_scalars!(());

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if text.len() <= MAX_TEXT_BYTES {
            *self.value = HeadValue::Text(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        *self.value = HeadValue::Array;
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        *self.value = HeadValue::Object(HeadObject::default());
        match self.value {
            HeadValue::Object(object) if self.is_outer => fill(object, map, false),
            _ => {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(())
            }
        }
    }
}
