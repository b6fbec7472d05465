//! Kinds of values of a row: each says once what it accepts, to the reader and to the JSON Schema.

use std::borrow::Cow;
use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::source::json_object::shown;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::value::RawValue;

/// Where a value stands in its row: `tool_calls[0].function.name`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At<'a> {
    Row,
    Key(&'a At<'a>, &'a str),
    Index(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            At::Row => Ok(()),
            At::Key(At::Row, key) => f.write_str(key),
            At::Key(parent, key) => write!(f, "{parent}.{key}"),
            At::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A value that a row may have. Whatever is wrong with it goes to `faults`; a value comes out if nothing is.
pub(crate) trait Field: Sized {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self>;

    /// What it means that the row does not have it.
    fn absent(at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        faults.push(
            Diagnostic::new("missing-field", format!("no {at}"), "the field, which is required")
                .with_field(at.to_string()),
        );
        None
    }
}

/// `null` says the same as leaving a field out.
impl<T: Field> Field for Option<T> {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        if json.get() == "null" { Some(None) } else { T::read(json, at, faults).map(Some) }
    }

    fn absent(_: &At, _: &mut Vec<Diagnostic>) -> Option<Self> {
        Some(None)
    }
}

pub(crate) fn wrong(rule: &'static str, json: &RawValue, at: &At, expected: impl Into<String>) -> Diagnostic {
    Diagnostic::new(rule, format!("{at} {}", shown(json.get())), expected).with_field(at.to_string())
}

/// What kind of value a JSON text holds, by its first letter.
fn starts(json: &RawValue, letter: char) -> bool {
    json.get().starts_with(letter)
}

fn is_number(json: &RawValue) -> bool {
    json.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// Any string, the empty one too.
impl Field for String {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let text = serde_json::from_str(json.get());
        text.map_err(|_| faults.push(wrong("type", json, at, "a string"))).ok()
    }
}

impl Field for bool {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let flag = serde_json::from_str(json.get());
        flag.map_err(|_| faults.push(wrong("type", json, at, "true or false"))).ok()
    }
}

/// States the schema of a kind of value, which stands wherever the kind is used.
macro_rules! schema {
    ($kind:ty, $name:expr, $schema:expr $(, for $($generic:tt)*)?) => {
        impl $(<$($generic)*>)? schemars::JsonSchema for $kind {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $schema
            }
        }
    };
}
pub(crate) use schema;

/// A string that is not empty.
#[derive(Debug, Clone)]
pub(crate) struct Text(pub String);

schema!(Text, "Text", json_schema!({"type": "string", "minLength": 1}));

impl Field for Text {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let expected = "a string that is not empty";
        match serde_json::from_str::<String>(json.get()) {
            Ok(text) if !text.is_empty() => return Some(Self(text)),
            Ok(_) => faults.push(wrong("range", json, at, expected)),
            Err(_) => faults.push(wrong("type", json, at, expected)),
        }
        None
    }
}

/// A string that can be the value of an HTTP header and comes back as it was: printable ASCII, no space at an end.
#[derive(Debug, Clone)]
pub(crate) struct HeaderText(pub String);

// The look-ahead stands for the end of the text: `$` would allow a line feed before it in some dialects.
schema!(HeaderText, "HeaderText", json_schema!({"type": "string", "pattern": r"^[!-~]([ -~]*[!-~])?(?![\s\S])"}));

impl Field for HeaderText {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let expected =
            "a string of printable ASCII letters, not empty, no space at its ends (it becomes an HTTP header)";
        let Ok(text) = serde_json::from_str::<String>(json.get()) else {
            faults.push(wrong("type", json, at, expected));
            return None;
        };
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if printable && !text.is_empty() && text.trim_matches(' ').len() == text.len() {
            return Some(Self(text));
        }
        faults.push(wrong("range", json, at, expected));
        None
    }
}

/// An integer. `7.0` is one, as for JSON Schema; no string is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<const MIN: i64, const MAX: i64>(pub i64);

schema!(
    Whole<MIN, MAX>,
    format!("Whole_{MIN}_{MAX}"),
    json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX}),
    for const MIN: i64, const MAX: i64
);

