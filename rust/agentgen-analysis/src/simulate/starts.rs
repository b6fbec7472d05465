//! When sessions start: on free slots or at their arrivals, a continuation once its parent is over.

use std::collections::HashMap;

use agentgen_engine::timeline::{StartRule, TimedSession as _};
use agentgen_trace::Result;

use agentgen_trace::session::Session;

/// Sessions still to start, and what those know that were started.
pub(super) struct Starts<I> {
    pub start: StartRule,
    sessions: I,
    /// The next session, if it has been looked at.
    next: Option<Session>,
    /// Ends of sessions that may be continued.
    ends: HashMap<u64, f64>,
    /// Places that wait for the end of a session, and when they could have started.
    waiting: HashMap<u64, Vec<(usize, f64)>>,
}

impl<I: Iterator<Item = Result<Session>>> Starts<I> {
    pub(super) fn new(start: StartRule, sessions: I) -> Self {
        Self { start, sessions, next: None, ends: HashMap::new(), waiting: HashMap::new() }
    }

    /// The session for a slot that is free.
    pub(super) fn for_slot(&mut self) -> Result<Option<Session>> {
        self.sessions.next().transpose()
    }

    /// The next session that has arrived at a time.
    pub(super) fn arrived(&mut self, time_ms: f64) -> Result<Option<Session>> {
        if self.next.is_none() {
            self.next = self.sessions.next().transpose()?;
        }
        Ok(self.next.take_if(|session| session.arrival_ms() <= time_ms))
    }

    /// When a session that is given a place may begin; `None` if it has to wait for its parent.
    pub(super) fn begins(&mut self, parent: Option<u64>, place: usize, time_ms: f64) -> Option<f64> {
        let Some(parent) = parent else { return Some(time_ms) };
        let end = self.ends.get(&parent).map(|end| end.max(time_ms));
        if end.is_none() {
            self.waiting.entry(parent).or_default().push((place, time_ms));
        }
        end
    }

    /// A session is over; gives the places that waited for that, each with the time at which it begins.
    pub(super) fn over(&mut self, session: &Session, now_ms: f64) -> impl Iterator<Item = (usize, f64)> + use<I> {
        if session.may_be_continued() {
            self.ends.insert(session.number, now_ms);
        }
        let waited = self.waiting.remove(&session.number).unwrap_or_default();
        waited.into_iter().map(move |(place, time_ms)| (place, time_ms.max(now_ms)))
    }
}
