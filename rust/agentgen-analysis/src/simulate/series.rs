//! Time series of a simulation: a bounded number of intervals of equal length.

use schemars::JsonSchema;
use serde::Serialize;

use crate::reuse::ratio;

/// Maximum number of intervals; beyond it, pairs are merged and intervals become twice as long.
const PARTS: usize = 512;

/// Length of the shortest interval; a power of two, so that times stay exact.
const SHORTEST_MS: f64 = 0.0625;

/// Sums over an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Flow {
    pub requests: u64,
    pub prompt_tokens: u64,
    pub hit_tokens: u64,
    pub evicted_blocks: u64,
    pub expired_blocks: u64,
    pub refetched_blocks: u64,
}

/// The state at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct State {
    pub resident_blocks: u64,
    pub pinned_blocks: u64,
    pub reserved_blocks: u64,
    pub queued: u64,
    pub running: u64,
    pub tokens_in_flight: u64,
    pub open_sessions: u64,
}

/// Number of gauges in a [`State`].
const GAUGES: usize = 7;

impl State {
    fn values(&self) -> [f64; GAUGES] {
        [
            self.resident_blocks as f64,
            self.pinned_blocks as f64,
            self.reserved_blocks as f64,
            self.queued as f64,
            self.running as f64,
            self.tokens_in_flight as f64,
            self.open_sessions as f64,
        ]
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Part {
    flow: Flow,
    /// Integral of each gauge over the interval.
    areas: [f64; GAUGES],
}

/// The intervals from the first request on.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// The time of the first request, once there is one.
    start_ms: Option<f64>,
    /// From the first request to now.
    now_ms: f64,
    spacing_ms: f64,
    parts: Vec<Part>,
}

/// Figures of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Point {
    /// Start of the interval, ms after the first request. It ends at the start of the next one, the last at the end of the
    /// simulation.
    pub time_ms: f64,
    /// Requests admitted in it.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: u64,
    /// Tokens of these prompts found in the cache.
    pub hit_tokens: u64,
    /// `hit_tokens / prompt_tokens`; null without requests.
    pub hit_rate: Option<f64>,
    /// Blocks evicted in it.
    pub evicted_blocks: u64,
    /// Blocks expired in it.
    pub expired_blocks: u64,
    /// Blocks added in it that had been in the same cache before.
    pub refetched_blocks: u64,
    /// Blocks in all caches, mean over the interval.
    pub resident_blocks: f64,
    /// Blocks that running requests pin, mean.
    pub pinned_blocks: f64,
    /// Blocks reserved for the output of running requests, mean.
    pub reserved_blocks: f64,
    /// Requests waiting to be admitted, mean.
    pub queued: f64,
    /// Requests admitted and not ended, mean.
    pub running: f64,
    /// Tokens of their prompts and outputs, mean.
    pub tokens_in_flight: f64,
    /// Sessions started and not ended, mean.
    pub open_sessions: f64,
}

impl Series {
    pub(super) fn new() -> Self {
        Self { start_ms: None, now_ms: 0.0, spacing_ms: SHORTEST_MS, parts: vec![Part::default()] }
    }

    /// From the first request to the last event.
    pub(super) fn duration_ms(&self) -> f64 {
        self.now_ms
    }

    /// Advances time; the state has not changed since the last call.
    pub(super) fn advance(&mut self, time_ms: f64, state: &State) {
        let start_ms = *self.start_ms.get_or_insert(time_ms);
        let until = time_ms - start_ms;
        if until <= self.now_ms {
            return;
        }
        let values = state.values();
        while self.now_ms < until {
            let end = self.parts.len() as f64 * self.spacing_ms;
            if end > self.now_ms {
                let to = end.min(until);
                let lasted = to - self.now_ms;
                if let Some(part) = self.parts.last_mut() {
                    for (area, value) in part.areas.iter_mut().zip(values) {
                        *area += value * lasted;
                    }
                }
                self.now_ms = to;
            }
            if self.now_ms >= end {
                self.next_part(until);
            }
        }
    }

    /// Begins the next interval, after merging intervals until `until` fits.
    fn next_part(&mut self, until: f64) {
        while until / self.spacing_ms >= PARTS as f64 {
            self.spacing_ms *= 2.0;
            self.parts = self.parts.chunks(2).map(Part::sum).collect();
        }
        if self.parts.len() as f64 * self.spacing_ms <= self.now_ms {
            self.parts.push(Part::default());
        }
    }

    /// The sums of the current interval.
    pub(super) fn flow(&mut self) -> &mut Flow {
        if self.parts.is_empty() {
            self.parts.push(Part::default());
        }
        let last = self.parts.len() - 1;
        &mut self.parts[last].flow
    }

    /// Means over the whole time, in the order of the fields of [`State`].
    pub(super) fn means(&self) -> [f64; GAUGES] {
        let mut areas = [0.0; GAUGES];
        for part in &self.parts {
            for (sum, area) in areas.iter_mut().zip(part.areas) {
                *sum += area;
            }
        }
        areas.map(|area| mean(area, self.now_ms))
    }

    pub(super) fn points(&self) -> Vec<Point> {
        let point = |(index, part): (usize, &Part)| {
            let time_ms = index as f64 * self.spacing_ms;
            let lasted = self.spacing_ms.min(self.now_ms - time_ms);
            let [resident_blocks, pinned_blocks, reserved_blocks, queued, running, tokens_in_flight, open_sessions] =
                part.areas.map(|area| mean(area, lasted));
            let Flow { requests, prompt_tokens, hit_tokens, evicted_blocks, expired_blocks, refetched_blocks } =
                part.flow;
            Point {
                time_ms,
                requests,
                prompt_tokens,
                hit_tokens,
                hit_rate: (requests > 0).then(|| ratio(hit_tokens, prompt_tokens)),
                evicted_blocks,
                expired_blocks,
                refetched_blocks,
                resident_blocks,
                pinned_blocks,
                reserved_blocks,
                queued,
                running,
                tokens_in_flight,
                open_sessions,
            }
        };
        self.parts.iter().enumerate().map(point).collect()
    }
}

fn mean(area: f64, duration_ms: f64) -> f64 {
    if duration_ms > 0.0 { area / duration_ms } else { 0.0 }
}

impl Part {
    fn sum(parts: &[Self]) -> Self {
        let mut sum = parts[0];
        for part in &parts[1..] {
            sum.flow.requests += part.flow.requests;
            sum.flow.prompt_tokens += part.flow.prompt_tokens;
            sum.flow.hit_tokens += part.flow.hit_tokens;
            sum.flow.evicted_blocks += part.flow.evicted_blocks;
            sum.flow.expired_blocks += part.flow.expired_blocks;
            sum.flow.refetched_blocks += part.flow.refetched_blocks;
            for (area, more) in sum.areas.iter_mut().zip(part.areas) {
                *area += more;
            }
        }
        sum
    }
}
