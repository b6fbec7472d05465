//! Tokens in use over time.

use schemars::JsonSchema;
use serde::Serialize;

/// The number of points is at most twice this.
const POINTS: usize = 256;

/// A sum over intervals, sampled at equally spaced times. The spacing doubles as the timeline grows.
#[derive(Debug, Clone)]
struct Series {
    /// Difference to the previous sample.
    changes: Vec<i64>,
}

impl Series {
    /// Adds `amount` to the samples from index `from` on.
    fn add(&mut self, from: usize, amount: i64) {
        if from >= self.changes.len() {
            self.changes.resize(from + 1, 0);
        }
        self.changes[from] += amount;
    }

    fn values(&self) -> impl Iterator<Item = u64> {
        self.changes.iter().scan(0_i64, |sum, change| {
            *sum += change;
            Some((*sum).max(0) as u64)
        })
    }

    /// Keeps every second sample.
    fn halve(&mut self) {
        let mut kept = vec![0; self.changes.len() / 2 + 1];
        for (sample, change) in self.changes.iter().enumerate() {
            kept[sample.div_ceil(2)] += change;
        }
        self.changes = kept;
    }
}

/// Initial spacing, below the resolution of times (0.1 ms). A power of two, so doubling stays exact.
const FINEST_MS: f64 = 0.0625;

/// Window of `recent_tokens`, ms.
pub(super) const RECENT_MS: f64 = 300_000.0;

/// Numbers of blocks over time.
#[derive(Debug, Clone)]
pub(super) struct WorkingSet {
    /// Start of the first request; the origin of the times below.
    start_ms: Option<f64>,
    spacing_ms: f64,
    end_ms: f64,
    distinct: Series,
    live: Series,
    recent: Series,
}

/// A sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct WorkingSetPoint {
    /// Time since the start of the first request, ms.
    pub time_ms: f64,
    /// Tokens of all blocks used so far.
    pub distinct_tokens: u64,
    /// Tokens of blocks used before and again later: the content of a cache that knows the future.
    pub live_tokens: u64,
    /// Tokens of blocks used in the last 5 minutes.
    pub recent_tokens: u64,
}

impl WorkingSet {
    pub(super) fn new() -> Self {
        let series = || Series { changes: Vec::new() };
        Self {
            start_ms: None,
            spacing_ms: FINEST_MS,
            end_ms: 0.0,
            distinct: series(),
            live: series(),
            recent: series(),
        }
    }

    /// Time from the start of the first request to the start of the last, ms.
    pub(super) fn duration_ms(&self) -> f64 {
        self.end_ms
    }

    /// Time since the start of the first request, ms.
    fn since_start(&self, time_ms: f64) -> f64 {
        time_ms - self.start_ms.unwrap_or(time_ms)
    }

    /// Index of the first sample at or after a time.
    fn sample(&self, time_ms: f64) -> usize {
        (time_ms / self.spacing_ms).ceil().max(0.0) as usize
    }

    /// Advances the end of the timeline to `now_ms`.
    pub(super) fn advance(&mut self, now_ms: f64) {
        self.start_ms.get_or_insert(now_ms);
        self.end_ms = self.end_ms.max(self.since_start(now_ms));
        while self.sample(self.end_ms) > 2 * POINTS {
            self.spacing_ms *= 2.0;
            for series in [&mut self.distinct, &mut self.live, &mut self.recent] {
                series.halve();
            }
        }
    }

    /// Adds blocks used for the first time.
    pub(super) fn first_use(&mut self, now_ms: f64, blocks: u64) {
        self.distinct.add(self.sample(self.since_start(now_ms)), blocks as i64);
    }

    /// Adds a further use of blocks last used at `last_ms`.
    pub(super) fn next_use(&mut self, last_ms: f64, now_ms: f64, blocks: u64) {
        let (last_ms, now_ms, blocks) = (self.since_start(last_ms), self.since_start(now_ms), blocks as i64);
        self.live.add(self.sample(last_ms), blocks);
        self.live.add(self.sample(now_ms), -blocks);
        self.used_until(last_ms, now_ms, blocks);
    }

    /// Adds blocks that are not used again after `last_ms`.
    pub(super) fn last_use(&mut self, last_ms: f64, blocks: u64) {
        self.used_until(self.since_start(last_ms), self.end_ms + self.spacing_ms, blocks as i64);
    }

    fn used_until(&mut self, last_ms: f64, next_ms: f64, blocks: i64) {
        let over = self.sample(next_ms.min(last_ms + RECENT_MS));
        self.recent.add(self.sample(last_ms), blocks);
        self.recent.add(over, -blocks);
    }

    /// The samples up to the end of the timeline.
    pub(super) fn points(&self, block_tokens: u32) -> Vec<WorkingSetPoint> {
        let tokens = |series: &Series| {
            let mut values: Vec<u64> = series.values().map(|blocks| blocks * u64::from(block_tokens)).collect();
            values.resize(self.sample(self.end_ms) + 1, values.last().copied().unwrap_or(0));
            values
        };
        let (distinct, live, recent) = (tokens(&self.distinct), tokens(&self.live), tokens(&self.recent));
        let at = |index: usize| WorkingSetPoint {
            time_ms: index as f64 * self.spacing_ms,
            distinct_tokens: distinct[index],
            live_tokens: live[index],
            recent_tokens: recent[index],
        };
        (0..distinct.len()).map(at).collect()
    }
}
