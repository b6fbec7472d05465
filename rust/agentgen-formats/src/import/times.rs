//! Times of all turns: delays as recorded, and the timestamps that follow from them.

use agentgen_trace::row::{MAX_TIME_MS, is_time};
use schemars::JsonSchema;
use serde::Serialize;

use super::model::{Call, RecordedSession};
use super::split::Segment;
use super::tree::Tree;

/// When a turn is sent, in tenths of a millisecond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TurnTime {
    /// After the end of the previous answer; of a first turn, of the answer that it follows. 0 for an arrival.
    pub delay: u64,
    /// Since the earliest arrival, without service times.
    pub timestamp: u64,
}

/// Times of a trace.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// Of each recorded session, its turns across breaks.
    pub turns: Vec<Vec<TurnTime>>,
    pub origins: Origins,
    pub counts: TimeCounts,
}

/// Times before this (1973) count from a start of the source's own, not from the Unix epoch.
const EPOCH_MS: f64 = 1e11;

/// The earliest arrivals, from which the times of a trace count: of sources with times of day, and of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Origins {
    /// ms since the Unix epoch.
    pub epoch_ms: Option<f64>,
    relative_ms: Option<f64>,
}

impl Origins {
    fn new(arrivals: &[Option<f64>]) -> Self {
        let earliest = |is_epoch: bool| {
            arrivals.iter().copied().flatten().filter(|ms| (*ms >= EPOCH_MS) == is_epoch).min_by(f64::total_cmp)
        };
        Self { epoch_ms: earliest(true), relative_ms: earliest(false) }
    }

    /// The time since the earliest arrival on the same kind of clock.
    pub(crate) fn since(&self, ms: f64) -> Option<f64> {
        let origin = if ms >= EPOCH_MS { self.epoch_ms } else { self.relative_ms };
        origin.filter(|_| is_time(ms)).map(|origin| ms - origin)
    }
}

/// Turns whose time is not as recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimeCounts {
    /// No delay is known; 0 is written.
    pub unknown_delays: u64,
    /// The end of the previous answer is not known: the delay includes the time of that answer.
    pub delays_with_service: u64,
    /// The request was sent before the previous answer was complete; 0 is written.
    pub negative_delays: u64,
    /// Root sessions without a time, while others have one; they arrive at 0.
    pub unknown_arrivals: u64,
}

/// Times of all sessions.
pub(crate) fn times(recorded: &[RecordedSession], lines: &[Vec<Segment>], tree: &Tree) -> Times {
    let roots: Vec<usize> =
        tree.sessions.iter().enumerate().filter(|(at, s)| s.root == *at).map(|(_, s)| s.line).collect();
    let arrivals: Vec<_> = roots.iter().map(|line| first_time(&recorded[*line], &lines[*line])).collect();
    let origins = Origins::new(&arrivals);
    let is_timed = arrivals.iter().any(Option::is_some);
    let mut clock = Clock {
        recorded,
        lines,
        tree,
        turns: lines.iter().map(|_| Vec::new()).collect(),
        counts: TimeCounts::default(),
    };
    for (line, arrival) in roots.into_iter().zip(arrivals) {
        clock.counts.unknown_arrivals += u64::from(arrival.is_none() && is_timed);
        let start = arrival.and_then(|arrival| origins.since(arrival)).unwrap_or(0.0);
        clock.line(line, tenths(start), 0);
    }
    Times { turns: clock.turns, origins, counts: clock.counts }
}

/// When the first request of a session was sent; if unknown, the first later time that is.
fn first_time(session: &RecordedSession, line: &[Segment]) -> Option<f64> {
    let first = line.first()?.turns.first()?;
    let call = &session.calls[first.lengths.call];
    [call.sent_ms, call.first_output_ms, call.end_ms].into_iter().flatten().find(|ms| is_time(*ms))
}

struct Clock<'a> {
    recorded: &'a [RecordedSession],
    lines: &'a [Vec<Segment>],
    tree: &'a Tree,
    turns: Vec<Vec<TurnTime>>,
    counts: TimeCounts,
}

