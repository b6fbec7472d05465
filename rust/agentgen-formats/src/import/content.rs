//! The content of the last prompt of a line, as far as it is known.

use super::lengths::LengthEstimator;
use super::model::{Part, Prompt};

/// Parts of a prompt in order.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// Hash of each part, and where it ends, in tokens.
    parts: Vec<(u128, u64)>,
    /// Whether the parts are all that the prompt holds.
    is_known: bool,
}

/// A piece of a prompt that lies in one block: a part's hash, the offset in the part, the length.
pub(crate) type Piece = [u128; 3];

impl Content {
    /// Makes it the content of the next call's prompt.
    pub(crate) fn follow(&mut self, prompt: &Prompt, estimator: &LengthEstimator) {
        match prompt {
            Prompt::Parts(parts) => {
                self.parts.clear();
                self.is_known = true;
                self.append(parts, estimator);
            }
            Prompt::Appended(parts) => {
                // The first call of a session appends to nothing.
                self.is_known |= self.parts.is_empty();
                if self.is_known {
                    self.append(parts, estimator);
                }
            }
            Prompt::Counted | Prompt::Blocks { .. } => {
                // Its own marker, so that a later prompt does not seem to be the first.
                self.parts.clear();
                self.parts.push((0, 0));
                self.is_known = false;
            }
        }
    }

    fn append(&mut self, parts: &[Part], estimator: &LengthEstimator) {
        let mut end = self.tokens();
        for part in parts {
            end += u64::from(estimator.part(part));
            self.parts.push((part.hash, end));
        }
    }

    fn tokens(&self) -> u64 {
        self.parts.last().map_or(0, |part| part.1)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.is_known
    }

    /// Tokens that it shares with a prompt of these parts.
    pub(crate) fn shared(&self, parts: &[Part]) -> u64 {
        let common = self.parts.iter().zip(parts).take_while(|(own, part)| own.0 == part.hash).count();
        common.checked_sub(1).map_or(0, |last| self.parts[last].1)
    }

    /// What lies between two positions.
    pub(crate) fn pieces(&self, from: u64, to: u64, pieces: &mut Vec<Piece>) {
        pieces.clear();
        let first = self.parts.partition_point(|part| part.1 <= from);
        let mut start = first.checked_sub(1).map_or(0, |before| self.parts[before].1);
        for (hash, end) in &self.parts[first..] {
            if start >= to {
                break;
            }
            let (begin, until) = (start.max(from), (*end).min(to));
            pieces.push([*hash, u128::from(begin - start), u128::from(until - begin)]);
            start = *end;
        }
    }
}
