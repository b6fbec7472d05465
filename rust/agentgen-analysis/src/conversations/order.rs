//! In which order, and by which clock, the sessions of a trace start.

use agentgen_core::config::Arrival;
use agentgen_core::timeline::{Start, TimedSession as _};
use agentgen_trace::Result;
use agentgen_trace::meta::TraceMeta;
use schemars::JsonSchema;
use serde::Serialize;

use super::Conversation;

/// Sessions looked at to tell whether they arrive at different times, where nothing says what made the trace.
const LOOKED_AT: usize = 10_000;

/// How a trace says when its requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Sessions have delays and no arrivals.
    Closed,
    /// Sessions arrive, then have delays.
    Arrivals,
    /// Each request has its time.
    Recorded,
}

/// Sessions in the order in which they start.
pub struct Ordered<'a> {
    /// What they go by.
    pub clock: Clock,
    /// The sessions.
    pub conversations: Box<dyn Iterator<Item = Result<Conversation>> + Send + 'a>,
}

impl Ordered<'_> {
    /// How a timeline starts them.
    #[must_use]
    pub fn start(&self) -> Start {
        if self.clock == Clock::Closed { Start::Slots } else { Start::Arrivals }
    }
}

/// Finds out how the sessions of a trace start, and puts them in that order. A trace that nothing is known of is taken
/// to be closed-loop if its first 10,000 sessions arrive at the same time; else it is held in memory and sorted.
pub fn ordered<'a>(
    meta: &TraceMeta,
    conversations: impl Iterator<Item = Result<Conversation>> + Send + 'a,
) -> Result<Ordered<'a>> {
    let conversations = Box::new(conversations);
    if let Some(origin) = &meta.origin {
        let clock = if origin.config.arrival == Arrival::Closed { Clock::Closed } else { Clock::Arrivals };
        return Ok(Ordered { clock, conversations });
    }
    let mut conversations = conversations;
    let mut first: Vec<Conversation> = conversations.by_ref().take(LOOKED_AT).collect::<Result<_>>()?;
    let is_closed = first.iter().all(|c| c.arrival_ms() == first[0].arrival_ms() && !c.is_by_ids);
    if is_closed {
        let conversations = Box::new(first.into_iter().map(Ok).chain(conversations));
        return Ok(Ordered { clock: Clock::Closed, conversations });
    }
    for conversation in conversations {
        first.push(conversation?);
    }
    first.sort_by(|a, b| a.arrival_ms().total_cmp(&b.arrival_ms()));
    let is_recorded = first.iter().any(|c| c.turns.iter().skip(1).any(|turn| turn.timestamp_ms.is_some()));
    let is_recorded = is_recorded || first.iter().all(|c| c.is_by_ids);
    for conversation in &mut first {
        conversation.is_recorded = is_recorded;
    }
    let clock = if is_recorded { Clock::Recorded } else { Clock::Arrivals };
    Ok(Ordered { clock, conversations: Box::new(first.into_iter().map(Ok)) })
}
