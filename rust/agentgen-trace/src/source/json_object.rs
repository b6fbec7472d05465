//! A line as one JSON object: its text, and its members in order, so that duplicate keys are seen.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_key::BYTE_ORDER_MARK;
use crate::diagnostic::Diagnostic;

/// Longer values are shortened in messages.
const SHOWN_CHARS: usize = 60;

/// The text of the object on a line; reports why a line is not an object.
pub(super) fn object_text<'a>(mut line: &'a [u8], diagnostics: &mut Vec<Diagnostic>) -> Option<&'a str> {
    if let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK) {
        diagnostics.push(Diagnostic::new("bom", "a byte order mark before the row", "UTF-8 without a byte order mark"));
        line = rest;
    }
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(e) => {
            let found = format!("bytes that are not UTF-8 at column {}", e.valid_up_to() + 1);
            diagnostics.push(Diagnostic::new("json", found, "UTF-8 text"));
            return None;
        }
    };
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) if value.get().starts_with('{') => Some(value.get()),
        Ok(value) => {
            diagnostics.push(Diagnostic::new("not-an-object", excerpt(value.get()), "one JSON object per line"));
            None
        }
        Err(e) => {
            diagnostics.push(not_json(&e));
            None
        }
    }
}

pub(super) fn not_json(error: &serde_json::Error) -> Diagnostic {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    Diagnostic::new("json", format!("{what} at column {}", error.column()), "one JSON object per line")
}

/// A JSON value for a message, shortened if it is long.
#[must_use]
pub fn excerpt(value: &str) -> String {
    match value.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

/// The members of an object, each with its JSON text.
pub type Members<'a> = Vec<(String, &'a RawValue)>;

/// The members of the object on a line, in order; of a duplicate key, the first.
pub fn members<'a>(line: &'a [u8], diagnostics: &mut Vec<Diagnostic>) -> Option<Members<'a>> {
    let text = object_text(line, diagnostics)?;
    match serde_json::Deserializer::from_str(text).deserialize_map(Collect) {
        Ok(mut members) => {
            drop_duplicates(&mut members, diagnostics);
            Some(members)
        }
        // A key can still be invalid where the grammar is valid: half of a surrogate pair as an escape.
        Err(e) => {
            diagnostics.push(not_json(&e));
            None
        }
    }
}

fn drop_duplicates(members: &mut Members, diagnostics: &mut Vec<Diagnostic>) {
    let (mut seen, mut duplicates) = (HashSet::new(), Duplicates::default());
    members.retain(|(name, value)| {
        let is_new = seen.insert(name.clone());
        if !is_new {
            duplicates.add(name, value.get(), diagnostics);
        }
        is_new
    });
}

/// Findings about the repeated keys of one row: a row of a few megabytes can have hundreds of thousands.
#[derive(Debug, Default)]
pub(super) struct Duplicates {
    count: usize,
}

impl Duplicates {
    /// At most this many are told of a row.
    const TOLD: usize = 20;

    pub(super) fn add(&mut self, name: &str, value: &str, diagnostics: &mut Vec<Diagnostic>) {
        self.count += 1;
        if self.count <= Self::TOLD {
            let name = excerpt(name);
            let found = format!("{name} again, now {}", excerpt(value));
            diagnostics.push(Diagnostic::new("duplicate-key", found, "every key once per row").with_field(name));
        }
    }
}

struct Collect;

impl<'de> Visitor<'de> for Collect {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}
