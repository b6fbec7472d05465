//! Orders the sessions of a trace by start, and determines how their requests are timed.

use crate::meta::TraceMeta;
use crate::row::SessionKey;
use crate::schema::Column;
use crate::source::{self, Source};
use crate::{Cancel, Result};
use agentgen_core::config::Arrival;
use agentgen_engine::timeline::{Begin, StartRule, TimedSession as _};
use schemars::JsonSchema;
use serde::Serialize;

use super::assemble::unlinked;
use super::{Session, sessions};

/// Sessions from which the timing of a trace without an origin is inferred.
const SAMPLED: usize = 10_000;

/// What determines the send times of a trace's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceTiming {
    /// Closed loop: sessions have no arrivals, turns have delays.
    Closed,
    /// Open loop: sessions have arrivals, turns have delays.
    Arrivals,
    /// Recorded: every request has a time.
    Recorded,
}

impl TraceTiming {
    /// The start rule of the reference timeline.
    #[must_use]
    pub fn start(self) -> StartRule {
        if self == Self::Closed { StartRule::Slots } else { StartRule::Arrivals }
    }

    /// What determines the number of open sessions, for error messages; `None` if the caller chooses it.
    #[must_use]
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

/// Sorts sessions by arrival; those of a bundle stay behind its first one.
fn sort_bundles(sessions: &mut Vec<Session>) {
    let mut arrival_ms = 0.0;
    let keyed = std::mem::take(sessions).into_iter().map(|session| {
        if session.begin() == Begin::Slot {
            arrival_ms = session.arrival_ms();
        }
        (arrival_ms, session)
    });
    let mut keyed: Vec<(f64, Session)> = keyed.collect();
    keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    sessions.extend(keyed.into_iter().map(|(_, session)| session));
}

/// Opens a trace with `threads` reader threads: its sessions in the order in which they start.
pub fn open(source: &Source, threads: usize, cancel: &Cancel) -> Result<(TraceTiming, Sessions<'static>)> {
    in_order(source, sessions(&source.meta, source::open(source, &Column::ALL, threads, cancel)?))
}

/// Like [`open()`], but does not link restart sessions: nothing of a session stays in memory after it.
pub fn open_unlinked(source: &Source, threads: usize, cancel: &Cancel) -> Result<(TraceTiming, Sessions<'static>)> {
    let sessions = unlinked(&source.meta, source::open(source, &Column::ALL, threads, cancel)?);
    in_order(source, sessions.map(|session| session.map(|unlinked| unlinked.session)))
}

/// Orders the sessions of a trace, given in file order, by when they start.
pub fn in_order<'a>(
    source: &Source,
    sessions: impl Iterator<Item = Result<Session>> + Send + 'a,
) -> Result<(TraceTiming, Sessions<'a>)> {
    // Times of `conversation_id` rows may be the session's arrival plus all delays so far. A generated trace states its
    // timing.
    // Linked sessions begin when others allow it, and their turns have delays.
    let is_foreign = source.meta.origin.is_none() && !source.meta.linked;
    let adds_delays =
        source.meta.linked || is_foreign && source::session_key(source)? == Some(SessionKey::Conversation);
    ordered(&source.meta, adds_delays, sessions)
}

/// Determines the timing of a trace and orders its sessions by start. A generated trace states its timing. For other
/// traces it is inferred from the first 10,000 sessions: if later rows have times of their own, the trace was recorded,
/// unless `adds_delays` says that these times are sums of delays; if all sessions arrive at once, it is a closed loop. All
/// other traces without an origin are held in memory and sorted by arrival.
pub fn ordered<'a>(
    meta: &TraceMeta,
    adds_delays: bool,
    sessions: impl Iterator<Item = Result<Session>> + Send + 'a,
) -> Result<(TraceTiming, Sessions<'a>)> {
    if let Some(origin) = &meta.origin {
        let clock = if origin.config.arrival == Arrival::Closed { TraceTiming::Closed } else { TraceTiming::Arrivals };
        return Ok((clock, Box::new(sessions)));
    }
    let has_times =
        |s: &Session| !s.names_its_session() || s.turns.iter().skip(1).any(|turn| turn.timestamp_ms.is_some());
    let mut sessions = Box::new(sessions);
    let mut first: Vec<Session> = sessions.by_ref().take(SAMPLED).collect::<Result<_>>()?;
    let is_recorded = !adds_delays && first.iter().any(has_times);
    let is_head = |s: &&Session| s.begin() == Begin::Slot;
    if !is_recorded && first.iter().filter(is_head).all(|s| s.arrival_ms() == first[0].arrival_ms()) {
        return Ok((TraceTiming::Closed, Box::new(first.into_iter().map(Ok).chain(sessions))));
    }
    for session in sessions {
        first.push(session?);
    }
    sort_bundles(&mut first);
    for session in &mut first {
        session.is_recorded = is_recorded;
    }
    let clock = if is_recorded { TraceTiming::Recorded } else { TraceTiming::Arrivals };
    Ok((clock, Box::new(first.into_iter().map(Ok))))
}
