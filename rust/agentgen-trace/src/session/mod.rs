//! A trace as sessions: the rows of each session together, their content as token streams, in the order they start.

mod assemble;
mod builder;
mod end;
mod link;
mod order;
mod rows;

use agentgen_engine::kv::{Prompt, TokenSeq};
use agentgen_engine::timeline::{Begin, SendTime, TimedSession, TimedTurn};

pub use assemble::Assembler;
pub use assemble::sessions;
pub use builder::session_of_owner;
pub use end::SessionEnd;
pub use link::{Link, Linker};
pub use order::in_order;
pub use order::{Sessions, TraceTiming, open, open_unlinked, ordered};

/// One request of a session.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Turn {
    /// Tokens of the whole prompt.
    pub context_tokens: u32,
    /// Prompt tokens after those of the turn before.
    pub input_tokens: u32,
    /// Tokens of the output.
    pub output_tokens: u32,
    /// Time from the end of the turn before, ms.
    pub delay_ms: Option<f64>,
    /// Time since the start of the trace, ms.
    pub timestamp_ms: Option<f64>,
}

/// A session with all of its turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    /// Its number in the order of the file, from 0.
    pub number: u64,
    /// Its name in the trace; `None` for a request that names no session.
    pub name: Option<String>,
    /// How it begins.
    pub link: Link,
    /// Whether another session may continue it.
    pub may_be_continued: bool,
    /// Why it ended, if the trace says so.
    pub end: Option<SessionEnd>,
    /// At least one.
    pub turns: Vec<Turn>,
    /// Whether requests have recorded times rather than delays.
    is_recorded: bool,
    /// Whether the trace has links: sessions that begin in this one's bundle may follow it.
    has_links: bool,
    /// Content, each stream with the first turn that has it. A prompt that does not extend the one before begins a new
    /// stream.
    streams: Vec<(usize, TokenSeq)>,
    /// Turns whose prompt holds the prompt before it and a part of its output, each with the tokens of that part: the last ones.
    returned: Vec<(usize, u32)>,
    /// The first stream of a linked restart session as its own incremental rows state it.
    standalone: Option<TokenSeq>,
}

/// How the prompts of a restart session are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// They begin with the parent's tokens, outputs included.
    Linked,
    /// They are what the session's own rows state.
    Standalone,
}

impl Session {
    /// The prompt of a turn, for a cache with blocks of `block_tokens`.
    #[must_use]
    pub fn prompt(&self, turn: usize, reading: Reading, block_tokens: u32, cached_outputs: bool) -> Prompt<'_> {
        let is_in_first_stream = turn < self.streams.get(1).map_or(usize::MAX, |(first, _)| *first);
        let stream = match (&self.standalone, reading) {
            (Some(standalone), Reading::Standalone) if is_in_first_stream => standalone,
            _ => self.stream(turn),
        };
        let turn = self.turns[turn];
        if !self.names_its_session() && stream.id_tokens() == block_tokens {
            return Prompt::of_ids(stream, turn.context_tokens);
        }
        // Without session names, the tokens of an output are unknown.
        let output = (cached_outputs && self.names_its_session()).then_some(turn.output_tokens);
        Prompt::new(stream, turn.context_tokens, output, block_tokens)
    }

    /// The linked content: each stream with the first turn that has it.
    pub fn streams(&self) -> impl Iterator<Item = (usize, &TokenSeq)> {
        self.streams.iter().map(|(first, stream)| (*first, stream))
    }

    /// The linked content around a turn: the turn's prompt is the first `context_tokens` tokens, its output follows.
    #[must_use]
    pub fn stream(&self, turn: usize) -> &TokenSeq {
        let index = self.streams.partition_point(|(first, _)| *first <= turn) - 1;
        &self.streams[index].1
    }

    /// Whether the prompt of a turn begins with the prompt and output of the turn before.
    #[must_use]
    pub fn extends_previous(&self, turn: usize) -> bool {
        turn > 0 && self.streams.binary_search_by_key(&turn, |(first, _)| *first).is_err()
    }

    /// Tokens of the previous output that the prompt of a turn holds, the last ones; `None`: all of them, or the prompt does
    /// not extend the one before.
    #[must_use]
    pub fn returned_tokens(&self, turn: usize) -> Option<u32> {
        self.returned.binary_search_by_key(&turn, |(turn, _)| *turn).ok().map(|at| self.returned[at].1)
    }

    /// Whether the trace says which session its requests belong to.
    #[must_use]
    pub fn names_its_session(&self) -> bool {
        self.name.is_some()
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
        self.link.parent().filter(|_| self.link.is_restart() && !self.is_recorded)
    }

    fn begin(&self) -> Begin {
        match self.link {
            Link::Break { parent: Some(parent), .. } => Begin::Break { parent },
            Link::SubAgent { parent: Some(parent), parent_turn, join_turn } => {
                Begin::SubAgent { parent, turn: parent_turn as usize, join: join_turn.map(|turn| turn as usize) }
            }
            _ => Begin::Slot,
        }
    }

    fn may_have_members(&self) -> bool {
        self.has_links
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
