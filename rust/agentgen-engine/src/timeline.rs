//! The reference timeline: when each request of a trace starts and ends.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

/// Parameters of the timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelineOptions {
    /// Sessions that run at once where the trace does not say when they start.
    pub concurrency: usize,
    /// New tokens of a prompt that are computed in a second.
    pub prefill_tokens_per_second: f64,
    /// Output tokens in a second.
    pub decode_tokens_per_second: f64,
}

impl TimelineOptions {
    /// What is assumed where nothing is said.
    pub const REFERENCE: Self =
        Self { concurrency: 50, prefill_tokens_per_second: 20_000.0, decode_tokens_per_second: 60.0 };

    /// How long a request takes, whatever is cached.
    fn service_ms(&self, turn: &TimedTurn) -> f64 {
        let prefill = f64::from(turn.input_tokens) / self.prefill_tokens_per_second;
        let decode = f64::from(turn.output_tokens) / self.decode_tokens_per_second;
        (prefill + decode) * 1_000.0
    }
}

/// When sessions start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartRule {
    /// In file order, each on the first slot that is free.
    Slots,
    /// When they arrive; they come in that order.
    Arrivals,
}

/// When a turn is sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SendTime {
    /// ms after the end of the turn before, or after the session's start.
    After(f64),
    /// At a recorded time, ms.
    At(f64),
}

/// A turn as the timeline sees it.
#[derive(Debug, Clone, Copy)]
pub struct TimedTurn {
    /// When.
    pub send: SendTime,
    /// New tokens of the prompt.
    pub input_tokens: u32,
    /// Output tokens.
    pub output_tokens: u32,
}

/// A session as the timeline sees it.
pub trait TimedSession {
    /// Its number in the order of the file.
    fn number(&self) -> u64;
    /// ms; [`StartRule::Slots`] starts it no earlier.
    fn arrival_ms(&self) -> f64;
    /// The session that it continues, if that came before it: it starts when that one is over.
    fn parent(&self) -> Option<u64>;
    /// Whether another session may continue it.
    fn may_be_continued(&self) -> bool;
    /// Turn `index`; `None` after the last.
    fn turn(&self, index: usize) -> Option<TimedTurn>;
}

/// A request, at its time.
#[derive(Debug)]
pub struct Request<'a, S> {
    /// Whose it is.
    pub session: &'a mut S,
    /// 0-based turn.
    pub turn: usize,
    /// Whether it is the session's last.
    pub is_last: bool,
    /// ms.
    pub start_ms: f64,
    /// ms.
    pub end_ms: f64,
}

/// A session that has started.
#[derive(Debug)]
struct Open<S> {
    session: S,
    /// The next turn.
    turn: usize,
    /// When it was admitted, then when its last request was sent.
    sent_ms: f64,
}

/// What happens next. Ties go by session number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Event {
    time_ms: f64,
    number: u64,
    what: What,
}

/// Of equal times and sessions the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A session is over.
    Over,
    /// A slot is free from the beginning.
    Slot,
    /// It is the turn of the session at this place.
    Turn(usize),
}

impl Eq for Event {}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap's greatest is the earliest.
        let ascending = self.time_ms.total_cmp(&other.time_ms).then(self.number.cmp(&other.number));
        ascending.then(self.what.cmp(&other.what)).reverse()
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The requests of a trace in the order of their starts. Memory: the open sessions, and a time for each session that
/// may be continued.
#[derive(Debug)]
pub struct Timeline<S, I> {
    timing: TimelineOptions,
    start: StartRule,
    sessions: I,
    /// The next session, if it has been looked at.
    next: Option<S>,
    events: BinaryHeap<Event>,
    places: Vec<Option<Open<S>>>,
    empty: Vec<usize>,
    /// Ends of sessions that may be continued.
    ends: HashMap<u64, f64>,
    /// Places that wait for the end of a session.
    waiting: HashMap<u64, Vec<usize>>,
    /// The place of the session whose last request was given out.
    over: Option<usize>,
    /// Sessions that have started and are not over.
    open: usize,
    peak_open: usize,
}

