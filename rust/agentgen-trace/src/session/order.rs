//! In which order, and by which clock, the sessions of a trace start.

use crate::meta::TraceMeta;
use crate::row::SessionKey;
use crate::schema::Column;
use crate::source::{self, Source};
use crate::{Cancel, Result};
use agentgen_core::config::Arrival;
use agentgen_engine::timeline::{StartRule, TimedSession as _};
use schemars::JsonSchema;
use serde::Serialize;

use super::assemble::unlinked;
use super::link::Unlinked;
use super::{Session, sessions};

/// Sessions looked at to tell how a trace is timed, where nothing says what made it.
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

impl Clock {
    /// How a timeline starts sessions.
    #[must_use]
    pub fn start(self) -> StartRule {
        if self == Self::Closed { StartRule::Slots } else { StartRule::Arrivals }
    }

    /// What of the trace decides how many sessions are open, in words; `None` if whoever plays it does.
    pub fn decides(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::Arrivals => Some("arrivals, which say how many sessions are open"),
            Self::Recorded => Some("recorded times, which say how many sessions are open"),
        }
    }
}

/// Sessions in the order in which they start.
pub type Sessions<'a> = Box<dyn Iterator<Item = Result<Session>> + Send + 'a>;

/// The sessions of a trace in the order in which they start, read by `threads` threads.
pub fn open(source: &Source, threads: usize, cancel: &Cancel) -> Result<(Clock, Sessions<'static>)> {
    in_order(source, sessions(&source.meta, source::open(source, &Column::ALL, threads, cancel)?))
}

/// Likewise, of a trace in which no session continues another: nothing is kept of a session that has been given.
pub fn open_unlinked(source: &Source, threads: usize, cancel: &Cancel) -> Result<(Clock, Sessions<'static>)> {
    let sessions = unlinked(&source.meta, source::open(source, &Column::ALL, threads, cancel)?);
    in_order(source, sessions.map(|session| session.map(Unlinked::alone)))
}

/// Puts the sessions of a trace, in the order of its file, in the order in which they start.
pub fn in_order<'a>(
    source: &Source,
    conversations: impl Iterator<Item = Result<Session>> + Send + 'a,
) -> Result<(Clock, Sessions<'a>)> {
    // The times of `conversation_id` rows are the session's arrival and the delays so far; of a generated trace that is
    // known without looking.
    let adds_delays = source.meta.origin.is_none() && source::session_key(source)? == Some(SessionKey::Conversation);
    ordered(&source.meta, adds_delays, conversations)
}

/// Finds out how the sessions of a trace start, and puts them in that order. What made a generated trace is known.
/// Of others the first 10,000 sessions tell: a trace whose later rows have times of their own was recorded, unless
/// `adds_delays` says that these are sums of delays; sessions that all arrive at once are a closed loop. A trace with
/// arrivals that nothing is known of is held in memory and sorted.
pub fn ordered<'a>(
    meta: &TraceMeta,
    adds_delays: bool,
    conversations: impl Iterator<Item = Result<Session>> + Send + 'a,
) -> Result<(Clock, Sessions<'a>)> {
    if let Some(origin) = &meta.origin {
        let clock = if origin.config.arrival == Arrival::Closed { Clock::Closed } else { Clock::Arrivals };
        return Ok((clock, Box::new(conversations)));
    }
    let has_times = |c: &Session| c.is_by_ids || c.turns.iter().skip(1).any(|turn| turn.timestamp_ms.is_some());
    let mut conversations = Box::new(conversations);
    let mut first: Vec<Session> = conversations.by_ref().take(LOOKED_AT).collect::<Result<_>>()?;
    let is_recorded = !adds_delays && first.iter().any(has_times);
    if !is_recorded && first.iter().all(|c| c.arrival_ms() == first[0].arrival_ms()) {
        return Ok((Clock::Closed, Box::new(first.into_iter().map(Ok).chain(conversations))));
    }
    for conversation in conversations {
        first.push(conversation?);
    }
    first.sort_by(|a, b| a.arrival_ms().total_cmp(&b.arrival_ms()));
    for conversation in &mut first {
        conversation.is_recorded = is_recorded;
    }
    let clock = if is_recorded { Clock::Recorded } else { Clock::Arrivals };
    Ok((clock, Box::new(first.into_iter().map(Ok))))
}
