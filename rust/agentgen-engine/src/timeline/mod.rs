//! The reference timeline: when each request of a trace starts and ends if nothing is cached and nothing waits.

mod bundles;
mod starts;

use std::cmp::Ordering;
use std::collections::BinaryHeap;

pub use bundles::{Begin, Bundles, Ended};
pub use starts::{SendTime, StartRule, Starts, TimedSession, TimedTurn};

/// Parameters of the timeline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimelineOptions {
    /// Sessions that run at once where the trace has no start times.
    pub concurrency: usize,
    /// New prompt tokens computed per second.
    pub prefill_tokens_per_second: f64,
    /// Output tokens per second of one request.
    pub decode_tokens_per_second: f64,
}

impl TimelineOptions {
    /// The defaults.
    pub const REFERENCE: Self =
        Self { concurrency: 50, prefill_tokens_per_second: 20_000.0, decode_tokens_per_second: 60.0 };

    /// Duration of a request in ms, whatever is cached.
    fn service_ms(&self, turn: &TimedTurn) -> f64 {
        let prefill = f64::from(turn.input_tokens) / self.prefill_tokens_per_second;
        let decode = f64::from(turn.output_tokens) / self.decode_tokens_per_second;
        (prefill + decode) * 1_000.0
    }
}

/// A request on the timeline.
#[derive(Debug)]
pub struct Request<'a, S> {
    /// The session that sends it.
    pub session: &'a mut S,
    /// 0-based turn.
    pub turn: usize,
    /// Whether it is the last request of its session.
    pub is_last: bool,
    /// Start in ms.
    pub start_ms: f64,
    /// End in ms.
    pub end_ms: f64,
}

/// A session that has started.
#[derive(Debug)]
struct Open<S> {
    session: S,
    /// The next turn.
    turn: usize,
    /// Start of the session, then the time at which its last request was sent.
    sent_ms: f64,
}

/// What happens next. Ties go by session number.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Event {
    time_ms: f64,
    number: u64,
    kind: Kind,
}

/// At one time and for one session number, the first variant happens first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A bundle of sessions has ended: its slot is free.
    End,
    /// A session has ended, and others of its bundle have not.
    EndOfMember,
    /// A slot is free.
    Slot,
    /// The session at this place sends its next turn.
    Turn(usize),
}

impl Eq for Event {}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        // A max-heap pops the greatest: the earliest event is the greatest.
        let ascending = self.time_ms.total_cmp(&other.time_ms).then(self.number.cmp(&other.number));
        ascending.then(self.kind.cmp(&other.kind)).reverse()
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
    options: TimelineOptions,
    /// Continuations wait by place.
    starts: Starts<S, I, usize>,
    events: BinaryHeap<Event>,
    places: Vec<Option<Open<S>>>,
    free_places: Vec<usize>,
    /// The place of the session whose last request was returned.
    ended: Option<usize>,
    /// Sessions that have started and not ended.
    open: usize,
    peak_open: usize,
}

impl<S: TimedSession, E, I: Iterator<Item = Result<S, E>>> Timeline<S, I> {
    /// The timeline of sessions in file order ([`StartRule::Slots`]) or by arrival ([`StartRule::Arrivals`]).
    #[must_use]
    pub fn new(options: TimelineOptions, rule: StartRule, sessions: I) -> Self {
        let slots = rule.slots(options.concurrency) as u64;
        let events = (0..slots).map(|number| Event { time_ms: 0.0, number, kind: Kind::Slot }).collect();
        Self {
            options,
            starts: Starts::new(rule, sessions),
            events,
            places: Vec::new(),
            free_places: Vec::new(),
            ended: None,
            open: 0,
            peak_open: 0,
        }
    }

    /// The most sessions that were open at once so far.
    #[must_use]
    pub fn peak_open_sessions(&self) -> usize {
        self.peak_open
    }