impl Clock<'_> {
    /// Times of a line whose first request is sent at `now`, and of its sub-agents, whose nesting is bounded. Returns when
    /// its last turn is sent.
    fn line(&mut self, line: usize, mut now: u64, start_delay: u64) -> u64 {
        let segments = &self.lines[line];
        let calls: Vec<usize> = segments.iter().flat_map(|s| &s.turns).map(|turn| turn.lengths.call).collect();
        // Turn, and when the sub-agents that it waits for are over: on this clock, and as recorded.
        let mut joins: Vec<(usize, u64, Option<f64>)> = Vec::new();
        let firsts: Vec<usize> = segments
            .iter()
            .scan(0, |begin, segment| {
                *begin += segment.turns.len();
                Some(*begin)
            })
            .collect();
        for turn in 0..calls.len() {
            let mut delay = start_delay;
            if turn > 0 {
                let mut recorded_end = self.end(line, calls[turn - 1]);
                for (_, end, recorded) in joins.iter().filter(|(join, ..)| *join == turn) {
                    now = now.max(*end);
                    if let (Some(before), Some(end)) = (recorded_end, *recorded) {
                        recorded_end = Some(before.max(end));
                    }
                }
                delay = limited(now, self.delay(line, calls[turn - 1], calls[turn], recorded_end));
                now += delay;
            }
            self.turns[line].push(TurnTime { delay, timestamp: now });
            // Sub-agents that begin a tree of their own are not started by anyone.
            for at in &self.tree.children[line] {
                let Some(spawn) = self.tree.spawns[*at].filter(|spawn| spawn.start == turn) else { continue };
                let at = *at;
                let first = self.lines[at][0].turns[0].lengths.call;
                let delay = limited(now, self.start_delay(line, calls[turn], at, first));
                let end = self.line(at, now + delay, delay);
                // The break after this session waits for what a later session joins.
                let next_session = firsts.iter().copied().find(|first| *first > spawn.start);
                if let Some(join) = spawn.join.map(|join| next_session.map_or(join, |next| join.min(next))) {
                    joins.push((join, end, self.last_end(at)));
                }
            }
        }
        now
    }

    fn call(&self, line: usize, call: usize) -> &Call {
        &self.recorded[line].calls[call]
    }

    /// When an answer was complete.
    fn end(&self, line: usize, call: usize) -> Option<f64> {
        self.call(line, call).end_ms.filter(|ms| is_time(*ms))
    }

    fn sent(&self, line: usize, call: usize) -> Option<f64> {
        self.call(line, call).sent_ms.filter(|ms| is_time(*ms))
    }

    /// When the last answer of a line was complete.
    fn last_end(&self, line: usize) -> Option<f64> {
        let last = self.lines[line].last().and_then(|segment| segment.turns.last())?;
        self.end(line, last.lengths.call)
    }

    fn delay(&mut self, line: usize, before: usize, call: usize, end: Option<f64>) -> u64 {
        let stated = self.call(line, call).delay_ms.filter(|ms| is_time(*ms));
        let sent = self.sent(line, call);
        let with_service = self.sent(line, before);
        self.known(stated, sent, end, with_service)
    }

    /// From the end of the parent's answer to the first request of a sub-agent.
    fn start_delay(&mut self, parent: usize, call: usize, child: usize, first: usize) -> u64 {
        let stated = self.call(child, first).delay_ms.filter(|ms| is_time(*ms));
        let (sent, end) = (self.sent(child, first), self.end(parent, call));
        let with_service = self.sent(parent, call);
        self.known(stated, sent, end, with_service)
    }

    fn known(&mut self, stated: Option<f64>, sent: Option<f64>, end: Option<f64>, with_service: Option<f64>) -> u64 {
        let delay = match (stated, sent, end, with_service) {
            (Some(stated), ..) => stated,
            (None, Some(sent), Some(end), _) => sent - end,
            (None, Some(sent), None, Some(before)) => {
                self.counts.delays_with_service += 1;
                sent - before
            }
            _ => {
                self.counts.unknown_delays += 1;
                0.0
            }
        };
        self.counts.negative_delays += u64::from(delay < 0.0);
        tenths(delay.max(0.0))
    }
}

/// Tenths of a millisecond.
fn tenths(ms: f64) -> u64 {
    (ms * 10.0).round_ties_even() as u64
}

/// A delay from `now` on, within what a trace can hold.
fn limited(now: u64, delay: u64) -> u64 {
    delay.min(tenths(MAX_TIME_MS).saturating_sub(now))
}
