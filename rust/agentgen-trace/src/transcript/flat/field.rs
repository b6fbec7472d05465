//! Types of values of a row. Each defines once what it accepts, for the reader and for the JSON Schema.

use std::borrow::Cow;
use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::source::json_object::excerpt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::value::RawValue;

/// Path of a value in its row, such as `tool_calls[0].function.name`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JsonPath<'a> {
    Row,
    Key(&'a JsonPath<'a>, &'a str),
    Index(&'a JsonPath<'a>, usize),
}

impl fmt::Display for JsonPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            JsonPath::Row => Ok(()),
            JsonPath::Key(JsonPath::Row, key) => f.write_str(key),
            JsonPath::Key(parent, key) => write!(f, "{parent}.{key}"),
            JsonPath::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// A type of values. `read` reports faults to `diagnostics` and returns the value if there are none.
pub(crate) trait Field: Sized {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self>;

    /// Called if the row lacks the field.
    fn absent(at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        diagnostics.push(
            Diagnostic::new("missing-field", format!("no {at}"), "the field, which is required")
                .with_field(at.to_string()),
        );
        None
    }
}

/// `null` means the same as an absent field.
impl<T: Field> Field for Option<T> {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if json.get() == "null" { Some(None) } else { T::read(json, at, diagnostics).map(Some) }
    }

    fn absent(_: &JsonPath, _: &mut Vec<Diagnostic>) -> Option<Self> {
        Some(None)
    }
}

pub(crate) fn wrong(rule: &'static str, json: &RawValue, at: &JsonPath, expected: impl Into<String>) -> Diagnostic {
    Diagnostic::new(rule, format!("{at} {}", excerpt(json.get())), expected).with_field(at.to_string())
}

/// Whether a JSON text begins with this character, which gives the type of the value.
fn starts(json: &RawValue, letter: char) -> bool {
    json.get().starts_with(letter)
}

fn is_number(json: &RawValue) -> bool {
    json.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

/// Any string, including the empty one.
impl Field for String {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let text = serde_json::from_str(json.get());
        text.map_err(|_| diagnostics.push(wrong("type", json, at, "a string"))).ok()
    }
}

impl Field for bool {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let flag = serde_json::from_str(json.get());
        flag.map_err(|_| diagnostics.push(wrong("type", json, at, "true or false"))).ok()
    }
}

/// Defines the JSON Schema of a type, inlined wherever the type is used.
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
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let expected = "a string that is not empty";
        match serde_json::from_str::<String>(json.get()) {
            Ok(text) if !text.is_empty() => return Some(Self(text)),
            Ok(_) => diagnostics.push(wrong("range", json, at, expected)),
            Err(_) => diagnostics.push(wrong("type", json, at, expected)),
        }
        None
    }
}

/// A string that an HTTP header carries unchanged: printable ASCII without leading or trailing spaces.
#[derive(Debug, Clone)]
pub(crate) struct HeaderText(pub String);

// The look-ahead matches the end of the text; in some dialects `$` also matches before a final line feed.
schema!(HeaderText, "HeaderText", json_schema!({"type": "string", "pattern": r"^[!-~]([ -~]*[!-~])?(?![\s\S])"}));

impl Field for HeaderText {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let expected =
            "a non-empty string of printable ASCII without leading or trailing spaces (it becomes an HTTP header)";
        let Ok(text) = serde_json::from_str::<String>(json.get()) else {
            diagnostics.push(wrong("type", json, at, expected));
            return None;
        };
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if printable && !text.is_empty() && text.trim_matches(' ').len() == text.len() {
            return Some(Self(text));
        }
        diagnostics.push(wrong("range", json, at, expected));
        None
    }
}

/// An integer. `7.0` is accepted, as in JSON Schema; strings are not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Integer<const MIN: i64, const MAX: i64>(pub i64);

schema!(
    Integer<MIN, MAX>,
    format!("Integer_{MIN}_{MAX}"),
    json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX}),
    for const MIN: i64, const MAX: i64
);

