//! Breaks and sub-agents on the timeline, compared with times computed from the rules, session by session.

use std::collections::HashMap;

use agentgen_engine::timeline::{Begin, SendTime, StartRule, TimedSession, TimedTurn, Timeline, TimelineOptions};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Session {
    number: u64,
    begin: Begin,
    /// Delay and output of each turn; a token takes a millisecond.
    turns: Vec<(f64, u32)>,
}

impl TimedSession for Session {
    fn number(&self) -> u64 {
        self.number
    }

    fn arrival_ms(&self) -> f64 {
        0.0
    }

    fn parent(&self) -> Option<u64> {
        None
    }

    fn may_be_continued(&self) -> bool {
        false
    }

    fn begin(&self) -> Begin {
        self.begin
    }

    fn may_have_members(&self) -> bool {
        true
    }

    fn turn(&self, index: usize) -> Option<TimedTurn> {
        let (delay_ms, output_tokens) = *self.turns.get(index)?;
        Some(TimedTurn { send: SendTime::After(delay_ms), input_tokens: 0, output_tokens })
    }
}

/// Times of the rules: (session, turn) to start.
struct Rules<'a> {
    sessions: &'a [Session],
}

impl Rules<'_> {
    fn next_of(&self, number: u64) -> Option<u64> {
        self.sessions.iter().find(|s| s.begin == Begin::Break { parent: number }).map(|s| s.number)
    }

    fn end_of_line(&self, number: u64, head_ms: f64) -> f64 {
        match self.next_of(number) {
            Some(next) => self.end_of_line(next, head_ms),
            None => self.response(number, self.sessions[number as usize].turns.len() - 1, head_ms),
        }
    }

    fn response(&self, number: u64, turn: usize, head_ms: f64) -> f64 {
        self.start(number, turn, head_ms) + f64::from(self.sessions[number as usize].turns[turn].1)
    }

    fn start(&self, number: u64, turn: usize, head_ms: f64) -> f64 {
        let session = &self.sessions[number as usize];
        let mut ready_ms = match session.begin {
            _ if turn > 0 => self.response(number, turn - 1, head_ms),
            Begin::Slot => head_ms,
            Begin::Break { parent } => {
                let turns = self.sessions[parent as usize].turns.len();
                self.joined(parent, turns, self.response(parent, turns - 1, head_ms), head_ms)
            }
            Begin::SubAgent { parent, turn, .. } => self.response(parent, turn, head_ms),
        };
        if turn > 0 {
            ready_ms = self.joined(number, turn, ready_ms, head_ms);
        }
        ready_ms + session.turns[turn].0
    }

    /// The end of all sub-agents that a turn waits for.
    fn joined(&self, number: u64, turn: usize, ready_ms: f64, head_ms: f64) -> f64 {
        let joins = |s: &&Session| match s.begin {
            Begin::SubAgent { parent, join, turn: after } => parent == number && join == Some(turn) && turn > after,
            _ => false,
        };
        let ends = self.sessions.iter().filter(joins).map(|s| self.end_of_line(s.number, head_ms));
        ends.fold(ready_ms, f64::max)
    }
}

fn turns() -> impl Strategy<Value = Vec<(f64, u32)>> {
    prop::collection::vec(((0..50u32).prop_map(f64::from), 1..50u32), 1..4)
}

/// A session, its sub-agents and its break, in the order of the file.
fn grow(
    sessions: &mut Vec<Session>,
    begin: Begin,
    depth: u32,
    draws: &mut impl Iterator<Item = (Vec<(f64, u32)>, u8)>,
) {
    let Some((turns, shape)) = draws.next() else { return };
    let (number, count) = (sessions.len() as u64, turns.len());
    sessions.push(Session { number, begin, turns });
    let first = sessions.len();
    if depth < 3 {
        for turn in (0..count).filter(|turn| shape >> turn & 1 == 1) {
            let join = match shape >> 4 & 3 {
                0 => None,
                ahead => Some(turn + ahead as usize),
            };
            grow(sessions, Begin::SubAgent { parent: number, turn, join }, depth + 1, draws);
        }
    }
    let has_break = shape >> 6 & 1 == 1;
    if has_break {
        let at = sessions.len();
        grow(sessions, Begin::Break { parent: number }, depth, draws);
        if sessions.len() > at {
            return;
        }
    }
    // A turn that never comes joins nothing.
    for session in &mut sessions[first..] {
        if let Begin::SubAgent { parent, join, .. } = &mut session.begin
            && *parent == number
        {
            *join = join.filter(|join| *join < count);
        }
    }
}

fn bundles() -> impl Strategy<Value = Vec<Vec<Session>>> {
    let draws = prop::collection::vec((turns(), any::<u8>()), 1..12);
    prop::collection::vec(draws, 1..4).prop_map(|all| {
        let bundle = |draws: Vec<(Vec<(f64, u32)>, u8)>| {
            let mut sessions = Vec::new();
            grow(&mut sessions, Begin::Slot, 0, &mut draws.into_iter());
            // A join beyond the first turn of the break is none.
            for at in 0..sessions.len() {
                if let Begin::SubAgent { parent, join: Some(join), .. } = sessions[at].begin {
                    let count = sessions[parent as usize].turns.len();
                    if join > count
                        && let Begin::SubAgent { join, .. } = &mut sessions[at].begin
                    {
                        *join = None;
                    }
                }
            }
            sessions
        };
        all.into_iter().map(bundle).collect()
    })
}

proptest! {
    #[test]
    fn turns_start_when_the_rules_say(bundles in bundles()) {
        let mut file = Vec::new();
        let mut expected = HashMap::new();
        let mut head_ms = 0.0;
        for bundle in &bundles {
            let rules = Rules { sessions: bundle };
            let first = file.len() as u64;
            let mut end_ms: f64 = head_ms;
            for session in bundle {
                for turn in 0..session.turns.len() {
                    expected.insert((first + session.number, turn), rules.start(session.number, turn, head_ms));
                    end_ms = end_ms.max(rules.response(session.number, turn, head_ms));
                }
                let moved = match session.begin {
                    Begin::Slot => Begin::Slot,
                    Begin::Break { parent } => Begin::Break { parent: first + parent },
                    Begin::SubAgent { parent, turn, join } => Begin::SubAgent { parent: first + parent, turn, join },
                };
                file.push(Session { number: first + session.number, begin: moved, ..session.clone() });
            }
            // One slot: the next bundle begins when this one is over.
            head_ms = end_ms;
        }
        let options =
            TimelineOptions { concurrency: 1, prefill_tokens_per_second: 1.0, decode_tokens_per_second: 1_000.0 };
        let mut timeline = Timeline::new(options, StartRule::Slots, file.into_iter().map(Ok::<_, ()>));
        let (mut seen, mut last_ms) = (HashMap::new(), 0.0);
        while let Some(request) = timeline.next() {
            let request = request.expect("no errors");
            prop_assert!(request.start_ms >= last_ms, "in the order of their starts");
            last_ms = request.start_ms;
            seen.insert((request.session.number, request.turn), request.start_ms);
        }
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn without_its_parent_the_session_has_a_slot_of_its_own() {
    let alone = Session { number: 0, begin: Begin::Break { parent: 9 }, turns: vec![(0.0, 1)] };
    let options = TimelineOptions { concurrency: 1, prefill_tokens_per_second: 1.0, decode_tokens_per_second: 1_000.0 };
    let mut timeline = Timeline::new(options, StartRule::Slots, [Ok::<_, ()>(alone)].into_iter());
    assert!(timeline.next().is_some());
    assert!(timeline.next().is_none());
}
