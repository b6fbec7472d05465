//! The full reader of a line: accepts every valid row, however it is written, and reports every fault of an invalid row.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json_key::{Key, MAX_ID, MAX_LENGTH, REQUIRED};
use super::json_object::{Duplicates, excerpt, not_json, object_text};
use crate::diagnostic::Diagnostic;
use crate::row::{MAX_NAME_BYTES, Row, RowLinks, SessionKey, TIME, is_time};

/// Reads one line into a cleared row.
pub(super) fn parse_full(line: &[u8], row: &mut Row, diagnostics: &mut Vec<Diagnostic>) {
    let Some(value) = object_text(line, diagnostics) else { return };
    let mut fields = Fields { row, diagnostics, seen: 0, unknown: HashSet::new(), duplicates: Duplicates::default() };
    // A key can still be invalid where the grammar is valid: half of a surrogate pair as an escape.
    if let Err(e) = serde_json::Deserializer::from_str(value).deserialize_map(&mut fields) {
        return diagnostics.push(not_json(&e));
    }
    fields.finish();
}

/// Visits the members of a row in order, so that duplicate keys are seen.
struct Fields<'a> {
    row: &'a mut Row,
    diagnostics: &'a mut Vec<Diagnostic>,
    seen: u32,
    unknown: HashSet<String>,
    duplicates: Duplicates,
}

impl<'de> Visitor<'de> for &mut Fields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value::<&RawValue>()?.get();
            self.field(name, value);
        }
        Ok(())
    }
}

impl Fields<'_> {
    fn field(&mut self, name: String, value: &str) {
        let Some(key) = Key::named(name.as_bytes()) else {
            if self.unknown.contains(&name) {
                self.duplicates.add(&name, value, self.diagnostics);
            } else {
                self.unknown.insert(name);
            }
            return;
        };
        if self.seen & key.bit() != 0 {
            return self.duplicates.add(&name, value, self.diagnostics);
        }
        self.seen |= key.bit();
        if let Err(diagnostic) = self.set(key, &name, value) {
            self.diagnostics.push(diagnostic);
        }
    }

    fn set(&mut self, key: Key, name: &str, value: &str) -> Result<(), Diagnostic> {
        let row = &mut *self.row;
        match key {
            Key::Session | Key::Conversation => {
                row.session_id = string(name, value)?;
                row.session_key = if key == Key::Session { SessionKey::Session } else { SessionKey::Conversation };
            }
            Key::InputLength => row.input_length = integer(name, value, 1, MAX_LENGTH)? as u32,
            Key::OutputLength => row.output_length = integer(name, value, 0, MAX_LENGTH)? as u32,
            Key::HashIds => ids(value, &mut row.hash_ids, self.diagnostics)?,
            Key::Timestamp => row.timestamp = Some(milliseconds(name, value)?),
            Key::Delay => row.delay = Some(milliseconds(name, value)?),
            Key::GroupId => row.group_id = Some(integer(name, value, 0, u64::from(u32::MAX))? as u32),
            Key::IsRestart => row.is_restart = Some(boolean(name, value)?),
            Key::ParentSession => row.parent_session_id = Some(string(name, value)?),
            Key::EndReason => row.end_reason = Some(string(name, value)?),
            _ => link(row.links.get_or_insert_default(), key, name, value)?,
        }
        Ok(())
    }

    fn finish(self) {
        for (key, name) in REQUIRED {
            if self.seen & key.bit() == 0 {
                let missing = Diagnostic::new("missing-field", format!("no {name}"), format!("{name} on every row"));
                self.diagnostics.push(missing);
            }
        }
        let both = Key::Session.bit() | Key::Conversation.bit();
        if self.seen & both == both {
            let found = "session_id and conversation_id";
            self.diagnostics.push(Diagnostic::new("two-session-keys", found, "one of the two"));
        }
    }
}

