//! When sessions start and when their turns are sent: the rules that the reference timeline and the simulator share.

use std::collections::HashMap;

use super::bundles::{Begin, Bundles, Ended};

/// When sessions start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartRule {
    /// Closed loop: in file order, each on the first free slot.
    Slots,
    /// Open loop: at their arrival times; the sessions come in that order.
    Arrivals,
}

impl StartRule {
    /// Slots that are free at time 0.
    #[must_use]
    pub fn slots(self, concurrency: usize) -> usize {
        if self == Self::Slots { concurrency.max(1) } else { 0 }
    }
}

/// When a turn is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SendTime {
    /// Delay in ms after the end of the turn before, or after the start of the session.
    After(f64),
    /// Recorded time in ms.
    At(f64),
}

impl SendTime {
    /// The time in ms of a turn that is ready at `ready_ms`; a recorded time is never earlier than `earliest_ms`.
    #[must_use]
    pub fn time_ms(self, ready_ms: f64, earliest_ms: f64) -> f64 {
        match self {
            Self::After(delay_ms) => ready_ms + delay_ms,
            Self::At(time_ms) => time_ms.max(earliest_ms),
        }
    }
}

/// A turn as the timeline sees it.
#[derive(Debug, Clone, Copy)]
pub struct TimedTurn {
    /// When the turn is sent.
    pub send: SendTime,
    /// New tokens of the prompt.
    pub input_tokens: u32,
    /// Output tokens.
    pub output_tokens: u32,
}

/// A session as the timeline sees it.
pub trait TimedSession {
    /// Number of the session in file order.
    fn number(&self) -> u64;
    /// Arrival time in ms; under [`StartRule::Slots`] the session starts no earlier.
    fn arrival_ms(&self) -> f64;
    /// Number of the earlier session that this one continues; it starts once that one has ended.
    fn parent(&self) -> Option<u64>;
    /// Whether another session may continue this one.
    fn may_be_continued(&self) -> bool;
    /// How the session begins.
    fn begin(&self) -> Begin {
        Begin::Slot
    }
    /// Whether sessions that begin in its bundle may follow it in the file.
    fn may_have_members(&self) -> bool {
        false
    }
    /// Turn `index`; `None` after the last.
    fn turn(&self, index: usize) -> Option<TimedTurn>;
}

/// The sessions still to start, and the continuations that wait for their parents. `W` stands for a session that has
/// its slot: the session itself, or the caller's index of it.
///
/// Memory: one time for each ended session that may be continued.
#[derive(Debug)]
pub struct Starts<S, I, W> {
    rule: StartRule,
    sessions: I,
    /// The next session, if it has been read.
    next: Option<S>,
    bundles: Bundles<S, W>,
    /// End times of sessions that may be continued.
    ends: HashMap<u64, f64>,
    /// Continuations by parent, each with the earliest time at which it may start.
    waiting: HashMap<u64, Vec<(W, f64)>>,
}

impl<S: TimedSession, E, I: Iterator<Item = Result<S, E>>, W> Starts<S, I, W> {
    /// Sessions in file order ([`StartRule::Slots`]) or by arrival ([`StartRule::Arrivals`]).
    pub fn new(rule: StartRule, sessions: I) -> Self {
        Self { rule, sessions, next: None, bundles: Bundles::default(), ends: HashMap::new(), waiting: HashMap::new() }
    }

    /// The session that takes a slot freed at `now_ms`, and its start time.
    pub fn take_slot(&mut self, now_ms: f64) -> Result<Option<(S, f64)>, E> {
        if self.rule == StartRule::Arrivals {
            return Ok(None);
        }
        let Some(session) = self.read()? else { return Ok(None) };
        self.read_members(&session)?;
        let start_ms = now_ms.max(session.arrival_ms());
        Ok(Some((session, start_ms)))
    }

    /// The next session that arrives no later than `until_ms`, and its start time.
    #[inline] // called before every event; costs nothing without arrivals
    pub fn take_arrived(&mut self, until_ms: f64) -> Result<Option<(S, f64)>, E> {
        if self.rule == StartRule::Slots {
            return Ok(None);
        }
        self.next = self.read()?;
        let Some(session) = self.next.take_if(|session| session.arrival_ms() <= until_ms) else { return Ok(None) };
        self.read_members(&session)?;
        let start_ms = session.arrival_ms();
        Ok(Some((session, start_ms)))
    }

    fn read(&mut self) -> Result<Option<S>, E> {
        match self.next.take() {
            Some(session) => Ok(Some(session)),
            None => self.sessions.next().transpose(),
        }
    }

    /// Reads the sessions of a bundle, which follow its first one.
    fn read_members(&mut self, head: &S) -> Result<(), E> {
        if !head.may_have_members() {
            return Ok(());
        }
        self.bundles.begin(head.number());
        while let Some(session) = self.read()? {
            self.next = self.bundles.add(session.number(), session.begin(), session);
            if self.next.is_some() {
                break;
            }
        }
        Ok(())
    }

    /// The sub-agents that begin after the response of a turn: each at its delay after it.
    pub fn respond(&mut self, session: &S, turn: usize) -> Vec<S> {
        if session.may_have_members() { self.bundles.respond(session.number(), turn) } else { Vec::new() }
    }

    /// When a session that is ready for a turn may send it; `None` if it waits for sub-agents, and [`Self::end`] of the last
    /// of them returns it.
    pub fn pass(&mut self, number: u64, turn: usize, session: W, ready_ms: f64) -> Option<(W, f64)> {
        self.bundles.pass(number, turn, session, ready_ms)
    }

    /// The time at which a session may begin; `None` if it waits for its parent, and [`Self::end`] returns it.
    pub fn begin(&mut self, parent: Option<u64>, session: W, start_ms: f64) -> Option<(W, f64)> {
        let Some(parent) = parent else { return Some((session, start_ms)) };
        if let Some(end_ms) = self.ends.get(&parent) {
            return Some((session, end_ms.max(start_ms)));
        }
        self.waiting.entry(parent).or_default().push((session, start_ms));
        None
    }

    /// Records the end of a session after `turns` of its turns; returns what it sets going.
    pub fn end(&mut self, session: &S, turns: usize, end_ms: f64, has_failed: bool) -> Ended<S, W> {
        if session.may_be_continued() {
            self.ends.insert(session.number(), end_ms);
        }
        let mut ended = self.bundles.end(session.number(), turns, end_ms, has_failed);
        let waiting = self.waiting.remove(&session.number()).unwrap_or_default();
        ended.released.extend(waiting.into_iter().map(|(session, start_ms)| (session, start_ms.max(end_ms))));
        ended
    }
}
