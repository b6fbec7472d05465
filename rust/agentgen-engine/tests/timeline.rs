//! The reference timeline against times that are worked out session by session, without events.

use std::collections::HashMap;

use agentgen_engine::timeline::{SendTime, StartRule, TimedSession, TimedTurn, Timeline, TimelineOptions};
use proptest::prelude::*;

/// Rates are powers of two: all times are exact, and many are equal.
const TIMING: TimelineOptions =
    TimelineOptions { concurrency: 0, prefill_tokens_per_second: 4.0, decode_tokens_per_second: 2.0 };

#[derive(Debug, Clone)]
struct Session {
    number: u64,
    arrival_ms: f64,
    parent: Option<u64>,
    may_be_continued: bool,
    turns: Vec<TimedTurn>,
}

impl TimedSession for Session {
    fn number(&self) -> u64 {
        self.number
    }

    fn arrival_ms(&self) -> f64 {
        self.arrival_ms
    }

    fn parent(&self) -> Option<u64> {
        self.parent
    }

    fn may_be_continued(&self) -> bool {
        self.may_be_continued
    }

    fn turn(&self, index: usize) -> Option<TimedTurn> {
        self.turns.get(index).copied()
    }
}

/// A request, as both implementations report it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seen {
    start_ms: f64,
    number: u64,
    turn: usize,
    is_last: bool,
    end_ms: f64,
}

/// `is_recorded`: turns have recorded times instead of delays.
fn sessions(is_recorded: bool) -> impl Strategy<Value = Vec<Session>> {
    let quarters = |most: u32| (0..=most).prop_map(|n| f64::from(n) * 250.0);
    let turn = (quarters(8), 0..4_u32, 0..4_u32, any::<bool>());
    let turns = prop::collection::vec(turn, 1..6);
    let session = (quarters(20), turns, proptest::option::of(any::<prop::sample::Index>()));
    prop::collection::vec(session, 0..14).prop_map(move |made| {
        let mut sessions: Vec<Session> = Vec::new();
        for (number, (arrival_ms, turns, parent)) in (0..).zip(made) {
            let turns = turns.into_iter().enumerate().map(|(index, (time, input_tokens, output_tokens, at))| {
                let at = is_recorded && at && index > 0;
                let send = if at { SendTime::At(arrival_ms + time) } else { SendTime::After(time) };
                TimedTurn { send, input_tokens, output_tokens }
            });
            let turns = turns.collect();
            let parent = parent.filter(|_| number > 0).map(|parent| parent.index(number as usize) as u64);
            if let Some(parent) = parent {
                sessions[parent as usize].may_be_continued = true;
            }
            sessions.push(Session { number, arrival_ms, parent, may_be_continued: false, turns });
        }
        sessions
    })
}

/// The requests of a session that may start at `start_ms`.
fn follow(session: &Session, start_ms: f64) -> Vec<Seen> {
    let (mut ready, mut sent) = (start_ms, start_ms);
    let number = session.number;
    let requests = session.turns.iter().enumerate().map(|(turn, timed)| {
        sent = match timed.send {
            SendTime::After(delay) => ready + delay,
            SendTime::At(time) => time.max(sent),
        };
        ready = sent + f64::from(timed.input_tokens) * 250.0 + f64::from(timed.output_tokens) * 500.0;
        Seen { start_ms: sent, number, turn, is_last: turn + 1 == session.turns.len(), end_ms: ready }
    });
    requests.collect()
}

/// All requests by time, then session, then turn. A session's slot is free when it ends, and its end is known once its
/// start is: no events.
fn expected(sessions: &[Session], slots: Option<usize>) -> Vec<Seen> {
    let mut free = vec![0.0_f64; slots.unwrap_or(0)];
    let mut ends: HashMap<u64, f64> = HashMap::new();
    let mut requests = Vec::new();
    for session in sessions {
        let mut start = session.arrival_ms;
        free.sort_by(f64::total_cmp);
        if let Some(first) = free.first() {
            start = start.max(*first);
        }
        if let Some(parent) = session.parent {
            start = start.max(ends[&parent]);
        }
        let own = follow(session, start);
        let end = own[own.len() - 1].end_ms;
        if let Some(first) = free.first_mut() {
            *first = end;
        }
        ends.insert(session.number, end);
        requests.extend(own);
    }
    requests.sort_by(|a, b| a.start_ms.total_cmp(&b.start_ms).then((a.number, a.turn).cmp(&(b.number, b.turn))));
    requests
}

