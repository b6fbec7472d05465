//! Events that differ in one string only, which is what a stream of tokens is, need not be parsed again.

use std::ops::Range;

/// What the string of an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The answer.
    Text,
    /// What comes before the answer.
    Reasoning,
}

/// An event that was parsed and held nothing but one string: its bytes before and after it.
///
/// Bytes that begin and end like it, with a string in between that stands for itself, are parsed to the same with that
/// string in place of the other: JSON is read from left to right, and the string ends at the same quotation mark.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    event: Vec<u8>,
    /// Where the string is in the event.
    string: Range<usize>,
    part: Option<Part>,
}

impl Pattern {
    /// The event was parsed and holds `string`, borrowed from it, and nothing else.
    pub fn learn(&mut self, event: &[u8], string: &str, part: Part) {
        let start = string.as_ptr().addr().wrapping_sub(event.as_ptr().addr());
        if event.get(start..start + string.len()) == Some(string.as_bytes()) {
            self.event.clear();
            self.event.extend_from_slice(event);
            self.string = start..start + string.len();
            self.part = Some(part);
        }
    }

    /// The string of an event that is like the one which was parsed.
    pub fn find<'a>(&self, event: &'a [u8]) -> Option<(Part, &'a str)> {
        let part = self.part?;
        let (before, after) = (&self.event[..self.string.start], &self.event[self.string.end..]);
        let string = event.strip_prefix(before)?.strip_suffix(after)?;
        let plain = |&byte: &u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        string.iter().all(plain).then(|| std::str::from_utf8(string).ok()).flatten().map(|string| (part, string))
    }
}