impl<const MIN: i64, const MAX: i64> Field for Integer<MIN, MAX> {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let rule = match integer(json) {
            Ok(value) if (i128::from(MIN)..=i128::from(MAX)).contains(&value) => return Some(Self(value as i64)),
            Ok(_) => "range",
            Err(rule) => rule,
        };
        diagnostics.push(wrong(rule, json, at, format!("an integer from {MIN} to {MAX}")));
        None
    }
}

/// The value of an integer, else the name of the rule that it breaks.
fn integer(json: &RawValue) -> Result<i128, &'static str> {
    if let Ok(value) = json.get().parse() {
        return Ok(value);
    }
    if !is_number(json) {
        return Err("type");
    }
    match serde_json::from_str::<f64>(json.get()) {
        Ok(value) if value.fract() == 0.0 => Ok(value as i128),
        Ok(_) => Err("type"),
        // Too large for a double.
        Err(_) => Err("range"),
    }
}

/// A number in an inclusive range.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<const MIN: i64, const MAX: i64>(pub f64);

schema!(
    Number<MIN, MAX>,
    format!("Number_{MIN}_{MAX}"),
    json_schema!({"type": "number", "minimum": MIN, "maximum": MAX}),
    for const MIN: i64, const MAX: i64
);

impl<const MIN: i64, const MAX: i64> Field for Number<MIN, MAX> {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let rule = match serde_json::from_str::<f64>(json.get()) {
            Ok(value) if (MIN as f64..=MAX as f64).contains(&value) => return Some(Self(value)),
            Err(_) if !is_number(json) => "type",
            _ => "range",
        };
        diagnostics.push(wrong(rule, json, at, format!("a number from {MIN} to {MAX}")));
        None
    }
}

/// A list of at least one item.
#[derive(Debug, Clone)]
pub(crate) struct NonEmpty<T>(pub Vec<T>);

impl<T: JsonSchema> JsonSchema for NonEmpty<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("NonEmpty_{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "minItems": 1, "items": generator.subschema_for::<T>()})
    }
}

impl<T: Field> Field for NonEmpty<T> {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let expected = "a list that is not empty";
        let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(json.get()) else {
            diagnostics.push(wrong("type", json, at, expected));
            return None;
        };
        if items.is_empty() {
            diagnostics.push(wrong("range", json, at, expected));
            return None;
        }
        let read = |(index, item): (usize, &&RawValue)| T::read(item, &JsonPath::Index(at, index), diagnostics);
        // All items are read before the first failure returns, so that all faults are reported.
        let read: Vec<Option<T>> = items.iter().enumerate().map(read).collect();
        read.into_iter().collect::<Option<_>>().map(Self)
    }
}

/// A field that rows of this role must not have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Absent;

schema!(Absent, "Absent", json_schema!({"type": "null"}));

impl Field for Absent {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        diagnostics.push(wrong("role-field", json, at, format!("no {at} on a row of this role")));
        None
    }
}

/// An object with any members.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object;

schema!(Object, "Object", json_schema!({"type": "object"}));

impl Field for Object {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        if starts(json, '{') {
            return Some(Self);
        }
        diagnostics.push(wrong("type", json, at, "an object"));
        None
    }
}

/// A string, or an object with any members: then its JSON text as in the file.
#[derive(Debug, Clone)]
pub(crate) struct TextOrObject(pub String);

schema!(TextOrObject, "TextOrObject", json_schema!({"type": ["string", "object"]}));

impl Field for TextOrObject {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let text = if starts(json, '{') { Some(json.get().to_owned()) } else { serde_json::from_str(json.get()).ok() };
        if text.is_none() {
            diagnostics.push(wrong("type", json, at, "a string or an object"));
        }
        text.map(Self)
    }
}

/// A string or a list of strings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts;

schema!(Texts, "Texts", json_schema!({"type": ["string", "array"], "items": {"type": "string"}}));

impl Field for Texts {
    fn read(json: &RawValue, at: &JsonPath, diagnostics: &mut Vec<Diagnostic>) -> Option<Self> {
        let (one, many) = (serde_json::from_str::<String>(json.get()), serde_json::from_str::<Vec<String>>(json.get()));
        if one.is_ok() || many.is_ok() {
            return Some(Self);
        }
        diagnostics.push(wrong("type", json, at, "a string or a list of strings"));
        None
    }
}
