//! Parser of server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
//!
//! It deviates from the standard twice, because servers do: the last event needs no blank line if HTTP says that the body
//! is complete ([`Events::finish`]), and a line `error: …` is an event of that type (llama.cpp).

use memchr::{memchr, memchr2};

use crate::secrets::MAX_TEXT_BYTES;

/// An event of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Its `data` lines joined by line feeds.
    pub data: &'a [u8],
    /// Whether its type is `error`.
    pub is_error: bool,
}

/// Turns bytes into events. It keeps its buffers, so an event costs no allocation.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // independent states of the parser
pub(super) struct Events {
    /// A line whose end has not arrived.
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    is_error: bool,
    /// The read before ended with CR; an LF at the start of the next belongs to it.
    after_cr: bool,
    /// A line has been read, so a byte order mark is no longer accepted.
    begun: bool,
    stray: Vec<u8>,
}

impl Events {
    /// Takes one network read; calls `each` for every event that ends in it.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Event<'_>)) {
        let mut rest = bytes;
        if let (true, Some((&next, tail))) = (self.after_cr, rest.split_first()) {
            self.after_cr = false;
            rest = if next == b'\n' { tail } else { rest };
        }
        while let Some(end) = memchr2(b'\n', b'\r', rest) {
            let (line, tail) = (&rest[..end], &rest[end + 1..]);
            rest = tail;
            if bytes[bytes.len() - tail.len() - 1] == b'\r' {
                self.after_cr = tail.is_empty();
                rest = tail.strip_prefix(b"\n").unwrap_or(tail);
            }
            if self.line.is_empty() {
                self.take(line, &mut each);
            } else {
                self.line.extend_from_slice(line);
                self.take_held(&mut each);
            }
        }
        self.line.extend_from_slice(rest);
    }

    /// Ends a complete body: the last event may lack its blank line.
    pub fn finish(&mut self, mut each: impl FnMut(Event<'_>)) {
        self.take_held(&mut each);
        self.dispatch(&mut each);
    }

    /// Bytes held for an event whose end has not arrived.
    pub fn pending(&self) -> usize {
        self.line.len() + self.data.len()
    }

    /// The first bytes that belong to no event.
    pub fn stray(&self) -> &[u8] {
        &self.stray
    }

    fn take_held(&mut self, each: &mut impl FnMut(Event<'_>)) {
        let mut line = std::mem::take(&mut self.line);
        self.take(&line, each);
        line.clear();
        self.line = line;
    }

    fn take(&mut self, line: &[u8], each: &mut impl FnMut(Event<'_>)) {
        let line = if self.begun { line } else { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch(each);
        }
        let (name, value) = match memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => self.add_data(value),
            b"event" => self.is_error = value == b"error",
            b"error" => {
                self.is_error = true;
                self.add_data(value);
            }
            b"" | b"id" | b"retry" => {} // a comment, or a field for reconnecting clients
            _ => {
                let room = MAX_TEXT_BYTES - self.stray.len();
                self.stray.extend(line.iter().chain(b"\n").take(room));
            }
        }
    }

    fn add_data(&mut self, value: &[u8]) {
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event<'_>)) {
        if self.has_data {
            each(Event { data: &self.data, is_error: self.is_error });
            self.data.clear();
            self.has_data = false;
        }
        self.is_error = false;
    }
}