impl<S: TimedSession, E, I: Iterator<Item = Result<S, E>>> Timeline<S, I> {
    /// The timeline of sessions that come in file order ([`StartRule::Slots`]) or by arrival.
    #[must_use]
    pub fn new(timing: TimelineOptions, start: StartRule, sessions: I) -> Self {
        let slots = if start == StartRule::Slots { timing.concurrency.max(1) } else { 0 };
        let free = (0..slots as u64).map(|number| Event { time_ms: 0.0, number, what: What::Slot });
        Self {
            timing,
            start,
            sessions,
            next: None,
            events: free.collect(),
            places: Vec::new(),
            empty: Vec::new(),
            ends: HashMap::new(),
            waiting: HashMap::new(),
            over: None,
            open: 0,
            peak_open: 0,
        }
    }

    /// The most sessions that were open at once so far.
    #[must_use]
    pub fn peak_open_sessions(&self) -> usize {
        self.peak_open
    }

    /// The next request; an error of the sessions is passed on. (A lending iterator: the request borrows its session.)
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Result<Request<'_, S>, E>> {
        if let Some(place) = self.over.take() {
            self.places[place] = None;
            self.empty.push(place);
        }
        let (place, start_ms) = match self.next_turn()? {
            Ok(turn) => turn,
            Err(error) => return Some(Err(error)),
        };
        let open = self.places[place].as_mut()?;
        let turn = open.turn;
        let service_ms = open.session.turn(turn).map_or(0.0, |turn| self.timing.service_ms(&turn));
        let end_ms = start_ms + service_ms;
        open.turn += 1;
        open.sent_ms = start_ms;
        self.schedule(place, end_ms);
        let is_last = self.over == Some(place);
        let session = &mut self.places[place].as_mut()?.session;
        Some(Ok(Request { session, turn, is_last, start_ms, end_ms }))
    }

    /// The place of the session whose turn is next, and the time; starts the sessions that start before it.
    fn next_turn(&mut self) -> Option<Result<(usize, f64), E>> {
        loop {
            if self.start == StartRule::Arrivals
                && let Err(error) = self.admit_arrived()
            {
                return Some(Err(error));
            }
            let Event { time_ms, what, .. } = self.events.pop()?;
            match what {
                What::Turn(place) => return Some(Ok((place, time_ms))),
                What::Over => self.open -= 1,
                What::Slot => {}
            }
            if self.start == StartRule::Arrivals {
                continue;
            }
            // A free slot; it stays empty once there are no more sessions.
            match self.sessions.next() {
                None => {}
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(session)) => {
                    let start_ms = time_ms.max(session.arrival_ms());
                    self.admit(session, start_ms);
                }
            }
        }
    }

    /// Starts every session that arrives no later than the next event.
    fn admit_arrived(&mut self) -> Result<(), E> {
        loop {
            if self.next.is_none() {
                self.next = self.sessions.next().transpose()?;
            }
            let due = self.events.peek().map_or(f64::INFINITY, |event| event.time_ms);
            match self.next.take_if(|session| session.arrival_ms() <= due) {
                None => return Ok(()),
                Some(session) => {
                    let arrival = session.arrival_ms();
                    self.admit(session, arrival);
                }
            }
        }
    }

    /// Gives a session a place; a continuation waits for the end of what it continues.
    fn admit(&mut self, session: S, start_ms: f64) {
        let parent = session.parent();
        let place = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(Open { session, turn: 0, sent_ms: start_ms });
        self.open += 1;
        self.peak_open = self.peak_open.max(self.open);
        match parent {
            Some(parent) => match self.ends.get(&parent) {
                Some(end) => self.schedule(place, start_ms.max(*end)),
                None => self.waiting.entry(parent).or_default().push(place),
            },
            None => self.schedule(place, start_ms),
        }
    }

    /// Puts a session's next turn on the list, `ready_ms` being the end of the one before.
    fn schedule(&mut self, place: usize, ready_ms: f64) {
        let Some(open) = &self.places[place] else { return };
        let number = open.session.number();
        if let Some(turn) = open.session.turn(open.turn) {
            let time_ms = match turn.send {
                SendTime::After(delay) => ready_ms + delay,
                SendTime::At(time) => time.max(open.sent_ms),
            };
            self.events.push(Event { time_ms, number, what: What::Turn(place) });
            return;
        }
        self.events.push(Event { time_ms: ready_ms, number, what: What::Over });
        if open.session.may_be_continued() {
            self.ends.insert(number, ready_ms);
        }
        for waiting in self.waiting.remove(&number).unwrap_or_default() {
            let start = self.places[waiting].as_ref().map_or(ready_ms, |open| open.sent_ms.max(ready_ms));
            self.schedule(waiting, start);
        }
        self.over = Some(place);
    }
}
