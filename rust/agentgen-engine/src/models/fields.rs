//! The fields of a `config.json`, with errors that name them.

use serde_json::{Map, Value};

use super::error::ModelError;

/// Bound of layers, heads and dimensions; with the bound of a window it keeps every product of them inside 64 bits.
pub(super) const MOST: u64 = 4_096;

/// The object that describes the language model: the root, or the `text_config` of a multi-modal model.
///
/// Its methods stay out of line: inlined into one function, their bounds keep LLVM's constraint elimination busy for minutes.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: &'static str,
}

impl<'a> Fields<'a> {
    pub fn of(root: &'a Value) -> Result<Self, ModelError> {
        let map = root.as_object().ok_or_else(|| {
            ModelError::new("config.json", format!("found {}; expected an object of fields", describe(root)))
        })?;
        match map.get("text_config") {
            None | Some(Value::Null) => Ok(Self { map, path: "" }),
            Some(Value::Object(map)) => Ok(Self { map, path: "text_config." }),
            Some(other) => Err(ModelError::new(
                "text_config",
                format!("found {}; expected the object of the language model's fields", describe(other)),
            )),
        }
    }

    /// The field's value; `null` counts as absent.
    #[inline(never)]
    pub fn get(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is present, even as `null`.
    pub fn states(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// An error in a field.
    pub fn error(&self, name: &str, rule: impl Into<String>) -> ModelError {
        ModelError::new(format!("{}{name}", self.path), rule)
    }

    /// The error of a field that is missing or not `expected`.
    #[inline(never)]
    pub fn unexpected(&self, name: &str, expected: &str) -> ModelError {
        let found = self.get(name).map_or_else(|| "missing".to_owned(), |value| format!("found {}", describe(value)));
        self.error(name, format!("{found}; expected {expected}"))
    }

    /// A whole number in `1..=most`.
    pub fn count(&self, name: &str, most: u64) -> Result<u64, ModelError> {
        self.number(name, 1, most)
    }

    /// A whole number in `least..=most`.
    #[inline(never)]
    pub fn number(&self, name: &str, least: u64, most: u64) -> Result<u64, ModelError> {
        self.get(name)
            .and_then(Value::as_u64)
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.unexpected(name, &format!("a whole number from {least} to {most}")))
    }

    /// A text.
    #[inline(never)]
    pub fn text(&self, name: &str, expected: &str) -> Result<&'a str, ModelError> {
        self.get(name).and_then(Value::as_str).ok_or_else(|| self.unexpected(name, expected))
    }

    /// A list.
    #[inline(never)]
    pub fn list(&self, name: &str, expected: &str) -> Result<&'a [Value], ModelError> {
        self.get(name).and_then(Value::as_array).map(Vec::as_slice).ok_or_else(|| self.unexpected(name, expected))
    }
}

/// A value for an error message: lists and objects are not printed, they may be long.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}
