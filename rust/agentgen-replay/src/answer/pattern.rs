//! Fast path of the event parser: the events of a token stream mostly differ in one string.

use std::ops::Range;

/// Longest event that is remembered; events of a token are far shorter.
const MAX_EVENT_BYTES: usize = 64 << 10;

/// Which part of the answer the string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Its text.
    Text,
    /// Its reasoning.
    Reasoning,
}

/// A parsed event that held nothing but one string.
///
/// Another event with the same bytes before and after the string, and a string without escapes between them, parses to
/// the same with that string: JSON is read from left to right, and the string ends at the same quotation mark.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    event: Vec<u8>,
    /// Position of the string in the event.
    string: Range<usize>,
    part: Option<Part>,
}

impl Pattern {
    /// Remembers an event that holds only `string`, which must be borrowed from it.
    pub fn learn(&mut self, event: &[u8], string: &str, part: Part) {
        let start = string.as_ptr().addr().wrapping_sub(event.as_ptr().addr());
        if event.len() <= MAX_EVENT_BYTES && event.get(start..start + string.len()) == Some(string.as_bytes()) {
            self.event.clear();
            self.event.extend_from_slice(event);
            self.string = start..start + string.len();
            self.part = Some(part);
        }
    }

    /// The string of an event that matches the remembered one.
    pub fn find<'a>(&self, event: &'a [u8]) -> Option<(Part, &'a str)> {
        let part = self.part?;
        let (before, after) = (&self.event[..self.string.start], &self.event[self.string.end..]);
        let string = event.strip_prefix(before)?.strip_suffix(after)?;
        let plain = |&byte: &u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        string.iter().all(plain).then(|| std::str::from_utf8(string).ok()).flatten().map(|string| (part, string))
    }
}
