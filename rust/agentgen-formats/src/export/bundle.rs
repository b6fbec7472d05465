//! The unit of an export: a session, and those that begin in its bundle.

use std::ops::Range;

use agentgen_trace::session::{Link, Session};

use super::about::{About, Trigger};
use super::session_blocks::SessionBlocks;

/// A session, ready to be written.
#[derive(Debug)]
pub(crate) struct Member {
    pub session: Session,
    pub about: About,
    /// Its name in the export.
    pub name: String,
    /// Place of its parent, of a break or sub-agent.
    pub parent: Option<usize>,
    /// When each turn is sent if responses take no time, or as recorded; ms.
    pub times: Vec<f64>,
    pub blocks: SessionBlocks,
}

/// Sessions that begin after one another, in the order of the file: the first one has an arrival of its own.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    pub members: Vec<Member>,
    /// Requests before it in the trace.
    pub requests_before: u64,
    /// Seeds of the tokens that its prompts may hold, for text.
    pub owners: Vec<(u64, u64)>,
}

impl Member {
    pub(crate) fn turns(&self) -> usize {
        self.session.turns.len()
    }

    /// Wait before a turn, ms.
    pub(crate) fn delay_ms(&self, turn: usize) -> f64 {
        self.session.turns[turn].delay_ms.unwrap_or(0.0)
    }

    pub(crate) fn trigger(&self, turn: usize) -> Option<Trigger> {
        self.about.triggers.get(turn).copied().flatten()
    }

    /// Whether a turn begins a history of its own, although it begins no session.
    pub(crate) fn is_rewritten(&self, turn: usize) -> bool {
        turn > 0 && !self.session.extends_previous(turn) && self.session.returned_tokens(turn).is_none()
    }

    /// Tokens of a prompt that earlier turns have sent or received.
    pub(crate) fn known_tokens(&self, turn: usize) -> u64 {
        if turn == 0 || self.is_rewritten(turn) {
            return 0;
        }
        let last = self.session.turns[turn - 1];
        let returned = self.session.returned_tokens(turn).unwrap_or(last.output_tokens);
        u64::from(last.context_tokens) + u64::from(returned)
    }

    /// The turns that share a growing history: one range, unless a prompt was rewritten within the session.
    pub(crate) fn runs(&self) -> Vec<Range<usize>> {
        let mut starts: Vec<usize> = (0..self.turns()).filter(|turn| *turn == 0 || self.is_rewritten(*turn)).collect();
        starts.push(self.turns());
        starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
    }

    /// The name of the run of turns with this number.
    pub(crate) fn run_name(&self, run: usize) -> String {
        if run == 0 { self.name.clone() } else { format!("{}#{}", self.name, run + 1) }
    }
}

impl Bundle {
    /// The sub-agents that a session starts, in the order of the file.
    pub(crate) fn agents_of(&self, parent: usize) -> impl Iterator<Item = (usize, u32, Option<u32>)> {
        self.members.iter().enumerate().filter(move |(_, member)| member.parent == Some(parent)).filter_map(
            |(at, member)| match member.session.link {
                Link::SubAgent { parent_turn, join_turn, .. } => Some((at, parent_turn, join_turn)),
                _ => None,
            },
        )
    }

    /// The session that continues another one after a break.
    pub(crate) fn break_of(&self, parent: usize) -> Option<usize> {
        let is_break =
            |member: &Member| member.parent == Some(parent) && matches!(member.session.link, Link::Break { .. });
        self.members.iter().position(is_break)
    }

    /// The sessions of a line: one, and the breaks after it.
    pub(crate) fn line(&self, first: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(first), |at| self.break_of(*at))
    }

    /// The number of a session's first request in the trace.
    pub(crate) fn first_turn_number(&self, member: usize) -> u64 {
        let before: usize = self.members[..member].iter().map(Member::turns).sum();
        self.requests_before + before as u64
    }
}