/// Sets a field that only traces with links have. Foreign traces use words like `agent` for other things, so a name that
/// is not a string counts as none.
fn link(links: &mut RowLinks, key: Key, name: &str, value: &str) -> Result<(), Diagnostic> {
    let tokens = || integer(name, value, 0, MAX_LENGTH).map(|n| Some(n as u32));
    let turn = || integer(name, value, 0, u64::from(u32::MAX)).map(|n| Some(n as u32));
    match key {
        Key::Link => links.link = string(name, value).ok(),
        Key::ParentTurn => links.parent_turn = turn()?,
        Key::JoinTurn => links.join_turn = turn()?,
        Key::KeptLength => links.kept_length = tokens()?,
        Key::ReturnedLength => links.returned_length = tokens()?,
        Key::StartDelay => links.start_delay = Some(milliseconds(name, value)?),
        Key::Agent => links.agent = string(name, value).ok(),
        Key::Trigger => links.trigger = string(name, value).ok(),
        Key::RootSession => links.root_session_id = string(name, value).ok(),
        _ => links.break_kind = string(name, value).ok(),
    }
    Ok(())
}

fn wrong(rule: &'static str, name: &str, value: &str, expected: impl Into<String>) -> Diagnostic {
    Diagnostic::new(rule, format!("{name} {}", excerpt(value)), expected).with_field(name.to_owned())
}

fn is_number(value: &str) -> bool {
    value.starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

fn integer(name: &str, value: &str, min: u64, max: u64) -> Result<u64, Diagnostic> {
    integer_or_rule(value, min, max).map_err(|rule| wrong(rule, name, value, format!("an integer from {min} to {max}")))
}

/// An integer in its range, else the name of the rule it breaks. `655.0` is an integer: some programs write all numbers so.
fn integer_or_rule(value: &str, min: u64, max: u64) -> Result<u64, &'static str> {
    let is_zero = |places: &str| !places.is_empty() && places.bytes().all(|digit| digit == b'0');
    let value = value.split_once('.').filter(|(_, places)| is_zero(places)).map_or(value, |(whole, _)| whole);
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("type");
    }
    // A failure to parse means a sign, or more digits than the largest integer.
    value.parse().ok().filter(|n| (min..=max).contains(n)).ok_or("range")
}

fn milliseconds(name: &str, value: &str) -> Result<f64, Diagnostic> {
    if !is_number(value) {
        return Err(wrong("type", name, value, TIME));
    }
    // A failure to parse means a number too large for a double.
    let number = serde_json::from_str::<f64>(value).ok().filter(|ms| is_time(*ms));
    number.map(f64::abs).ok_or_else(|| wrong("range", name, value, TIME))
}

fn boolean(name: &str, value: &str) -> Result<bool, Diagnostic> {
    serde_json::from_str(value).map_err(|_| wrong("type", name, value, "true or false"))
}

fn string(name: &str, value: &str) -> Result<String, Diagnostic> {
    let expected = "a string that is not empty";
    let text: String = serde_json::from_str(value).map_err(|_| wrong("type", name, value, expected))?;
    if text.len() > MAX_NAME_BYTES {
        return Err(wrong("range", name, value, format!("at most {MAX_NAME_BYTES} bytes")));
    }
    if text.is_empty() { Err(wrong("range", name, value, expected)) } else { Ok(text) }
}

/// Reads hash ids; for each broken rule, reports the first id that breaks it, by its index.
fn ids(value: &str, ids: &mut Vec<i64>, diagnostics: &mut Vec<Diagnostic>) -> Result<(), Diagnostic> {
    let list: Vec<&RawValue> =
        serde_json::from_str(value).map_err(|_| wrong("type", "hash_ids", value, "a list of integers"))?;
    let mut reported: Vec<&'static str> = Vec::new();
    for (at, item) in list.iter().enumerate() {
        match integer_or_rule(item.get(), 0, MAX_ID) {
            Ok(id) => ids.push(id as i64),
            Err(rule) if !reported.contains(&rule) => {
                reported.push(rule);
                let expected = format!("an integer from 0 to {MAX_ID}");
                let wrong = wrong(rule, &format!("hash_ids[{at}]"), item.get(), expected);
                diagnostics.push(wrong.with_help("agentgen convert --renumber-ids numbers ids of any kind"));
            }
            Err(_) => {}
        }
    }
    Ok(())
}
