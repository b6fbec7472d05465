//! A session that has started, as the engine sees its current request.

use std::cell::Cell;

use agentgen_engine::kv::{MatchHint, PrefixMatch, Prompt};
use agentgen_engine::serving::Request;
use agentgen_trace::session::{Reading, Session};

use super::Settings;
use crate::reuse::rates;

/// A session that has started. The tally updates the cells while the engine owns the session.
#[derive(Debug)]
pub(super) struct ActiveSession {
    pub session: Session,
    /// The turn whose request is scheduled, waits or runs.
    pub turn: usize,
    home: usize,
    tag: u32,
    block_tokens: u32,
    cached_outputs: bool,
    pub hint: Cell<SessionHint>,
    pub rates: Cell<rates::Tally>,
}

/// Hints of the session's last request at its replica, for its next request; they affect speed only.
#[derive(Debug, Clone, Copy)]
pub(super) struct SessionHint {
    pub replica: usize,
    /// In the cache.
    pub cached: MatchHint,
    /// In the tree of all chains that were ever in the cache.
    pub seen: PrefixMatch,
}

impl SessionHint {
    pub(super) const NOTHING: Self = Self { replica: 0, cached: MatchHint::NOTHING, seen: PrefixMatch::NOTHING };

    /// The hint for a replica; no chain if it is of another replica.
    pub(super) fn at(self, replica: usize) -> Self {
        if self.replica == replica { self } else { Self { replica, ..Self::NOTHING } }
    }
}

impl ActiveSession {
    pub(super) fn new(session: Session, home: usize, settings: &Settings) -> Self {
        let Settings { block_tokens, cached_outputs, .. } = *settings;
        Self {
            tag: tag(&session, block_tokens),
            session,
            turn: 0,
            home,
            block_tokens,
            cached_outputs,
            hint: Cell::new(SessionHint::NOTHING),
            rates: Cell::new(rates::Tally::NEW),
        }
    }

    /// Advances to the next turn.
    pub(super) fn next_turn(&mut self) {
        self.turn += 1;
        if !self.session.extends_previous(self.turn) {
            self.hint.set(SessionHint::NOTHING);
        }
    }
}

impl Request for Box<ActiveSession> {
    fn number(&self) -> u64 {
        self.session.number
    }

    fn context_tokens(&self) -> u32 {
        self.session.turns[self.turn].context_tokens
    }

    fn output_tokens(&self) -> u32 {
        self.session.turns[self.turn].output_tokens
    }

    /// Simulated requests are never cancelled, so the output is always complete.
    fn prompt(&self, _output_tokens: u32) -> Prompt<'_> {
        self.session.prompt(self.turn, Reading::Linked, self.block_tokens, self.cached_outputs)
    }

    fn home(&self) -> usize {
        self.home
    }

    fn hint(&self, replica: usize) -> MatchHint {
        self.hint.get().at(replica).cached
    }

    fn tag(&self) -> u32 {
        self.tag
    }
}

/// The tag of a session's blocks, which determines their layers when they are evicted: the number of blocks that begin in
/// the session's first prompt, and whether the session is a continuation. Lengths have 31 bits.
fn tag(session: &Session, block_tokens: u32) -> u32 {
    session.first_context_tokens().div_ceil(block_tokens) << 1 | u32::from(session.link.is_restart())
}

/// The parts of a tag: blocks of the chain that begin in the first prompt, and whether it is a continuation.
pub(super) fn parts(tag: u32) -> (u32, bool) {
    (tag >> 1, tag & 1 == 1)
}
