//! Hit rate by time to live: an infinite cache that evicts blocks a given time after their last use.

use schemars::JsonSchema;
use serde::Serialize;

use super::rates::ratio;

const SECOND: f64 = 1_000.0;
const MINUTE: f64 = 60.0 * SECOND;
const HOUR: f64 = 60.0 * MINUTE;

/// Times to live with a point, ms.
const TTLS: [f64; 16] = [
    0.0,
    SECOND,
    2.0 * SECOND,
    5.0 * SECOND,
    10.0 * SECOND,
    30.0 * SECOND,
    MINUTE,
    2.0 * MINUTE,
    5.0 * MINUTE,
    10.0 * MINUTE,
    30.0 * MINUTE,
    HOUR,
    2.0 * HOUR,
    4.0 * HOUR,
    8.0 * HOUR,
    24.0 * HOUR,
];

/// Cached tokens by the shortest time to live that keeps them.
#[derive(Debug, Clone, Default)]
pub(super) struct Ages {
    tokens: [u64; TTLS.len() + 1],
}

/// The hit rate at a time to live.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TtlPoint {
    /// Blocks are evicted this long after their last use, ms; null: never.
    pub ttl_ms: Option<f64>,
    /// Tokens found / tokens of the prompts.
    pub hit_rate: f64,
}

impl Ages {
    /// Adds tokens found `age_ms` after the end of the last request that used them.
    pub(super) fn add(&mut self, age_ms: f64, tokens: u64) {
        self.tokens[TTLS.partition_point(|ttl| *ttl < age_ms)] += tokens;
    }

    pub(super) fn points(&self, prompt_tokens: u64) -> Vec<TtlPoint> {
        let ttls = TTLS.into_iter().map(Some).chain([None]);
        let hits = self.tokens.iter().scan(0, |sum, tokens| {
            *sum += tokens;
            Some(*sum)
        });
        ttls.zip(hits).map(|(ttl_ms, hits)| TtlPoint { ttl_ms, hit_rate: ratio(hits, prompt_tokens) }).collect()
    }
}
