//! Block ids. Two blocks have the same id if they, and all before them in their prompts, hold the same tokens.

use std::collections::HashMap;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::content::Content;
use super::model::{Call, Prompt};
use super::prefix::Prefix;

/// The id before the first block.
const NONE: i64 = -1;

/// Assigns ids in order of first appearance.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    block_tokens: u32,
    next: i64,
    /// Blocks of which the content is known, by the id before and their content.
    known: HashMap<u128, i64>,
    /// Blocks of the beginnings that sessions share, by kind of session.
    prefixes: HashMap<usize, Vec<i64>>,
}

impl Numbering {
    pub(crate) fn new(block_tokens: u32) -> Self {
        Self { block_tokens, ..Self::default() }
    }

    /// Full blocks of the beginning of a session of which only counts are known.
    pub(crate) fn prefix(&mut self, prefix: Prefix, prompt: u32) -> Vec<i64> {
        let full = (prefix.tokens.min(prompt) / self.block_tokens) as usize;
        let mut ids = self.prefixes.remove(&prefix.kind).unwrap_or_default();
        while ids.len() < full {
            ids.push(self.fresh());
        }
        let own = ids[..full].to_vec();
        self.prefixes.insert(prefix.kind, ids);
        own
    }

    /// Extends the full blocks of a line to those of a call's prompt, and returns the id of the partial block at its end.
    /// `chain` holds the blocks that the prompt shares with the one before, `content` is that of the prompt. `session` tells
    /// sessions apart.
    pub(crate) fn extend(
        &mut self,
        chain: &mut Vec<i64>,
        call: &Call,
        prompt: u32,
        session: usize,
        content: &Content,
    ) -> Option<i64> {
        let full = (prompt / self.block_tokens) as usize;
        let rest = prompt % self.block_tokens;
        match &call.prompt {
            Prompt::Parts(_) | Prompt::Appended(_) if content.is_known() => {
                let block = u64::from(self.block_tokens);
                let mut pieces = Vec::new();
                while chain.len() < full {
                    let from = chain.len() as u64 * block;
                    content.pieces(from, from + block, &mut pieces);
                    let id = self.named(chain.last().copied(), pieces.as_flattened(), self.block_tokens);
                    chain.push(id);
                }
                (rest > 0).then(|| self.fresh())
            }
            Prompt::Counted | Prompt::Parts(_) | Prompt::Appended(_) => {
                while chain.len() < full {
                    let id = self.fresh();
                    chain.push(id);
                }
                (rest > 0).then(|| self.fresh())
            }
            Prompt::Blocks { scope, ids, .. } => {
                // A scope of the whole import, or of one session.
                let scope = match scope {
                    Some(scope) => xxh3_128(scope.as_bytes()),
                    None => session as u128,
                };
                let is_local = u128::from(matches!(call.prompt, Prompt::Blocks { scope: None, .. }));
                let named = |id: u64| [scope, is_local, u128::from(id)];
                while chain.len() < full {
                    let id = match ids.get(chain.len()) {
                        Some(id) => self.named(chain.last().copied(), &named(*id), self.block_tokens),
                        None => self.fresh(),
                    };
                    chain.push(id);
                }
                let last = ids.get(full).filter(|_| rest > 0).map(|id| named(*id));
                match last {
                    Some(content) => Some(self.named(chain.last().copied(), &content, rest)),
                    None => (rest > 0).then(|| self.fresh()),
                }
            }
        }
    }

    /// The id of a block with this content after that of `before`.
    fn named(&mut self, before: Option<i64>, content: &[u128], tokens: u32) -> i64 {
        let mut hasher = Xxh3::new();
        hasher.update(&before.unwrap_or(NONE).to_le_bytes());
        hasher.update(&tokens.to_le_bytes());
        for number in content {
            hasher.update(&number.to_le_bytes());
        }
        let next = self.next;
        let id = *self.known.entry(hasher.digest128()).or_insert(next);
        self.next += i64::from(id == next);
        id
    }

    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }
}
