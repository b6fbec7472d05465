//! One line of JSONL as a [`Row`].
//!
//! Rows are almost entirely arrays of integers, so the usual shape of a row is read by hand, without allocating. Whatever
//! is unusual or wrong goes to [`super::json_faults`], which is slow and knows everything; both agree on every row that
//! the first accepts.

use std::fmt;

use memchr::memchr2;

use super::json_faults;
use crate::row::{Row, SessionKey};

/// Lengths are at most this.
pub(super) const MAX_LENGTH: u64 = (1 << 31) - 1;
/// Ids are at most this: what every JSON reader keeps exact.
pub(super) const MAX_ID: u64 = (1 << 53) - 1;
/// U+FEFF in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A rule that a row breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Short name of the rule (`type`, `range`, `missing-field`, ...).
    pub rule: &'static str,
    /// What the row has, with the field's name.
    pub found: String,
    /// What the rule asks for.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.rule, self.found, self.expected)
    }
}

impl Fault {
    pub(super) fn new(rule: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { rule, found: found.into(), expected: expected.into() }
    }
}

/// Keys of a row, in the order in which they are usually written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Session,
    Conversation,
    InputLength,
    OutputLength,
    HashIds,
    Timestamp,
    Delay,
    GroupId,
    IsRestart,
    ParentSession,
    EndReason,
}

impl Key {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"session_id" => Self::Session,
            b"conversation_id" => Self::Conversation,
            b"input_length" => Self::InputLength,
            b"output_length" => Self::OutputLength,
            b"hash_ids" => Self::HashIds,
            b"timestamp" => Self::Timestamp,
            b"delay" => Self::Delay,
            b"group_id" => Self::GroupId,
            b"is_restart" => Self::IsRestart,
            b"parent_session_id" => Self::ParentSession,
            b"end_reason" => Self::EndReason,
            _ => return None,
        })
    }

    /// Its bit in a set of keys.
    pub(super) fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Keys that no row may lack.
pub(super) const REQUIRED: [(Key, &str); 3] =
    [(Key::InputLength, "input_length"), (Key::OutputLength, "output_length"), (Key::HashIds, "hash_ids")];

/// Reads one line, without its end, into `row`, whose buffers are reused. The row is good if no fault was added; of a
/// faulty row, the fields that are sound are set.
pub fn parse_row(line: &[u8], row: &mut Row, faults: &mut Vec<Fault>) {
    clear(row);
    if parse_usual(line, row).is_none() {
        clear(row);
        json_faults::parse_any(line, row, faults);
    }
}

fn clear(row: &mut Row) {
    let (mut session_id, mut hash_ids) = (std::mem::take(&mut row.session_id), std::mem::take(&mut row.hash_ids));
    session_id.clear();
    hash_ids.clear();
    *row = Row { session_id, hash_ids, ..Row::default() };
}

/// Reads a row of the usual shape: known keys once each, plain strings, integers, decimals without exponent, nothing
/// missing, everything in range. `None` means "look closer", not "faulty".
pub(super) fn parse_usual(line: &[u8], row: &mut Row) -> Option<()> {
    let mut cursor = Cursor { bytes: line, at: 0 };
    let mut seen = 0u16;
    cursor.expect(b'{')?;
    loop {
        let key = Key::named(cursor.string()?.as_bytes())?;
        if seen & key.bit() != 0 {
            return None;
        }
        seen |= key.bit();
        cursor.expect(b':')?;
        cursor.value(key, row)?;
        match cursor.delimiter() {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let both = Key::Session.bit() | Key::Conversation.bit();
    let complete = REQUIRED.iter().all(|(key, _)| seen & key.bit() != 0) && seen & both != both;
    cursor.skip_space();
    (complete && cursor.at == line.len()).then_some(())
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The next byte; 0, which is nowhere valid, at the end.
    #[inline]
    fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// The next byte that is not white space, taken.
    #[inline]
    fn delimiter(&mut self) -> u8 {
        self.skip_space();
        let byte = self.peek();
        self.at += 1;
        byte
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.delimiter() == byte).then_some(())
    }

    fn value(&mut self, key: Key, row: &mut Row) -> Option<()> {
        self.skip_space();
        match key {
            Key::Session | Key::Conversation => {
                row.session_id.push_str(self.name()?);
                row.session_key = if key == Key::Session { SessionKey::Session } else { SessionKey::Conversation };
            }
            Key::InputLength => {
                row.input_length = self.integer(MAX_LENGTH)? as u32;
                if row.input_length == 0 {
                    return None;
                }
            }
            Key::OutputLength => row.output_length = self.integer(MAX_LENGTH)? as u32,
            Key::HashIds => self.ids(&mut row.hash_ids)?,
            Key::Timestamp => row.timestamp = Some(self.decimal()?),
            Key::Delay => row.delay = Some(self.decimal()?),
            Key::GroupId => row.group_id = Some(self.integer(u64::from(u32::MAX))? as u32),
            Key::IsRestart => row.is_restart = Some(self.boolean()?),
            Key::ParentSession => row.parent_session_id = Some(self.name()?.to_owned()),
            Key::EndReason => row.end_reason = Some(self.name()?.to_owned()),
        }
        Some(())
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let text = &rest[..memchr2(b'"', b'\\', rest)?];
        if rest[text.len()] == b'\\' || text.iter().any(|b| *b < b' ') {
            return None;
        }
        self.at += text.len() + 1;
        std::str::from_utf8(text).ok()
    }

    /// A string with something in it.
    fn name(&mut self) -> Option<&'a str> {
        self.string().filter(|s| !s.is_empty())
    }

    fn boolean(&mut self) -> Option<bool> {
        let rest = self.bytes.get(self.at..)?;
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return None;
        }
        self.at += if value { 4 } else { 5 };
        Some(value)
    }

    /// Digits, read on top of `value`: the new value and how many they were.
    #[inline]
    fn digits(&mut self, mut value: u64) -> (u64, usize) {
        let start = self.at;
        loop {
            let digit = self.peek().wrapping_sub(b'0');
            if digit > 9 {
                return (value, self.at - start);
            }
            // Wraps only in numbers longer than any that the callers accept.
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
    }

    #[inline]
    fn integer(&mut self, max: u64) -> Option<u64> {
        let leading_zero = self.peek() == b'0';
        let (value, digits) = self.digits(0);
        let usual = digits > 0 && digits <= 16 && !(leading_zero && digits > 1);
        (usual && value <= max).then_some(value)
    }

    /// A decimal that one division gives exactly: both operands are exact in `f64`.
    fn decimal(&mut self) -> Option<f64> {
        const POWERS: [f64; 17] =
            [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];
        let whole = self.integer(MAX_ID)?;
        if self.peek() != b'.' {
            return Some(whole as f64);
        }
        self.at += 1;
        let (value, places) = self.digits(whole);
        let usual = places > 0 && whole.checked_ilog10().map_or(1, |d| d as usize + 1) + places <= 16;
        (usual && value <= MAX_ID).then(|| value as f64 / POWERS[places])
    }

    fn ids(&mut self, ids: &mut Vec<i64>) -> Option<()> {
        self.expect(b'[')?;
        self.skip_space();
        if self.peek() == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.skip_space();
            ids.push(self.integer(MAX_ID)? as i64);
            match self.delimiter() {
                b',' => {}
                b']' => return Some(()),
                _ => return None,
            }
        }
    }
}
