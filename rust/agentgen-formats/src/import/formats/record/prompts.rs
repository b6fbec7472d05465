//! The prompts of a journal, each stored from where it leaves an earlier one.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use crate::import::journal::{Entry, Piece};
use crate::import::lines::BadLine;

/// Most pieces of a prompt: a row is refused at as many tokens.
const MAX_PIECES: usize = 1 << 24;

/// A prompt without what it shares with an earlier one.
#[derive(Debug)]
struct Stored {
    after: Option<(u64, usize)>,
    own: Vec<Piece>,
    length: usize,
}

/// Prompts by the numbers of their calls.
#[derive(Debug, Default)]
pub struct Prompts(HashMap<u64, Stored>);

impl Prompts {
    /// Takes the pieces of a call.
    pub fn add(&mut self, entry: &mut Entry) -> Result<(), BadLine> {
        let Some(pieces) = entry.pieces.take() else { return Ok(()) };
        let begin = match entry.after {
            None => 0,
            Some((call, pieces)) => {
                let known = self.0.get(&call).is_some_and(|before| pieces <= before.length);
                if !known {
                    return Err(BadLine::new("a prompt that begins like that of an unknown call"));
                }
                pieces
            }
        };
        let length = begin + pieces.0.len();
        if length == 0 || length > MAX_PIECES || entry.head.iter().any(|end| *end > length) {
            return Err(BadLine::new("a prompt of a wrong length"));
        }
        // What a prompt begins with stands before it, so there are no circles.
        match self.0.entry(entry.call) {
            Slot::Occupied(_) => Err(BadLine::new("a call that was recorded twice")),
            Slot::Vacant(slot) => {
                slot.insert(Stored { after: entry.after, own: pieces.0, length });
                Ok(())
            }
        }
    }

    /// Whether a call's prompt is known.
    pub fn has(&self, call: u64) -> bool {
        self.0.contains_key(&call)
    }

    /// All pieces of a call's prompt; none if it is not known.
    pub fn pieces(&self, call: u64) -> Vec<Piece> {
        let Some(mut stored) = self.0.get(&call) else { return Vec::new() };
        let mut keep = stored.length;
        let mut runs: Vec<&[Piece]> = Vec::new();
        while let Some((before, begin)) = stored.after {
            if keep > begin {
                runs.push(&stored.own[..keep - begin]);
                keep = begin;
            }
            let Some(before) = self.0.get(&before) else { return Vec::new() };
            stored = before;
        }
        runs.push(&stored.own[..keep]);
        runs.reverse();
        runs.concat()
    }
}