    /// The next request, or the first error of the sessions. A lending iterator: the request borrows its session.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Result<Request<'_, S>, E>> {
        if let Some(place) = self.ended.take() {
            self.places[place] = None;
            self.free_places.push(place);
        }
        let (place, start_ms) = match self.next_turn() {
            Ok(turn) => turn?,
            Err(error) => return Some(Err(error)),
        };
        let open = self.places[place].as_mut()?;
        let turn = open.turn;
        let service_ms = open.session.turn(turn).map_or(0.0, |turn| self.options.service_ms(&turn));
        let end_ms = start_ms + service_ms;
        open.turn += 1;
        open.sent_ms = start_ms;
        self.schedule(place, end_ms);
        let is_last = self.ended == Some(place);
        let session = &mut self.places[place].as_mut()?.session;
        Some(Ok(Request { session, turn, is_last, start_ms, end_ms }))
    }

    /// The place of the session that sends the next turn, and the time; starts the sessions that start before it.
    fn next_turn(&mut self) -> Result<Option<(usize, f64)>, E> {
        loop {
            loop {
                let due_ms = self.events.peek().map_or(f64::INFINITY, |event| event.time_ms);
                let Some((session, start_ms)) = self.starts.take_arrived(due_ms)? else { break };
                self.start(session, start_ms);
            }
            let Some(Event { time_ms, kind, .. }) = self.events.pop() else { return Ok(None) };
            match kind {
                Kind::Turn(place) => return Ok(Some((place, time_ms))),
                Kind::EndOfMember => {
                    self.open -= 1;
                    continue;
                }
                Kind::End => self.open -= 1,
                Kind::Slot => {}
            }
            // The slot stays empty once there are no more sessions.
            if let Some((session, start_ms)) = self.starts.take_slot(time_ms)? {
                self.start(session, start_ms);
            }
        }
    }

    /// Gives a session a place; a continuation waits there for the end of its parent.
    fn start(&mut self, session: S, start_ms: f64) {
        let parent = session.parent();
        let place = self.place(session, start_ms);
        self.open += 1;
        self.peak_open = self.peak_open.max(self.open);
        if let Some((place, begin_ms)) = self.starts.begin(parent, place, start_ms) {
            self.schedule(place, begin_ms);
        }
    }

    fn place(&mut self, session: S, start_ms: f64) -> usize {
        let place = self.free_places.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(Open { session, turn: 0, sent_ms: start_ms });
        place
    }

    /// Begins a session in the bundle of another one.
    fn begin_member(&mut self, session: S, ready_ms: f64) {
        let place = self.place(session, ready_ms);
        // It counts as open from the response that starts it on, so the peak includes its delay.
        self.open += 1;
        self.peak_open = self.peak_open.max(self.open);
        self.schedule(place, ready_ms);
    }

    /// Adds the event of a session's next turn, or of its end; the turn before ends at `ready_ms`.
    fn schedule(&mut self, place: usize, ready_ms: f64) {
        let Some(open) = &self.places[place] else { return };
        let number = open.session.number();
        if let Some(turn) = open.session.turn(open.turn)
            && !open.session.may_have_members()
        {
            let time_ms = turn.send.time_ms(ready_ms, open.sent_ms);
            self.events.push(Event { time_ms, number, kind: Kind::Turn(place) });
            return;
        }
        let begins = match open.turn.checked_sub(1) {
            Some(answered) => self.starts.respond(&open.session, answered),
            None => Vec::new(),
        };
        if open.session.turn(open.turn).is_some() {
            if let Some((place, ready_ms)) = self.starts.pass(number, open.turn, place, ready_ms) {
                self.send(place, ready_ms);
            }
            for session in begins {
                self.begin_member(session, ready_ms);
            }
            return;
        }
        let Ended { begins: next, released, slot_free_ms } = self.starts.end(&open.session, open.turn, ready_ms, false);
        let is_end = slot_free_ms == Some(ready_ms);
        let kind = if is_end { Kind::End } else { Kind::EndOfMember };
        self.events.push(Event { time_ms: ready_ms, number, kind });
        if let Some(time_ms) = slot_free_ms.filter(|_| !is_end) {
            self.events.push(Event { time_ms, number, kind: Kind::Slot });
        }
        self.ended = Some(place);
        for session in begins.into_iter().chain(next.into_iter().map(|(session, _)| session)) {
            self.begin_member(session, ready_ms);
        }
        for (place, begin_ms) in released {
            self.send(place, begin_ms);
        }
    }

    /// Adds the event of a session's next turn.
    fn send(&mut self, place: usize, ready_ms: f64) {
        let Some(open) = &self.places[place] else { return };
        let Some(turn) = open.session.turn(open.turn) else { return };
        let time_ms = turn.send.time_ms(ready_ms, open.sent_ms);
        self.events.push(Event { time_ms, number: open.session.number(), kind: Kind::Turn(place) });
    }
}