impl<const MIN: i64, const MAX: i64> Field for Whole<MIN, MAX> {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let broken = match whole(json) {
            Ok(value) if (i128::from(MIN)..=i128::from(MAX)).contains(&value) => return Some(Self(value as i64)),
            Ok(_) => "range",
            Err(rule) => rule,
        };
        faults.push(wrong(broken, json, at, format!("an integer from {MIN} to {MAX}")));
        None
    }
}

/// The integer that a number is, or the name of the rule that it breaks.
fn whole(json: &RawValue) -> Result<i128, &'static str> {
    if let Ok(value) = json.get().parse() {
        return Ok(value);
    }
    if !is_number(json) {
        return Err("type");
    }
    match serde_json::from_str::<f64>(json.get()) {
        Ok(value) if value.fract() == 0.0 => Ok(value as i128),
        Ok(_) => Err("type"),
        // Beyond the largest double.
        Err(_) => Err("range"),
    }
}

/// A number between two bounds, both allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<const MIN: i64, const MAX: i64>(pub f64);

schema!(
    Number<MIN, MAX>,
    format!("Number_{MIN}_{MAX}"),
    json_schema!({"type": "number", "minimum": MIN, "maximum": MAX}),
    for const MIN: i64, const MAX: i64
);

impl<const MIN: i64, const MAX: i64> Field for Number<MIN, MAX> {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let broken = match serde_json::from_str::<f64>(json.get()) {
            Ok(value) if (MIN as f64..=MAX as f64).contains(&value) => return Some(Self(value)),
            Err(_) if !is_number(json) => "type",
            _ => "range",
        };
        faults.push(wrong(broken, json, at, format!("a number from {MIN} to {MAX}")));
        None
    }
}

/// A list of at least one.
#[derive(Debug, Clone)]
pub(crate) struct Some1<T>(pub Vec<T>);

impl<T: JsonSchema> JsonSchema for Some1<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Some_{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "minItems": 1, "items": generator.subschema_for::<T>()})
    }
}

impl<T: Field> Field for Some1<T> {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let expected = "a list that is not empty";
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json.get()) else {
            faults.push(wrong("type", json, at, expected));
            return None;
        };
        if items.is_empty() {
            faults.push(wrong("range", json, at, expected));
            return None;
        }
        let read = |(index, item): (usize, &&RawValue)| T::read(item, &At::Index(at, index), faults);
        // Every item is read before any is missed, so that all faults are told.
        let read: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }
}

/// A field that rows of a role do not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Absent;

schema!(Absent, "Absent", json_schema!({"type": "null"}));

impl Field for Absent {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        faults.push(wrong("role-field", json, at, format!("no {at} on a row of this role")));
        None
    }
}

/// An object of any content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object;

schema!(Object, "Object", json_schema!({"type": "object"}));

impl Field for Object {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        if starts(json, '{') {
            return Some(Self);
        }
        faults.push(wrong("type", json, at, "an object"));
        None
    }
}

/// A string, or an object of any content: then its JSON text as it stands in the file.
#[derive(Debug, Clone)]
pub(crate) struct TextOrObject(pub String);

schema!(TextOrObject, "TextOrObject", json_schema!({"type": ["string", "object"]}));

impl Field for TextOrObject {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let text = if starts(json, '{') { Some(json.get().to_owned()) } else { serde_json::from_str(json.get()).ok() };
        if text.is_none() {
            faults.push(wrong("type", json, at, "a string or an object"));
        }
        text.map(Self)
    }
}

/// One string or a list of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts;

schema!(Texts, "Texts", json_schema!({"type": ["string", "array"], "items": {"type": "string"}}));

impl Field for Texts {
    fn read(json: &RawValue, at: &At, faults: &mut Vec<Diagnostic>) -> Option<Self> {
        let (one, many) = (serde_json::from_str::<String>(json.get()), serde_json::from_str::<Vec<String>>(json.get()));
        if one.is_ok() || many.is_ok() {
            return Some(Self);
        }
        faults.push(wrong("type", json, at, "a string or a list of strings"));
        None
    }
}
