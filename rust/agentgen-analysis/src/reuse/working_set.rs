//! What a cache would have to hold, over time.

use schemars::JsonSchema;
use serde::Serialize;

/// At most twice this many points.
const POINTS: usize = 256;

/// A quantity that intervals add up to, read at equally spaced times; the spacing doubles when time runs on.
#[derive(Debug, Clone)]
struct Series {
    /// Change from the reading before.
    changes: Vec<i64>,
}

impl Series {
    /// Adds `amount` to the readings from number `from` on.
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

    /// Keeps every second reading.
    fn halve(&mut self) {
        let mut kept = vec![0; self.changes.len() / 2 + 1];
        for (reading, change) in self.changes.iter().enumerate() {
            kept[reading.div_ceil(2)] += change;
        }
        self.changes = kept;
    }
}

/// The spacing to begin with, below the tenth of a millisecond that times have; a power of two, so that it stays exact.
const FINEST_MS: f64 = 0.0625;

/// How long a block counts as recently used.
pub(super) const RECENT_MS: f64 = 300_000.0;

/// Blocks by what is still to come of them.
#[derive(Debug, Clone)]
pub(super) struct WorkingSet {
    /// The first request's start, once there is one. Times below count from it.
    start_ms: Option<f64>,
    spacing_ms: f64,
    end_ms: f64,
    distinct: Series,
    live: Series,
    recent: Series,
}

/// A reading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct WorkingSetPoint {
    /// ms from the first request's start.
    pub time_ms: f64,
    /// Tokens of all blocks used so far.
    pub distinct_tokens: u64,
    /// Tokens of the blocks used before and used again later: what a cache that knew the future would hold.
    pub live_tokens: u64,
    /// Tokens of the blocks used in the last 5 minutes.
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

    /// From the first request's start to the last one's.
    pub(super) fn duration_ms(&self) -> f64 {
        self.end_ms
    }

    /// A time, counted from the first request's start.
    fn since_start(&self, time_ms: f64) -> f64 {
        time_ms - self.start_ms.unwrap_or(time_ms)
    }

    /// The first reading at or after a time since the start.
    fn reading(&self, time_ms: f64) -> usize {
        (time_ms / self.spacing_ms).ceil().max(0.0) as usize
    }

    /// Time has come to `now_ms`.
    pub(super) fn advance(&mut self, now_ms: f64) {
        self.start_ms.get_or_insert(now_ms);
        self.end_ms = self.end_ms.max(self.since_start(now_ms));
        while self.reading(self.end_ms) > 2 * POINTS {
            self.spacing_ms *= 2.0;
            for series in [&mut self.distinct, &mut self.live, &mut self.recent] {
                series.halve();
            }
        }
    }

    /// Blocks are used for the first time.
    pub(super) fn first_use(&mut self, now_ms: f64, blocks: u64) {
        self.distinct.add(self.reading(self.since_start(now_ms)), blocks as i64);
    }

    /// Blocks are used again.
    pub(super) fn next_use(&mut self, last_ms: f64, now_ms: f64, blocks: u64) {
        let (last_ms, now_ms, blocks) = (self.since_start(last_ms), self.since_start(now_ms), blocks as i64);
        self.live.add(self.reading(last_ms), blocks);
        self.live.add(self.reading(now_ms), -blocks);
        self.used_until(last_ms, now_ms, blocks);
    }

    /// Blocks are not used again.
    pub(super) fn last_use(&mut self, last_ms: f64, blocks: u64) {
        self.used_until(self.since_start(last_ms), self.end_ms + self.spacing_ms, blocks as i64);
    }

    fn used_until(&mut self, last_ms: f64, next_ms: f64, blocks: i64) {
        let over = self.reading(next_ms.min(last_ms + RECENT_MS));
        self.recent.add(self.reading(last_ms), blocks);
        self.recent.add(over, -blocks);
    }

    /// The readings up to the end of the timeline.
    pub(super) fn points(&self, block_tokens: u32) -> Vec<WorkingSetPoint> {
        let tokens = |series: &Series| {
            let mut values: Vec<u64> = series.values().map(|blocks| blocks * u64::from(block_tokens)).collect();
            values.resize(self.reading(self.end_ms) + 1, values.last().copied().unwrap_or(0));
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