fn requests_of(sessions: &[Session], start: StartRule, concurrency: usize) -> Vec<Seen> {
    let timing = TimelineOptions { concurrency, ..TIMING };
    let mut timeline = Timeline::new(timing, start, sessions.iter().cloned().map(Ok::<_, ()>));
    let mut requests = Vec::new();
    while let Some(request) = timeline.next() {
        let request = request.expect("no errors");
        requests.push(Seen {
            start_ms: request.start_ms,
            number: request.session.number,
            turn: request.turn,
            is_last: request.is_last,
            end_ms: request.end_ms,
        });
    }
    requests
}

/// Checks what holds for any times.
fn check_invariants(requests: &[Seen], sessions: &[Session]) -> Result<(), TestCaseError> {
    prop_assert!(requests.is_sorted_by(|a, b| a.start_ms <= b.start_ms));
    let of = |number: u64| requests.iter().filter(move |request| request.number == number);
    for session in sessions {
        prop_assert!(of(session.number).map(|request| request.turn).eq(0..session.turns.len()));
        for (before, (request, turn)) in of(session.number).zip(of(session.number).zip(&session.turns).skip(1)) {
            if let SendTime::After(delay) = turn.send {
                prop_assert_eq!(request.start_ms, before.end_ms + delay);
            }
        }
        let first = of(session.number).next().expect("every session is sent");
        prop_assert!(first.start_ms >= session.arrival_ms);
        if let Some(parent) = session.parent {
            prop_assert!(first.start_ms >= of(parent).next_back().expect("its parent is too").end_ms);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn slots_are_taken_in_file_order(sessions in sessions(false), slots in 1..5_usize) {
        let requests = requests_of(&sessions, StartRule::Slots, slots);
        check_invariants(&requests, &sessions)?;
        prop_assert_eq!(&requests, &expected(&sessions, Some(slots)));
        // A session holds its slot from its start, or from the wait for its parent on, to its end.
        for request in &requests {
            let holds = |number: u64| {
                let own = || requests.iter().filter(|other| other.number == number);
                own().any(|r| r.start_ms <= request.start_ms) && own().any(|r| r.is_last && r.end_ms > request.start_ms)
            };
            prop_assert!(sessions.iter().filter(|session| holds(session.number)).count() <= slots);
        }
    }

    #[test]
    fn sessions_start_at_their_arrivals(mut sessions in sessions(true)) {
        // A parent may arrive after its continuation.
        let expected = expected(&sessions, None);
        sessions.sort_by(|a, b| a.arrival_ms.total_cmp(&b.arrival_ms));
        let requests = requests_of(&sessions, StartRule::Arrivals, 1);
        prop_assert_eq!(&requests, &expected);
        check_invariants(&requests, &sessions)?;
    }
}

#[test]
fn concurrency_0_means_one_slot() {
    let turn = TimedTurn { send: SendTime::After(0.0), input_tokens: 1, output_tokens: 1 };
    let session =
        |number| Session { number, arrival_ms: 0.0, parent: None, may_be_continued: false, turns: vec![turn] };
    let starts: Vec<f64> =
        requests_of(&[session(0), session(1)], StartRule::Slots, 0).iter().map(|request| request.start_ms).collect();
    assert_eq!(starts, [0.0, 750.0]);
}

#[test]
fn an_error_of_the_sessions_is_returned() {
    let turns = vec![TimedTurn { send: SendTime::After(0.0), input_tokens: 1, output_tokens: 1 }; 2];
    let session = Session { number: 0, arrival_ms: 0.0, parent: None, may_be_continued: false, turns };
    for start in [StartRule::Slots, StartRule::Arrivals] {
        let timing = TimelineOptions { concurrency: 1, ..TIMING };
        let mut timeline = Timeline::new(timing, start, [Ok(session.clone()), Err("unreadable")].into_iter());
        let mut sent = 0;
        while let Some(Ok(_)) = timeline.next() {
            sent += 1;
        }
        // The slot is free after both turns; under arrivals the next session is read before the first turn.
        assert_eq!(sent, if start == StartRule::Slots { 2 } else { 0 });
    }
    let mut timeline = Timeline::new(TIMING, StartRule::Slots, [Err::<Session, _>("unreadable")].into_iter());
    assert_eq!(timeline.next().map(|request| request.map(|_| ())), Some(Err("unreadable")));
}
