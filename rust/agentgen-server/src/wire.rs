//! Encodes events as server-sent events, with injected oddities that the format allows.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::answer::Answer;
use crate::fault::{Cut, Faults};
use crate::steps::Step;

/// Encodes events.
pub struct Wire {
    line_end: Option<&'static str>,
    comments: bool,
    bom: bool,
    multi_line: bool,
    seed: u64,
    drawn: u64,
    /// Offset of the last event.
    last: usize,
    /// Events so far.
    events: u64,
}

impl Wire {
    /// For request number `seed`.
    pub fn new(faults: &Faults, seed: u64) -> Self {
        let Faults { line_end, comments, bom, multi_line, .. } = *faults;
        Self { line_end, comments, bom, multi_line, seed, drawn: 0, last: 0, events: 0 }
    }

    /// Appends an event.
    pub fn event(&mut self, answer: &Answer, step: Step, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.bom) {
            out.extend_from_slice("\u{feff}".as_bytes());
        }
        let line_end = self.line_end.unwrap_or("\n");
        if self.comments {
            out.extend_from_slice(b": keep-alive");
            out.extend_from_slice(line_end.as_bytes());
            out.extend_from_slice(line_end.as_bytes());
        }
        self.last = out.len();
        if let Some(name) = answer.event_name(step) {
            out.extend_from_slice(b"event: ");
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(line_end.as_bytes());
        }
        let sequence = self.events;
        self.events += 1;
        out.extend_from_slice(b"data: ");
        if self.multi_line {
            let mut data = Vec::new();
            answer.encode(step, sequence, &mut data);
            // Between a comma and a quote outside of strings, JSON may have a line feed.
            let mut from = 0;
            for at in memchr::memmem::find_iter(&data, b",\"") {
                out.extend_from_slice(&data[from..=at]);
                out.extend_from_slice(line_end.as_bytes());
                out.extend_from_slice(b"data: ");
                from = at + 1;
            }
            out.extend_from_slice(&data[from..]);
        } else {
            answer.encode(step, sequence, out);
        }
        out.extend_from_slice(line_end.as_bytes());
        out.extend_from_slice(line_end.as_bytes());
    }

    /// Removes the second half of the last event if the connection is dropped within it.
    pub fn halve(&self, out: &mut Vec<u8>, faults: &Faults) {
        if matches!(faults.cut, Some(Cut::Within(_))) {
            out.truncate(self.last + (out.len() - self.last) / 2);
        }
    }

    /// A random length of 1 to 40 bytes.
    pub fn random_length(&mut self) -> usize {
        self.drawn += 1;
        1 + (xxh3_64_with_seed(&self.seed.to_le_bytes(), self.drawn) % 40) as usize
    }
}
