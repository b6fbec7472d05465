//! What each format holds of a trace: one table for messages, results, `--strict` and the documentation.

use schemars::JsonSchema;
use serde::Serialize;

use super::bundle::Bundle;
use agentgen_trace::session::Link;

/// A part of what a trace says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// When sessions arrive.
    Arrivals,
    /// Waits between a response and the next request.
    Delays,
    /// Which requests belong together.
    Sessions,
    /// Sessions that continue another one later.
    Restarts,
    /// Histories that were rewritten, and how much they keep.
    Breaks,
    /// Which turn starts a sub-agent.
    SubAgents,
    /// Waits of the parent's next turn for a sub-agent.
    Joins,
    /// Waits of a later turn for a sub-agent.
    LateJoins,
    /// What caused each request.
    Triggers,
    /// Groups of sessions, and kinds of agents.
    Groups,
    /// Tokens of each output.
    OutputLengths,
    /// Outputs that come back in part.
    ReturnedOutputs,
    /// What prompts share.
    Blocks,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 13] = [
        Self::Arrivals,
        Self::Delays,
        Self::Sessions,
        Self::Restarts,
        Self::Breaks,
        Self::SubAgents,
        Self::Joins,
        Self::LateJoins,
        Self::Triggers,
        Self::Groups,
        Self::OutputLengths,
        Self::ReturnedOutputs,
        Self::Blocks,
    ];

    /// Its name in tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Arrivals => "arrivals",
            Self::Delays => "delays",
            Self::Sessions => "sessions",
            Self::Restarts => "restarts",
            Self::Breaks => "breaks",
            Self::SubAgents => "sub-agents",
            Self::Joins => "joins",
            Self::LateJoins => "late joins",
            Self::Triggers => "triggers",
            Self::Groups => "groups and kinds",
            Self::OutputLengths => "output lengths",
            Self::ReturnedOutputs => "returned outputs",
            Self::Blocks => "blocks",
        }
    }
}

/// How a format holds a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// As it is.
    Exact,
    /// In another form; the text says which.
    Approximated(&'static str),
    /// Not at all.
    Lost,
}

/// A part of the trace that the target does not hold exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Loss {
    /// The part.
    pub part: Part,
    /// How often the trace has it.
    pub count: u64,
    /// What the target has in its place; null: nothing.
    pub approximated: Option<String>,
}

/// How often a trace has each part.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts([u64; Part::ALL.len()]);

impl Counts {
    /// Counts the parts of a bundle.
    pub(crate) fn add(&mut self, bundle: &Bundle) {
        let mut add = |part: Part, count: usize| self.0[part as usize] += count as u64;
        for (at, member) in bundle.members.iter().enumerate() {
            let turns = &member.session.turns;
            let is_head = at == 0;
            add(Part::Arrivals, usize::from(is_head && turns[0].timestamp_ms.unwrap_or(0.0) > 0.0));
            let delays =
                (0..turns.len()).filter(|turn| member.session.names_its_session() && member.delay_ms(*turn) > 0.0);
            add(Part::Delays, delays.count());
            add(Part::Sessions, usize::from(turns.len() > 1));
            match member.session.link {
                Link::Root => {}
                Link::Restart { .. } => add(Part::Restarts, 1),
                Link::Break { .. } => add(Part::Breaks, 1),
                Link::SubAgent { parent_turn, join_turn, .. } => {
                    add(Part::SubAgents, 1);
                    let is_next = join_turn == Some(parent_turn + 1);
                    add(Part::Joins, usize::from(is_next));
                    add(Part::LateJoins, usize::from(join_turn.is_some() && !is_next));
                }
            }
            add(Part::Triggers, member.about.triggers.iter().flatten().count());
            let is_kind = member.about.agent.as_deref().is_some_and(|agent| agent != "main");
            add(Part::Groups, usize::from(member.about.group.is_some() || is_kind));
            add(Part::OutputLengths, turns.len());
            let returned = (0..turns.len()).filter(|turn| member.session.returned_tokens(*turn).is_some());
            add(Part::ReturnedOutputs, returned.count());
            add(Part::Blocks, turns.len());
        }
    }

    pub(crate) fn of(&self, part: Part) -> u64 {
        self.0[part as usize]
    }
}
