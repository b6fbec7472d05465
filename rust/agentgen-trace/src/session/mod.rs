//! A trace as sessions: rows of one session together, their content as streams, in the order they start.

mod assemble;
mod builder;
mod link;
mod order;
mod rows;

use agentgen_core::EndReason;
use agentgen_engine::kv::{Prompt, TokenSeq};
use agentgen_engine::timeline::{SendTime, TimedSession, TimedTurn};

pub use assemble::Assembler;
pub use assemble::sessions;
pub use link::Linker;
pub use order::in_order;
pub use order::{Clock, Sessions, open, open_unlinked, ordered};

/// A session's turn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// Prompt tokens in all.
    pub context_tokens: u32,
    /// Those that are new.
    pub input_tokens: u32,
    /// Output tokens.
    pub output_tokens: u32,
    /// ms after the end of the turn before.
    pub delay_ms: Option<f64>,
    /// ms.
    pub timestamp_ms: Option<f64>,
}

/// A session with all of its turns.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a session")]
pub struct Session {
    /// Its number in the order of the file.
    pub number: u64,
    /// What the trace calls it.
    pub name: Option<String>,
    /// Whether it continues another session.
    pub is_continuation: bool,
    /// The number of the session that it continues, if the trace holds it.
    pub parent: Option<u64>,
    /// Whether another session may continue it.
    pub may_be_continued: bool,
    /// Why it ended, where the trace says so.
    pub end: Option<EndReason>,
    /// At least one.
    pub turns: Vec<Turn>,
    /// Whether requests were recorded with their own times, rather than with delays.
    is_recorded: bool,
    /// Whether its ids alone are known: a request that names no session.
    is_by_ids: bool,
    /// Content, and the first turn that has it: a prompt that does not go on from the one before starts anew.
    streams: Vec<(usize, TokenSeq)>,
    /// How a continuation reads to those who do not know what it continues: by its incremental rows alone.
    alone: Option<TokenSeq>,
}

/// Which of the two readings of a continuation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It goes on from its parent's tokens, outputs included.
    Logical,
    /// Its own rows are all that is known.
    Replayed,
}

impl Session {
    /// The request of a turn, for a cache with blocks of `block_tokens`.
    #[must_use]
    pub fn prompt(&self, turn: usize, reading: Reading, block_tokens: u32, cached_outputs: bool) -> Prompt<'_> {
        let stream = match (&self.alone, reading) {
            (Some(alone), Reading::Replayed) if turn < self.streams.get(1).map_or(usize::MAX, |(first, _)| *first) => {
                alone
            }
            _ => self.stream(turn),
        };
        let turn = self.turns[turn];
        if self.is_by_ids && stream.id_tokens() == block_tokens {
            return Prompt::of_ids(stream, turn.context_tokens);
        }
        // Without sessions nobody can tell what an output's tokens are.
        let output = (cached_outputs && !self.is_by_ids).then_some(turn.output_tokens);
        Prompt::new(stream, turn.context_tokens, output, block_tokens)
    }

    /// The logical content: each stream, and the first turn that has it.
    pub fn streams(&self) -> impl Iterator<Item = (usize, &TokenSeq)> {
        self.streams.iter().map(|(first, stream)| (*first, stream))
    }

    /// The tokens of the prompts around a turn that go on from one another, as one who knows what it continues reads
    /// them: the turn's prompt is the first `context_tokens` of them, its output follows.
    #[must_use]
    pub fn stream(&self, turn: usize) -> &TokenSeq {
        let index = self.streams.partition_point(|(first, _)| *first <= turn) - 1;
        &self.streams[index].1
    }

    /// Whether the prompt of a turn goes on from the one before.
    #[must_use]
    pub fn goes_on(&self, turn: usize) -> bool {
        turn > 0 && self.streams.binary_search_by_key(&turn, |(first, _)| *first).is_err()
    }

    /// Whether the trace says which session its requests belong to.
    #[must_use]
    pub fn names_its_session(&self) -> bool {
        !self.is_by_ids
    }

    /// Tokens of the first prompt.
    #[must_use]
    pub fn first_context_tokens(&self) -> u32 {
        self.turns[0].context_tokens
    }
}

impl TimedSession for Session {
    fn number(&self) -> u64 {
        self.number
    }

    fn arrival_ms(&self) -> f64 {
        self.turns[0].timestamp_ms.unwrap_or(0.0)
    }

    fn parent(&self) -> Option<u64> {
        self.parent.filter(|_| !self.is_recorded)
    }

    fn may_be_continued(&self) -> bool {
        self.may_be_continued
    }

    fn turn(&self, index: usize) -> Option<TimedTurn> {
        let turn = self.turns.get(index)?;
        let send = match turn.timestamp_ms {
            Some(time) if self.is_recorded && index > 0 => SendTime::At(time),
            _ => SendTime::After(turn.delay_ms.unwrap_or(0.0)),
        };
        Some(TimedTurn { send, input_tokens: turn.input_tokens, output_tokens: turn.output_tokens })
    }
}
