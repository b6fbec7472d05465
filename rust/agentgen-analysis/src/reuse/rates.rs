//! The definitions of hit rate.

use agentgen_engine::kv::Prompt;
use schemars::JsonSchema;
use serde::Serialize;

/// The cached part of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hit {
    pub blocks: u32,
    pub tokens: u32,
}

impl Hit {
    pub(crate) fn new(prompt: &Prompt<'_>, found_blocks: u32, block_tokens: u32) -> Self {
        let blocks = found_blocks.min(prompt.reusable_blocks);
        let tokens = u64::from(blocks) * u64::from(block_tokens);
        Self { blocks, tokens: tokens.min(u64::from(prompt.context_tokens)) as u32 }
    }
}

/// Tokens of the prompts of a session so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    prompt_tokens: u64,
    hit_tokens: u64,
}

impl Tally {
    pub(crate) const NEW: Self = Self { prompt_tokens: 0, hit_tokens: 0 };

    pub(crate) fn add(&mut self, prompt: &Prompt<'_>, hit: Hit) {
        self.prompt_tokens += u64::from(prompt.context_tokens);
        self.hit_tokens += u64::from(hit.tokens);
    }

    fn ratio(self) -> f64 {
        ratio(self.hit_tokens, self.prompt_tokens)
    }
}

/// Buckets of the hit rates of sessions; percentiles are exact to half a bucket.
const BUCKETS: usize = 10_000;

/// The counts from which all hit rates are computed.
#[derive(Debug, Clone)]
pub(crate) struct Counters {
    requests: u64,
    pub blocks: u64,
    full_blocks: u64,
    pub prompt_tokens: u64,
    pub hit_blocks: u64,
    hit_full_blocks: u64,
    pub hit_tokens: u64,
    request_ratios: f64,
    sessions: u64,
    session_ratios: f64,
    sessions_by_ratio: Vec<u64>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            requests: 0,
            blocks: 0,
            full_blocks: 0,
            prompt_tokens: 0,
            hit_blocks: 0,
            hit_full_blocks: 0,
            hit_tokens: 0,
            request_ratios: 0.0,
            sessions: 0,
            session_ratios: 0.0,
            sessions_by_ratio: vec![0; BUCKETS + 1],
        }
    }

    pub(crate) fn request(&mut self, prompt: &Prompt<'_>, hit: Hit, block_tokens: u32) {
        self.requests += 1;
        self.blocks += u64::from(prompt.blocks(block_tokens));
        self.full_blocks += u64::from(prompt.full_blocks);
        self.prompt_tokens += u64::from(prompt.context_tokens);
        self.hit_blocks += u64::from(hit.blocks);
        self.hit_full_blocks += u64::from(hit.blocks.min(prompt.full_blocks));
        self.hit_tokens += u64::from(hit.tokens);
        self.request_ratios += ratio(u64::from(hit.tokens), u64::from(prompt.context_tokens));
    }

    /// Adds a session that has ended.
    pub(crate) fn session(&mut self, tally: Tally) {
        let ratio = tally.ratio();
        self.sessions += 1;
        self.session_ratios += ratio;
        self.sessions_by_ratio[(ratio * BUCKETS as f64).round() as usize] += 1;
    }

    /// The hit rates; `has_sessions`: whether the trace names sessions.
    pub(crate) fn rates(&self, has_sessions: bool) -> HitRates {
        let mean = |sum: f64, of: u64| if of == 0 { 0.0 } else { sum / of as f64 };
        HitRates {
            block_references: ratio(self.hit_blocks, self.blocks),
            full_blocks: ratio(self.hit_full_blocks, self.full_blocks),
            token_weighted: ratio(self.hit_tokens, self.prompt_tokens),
            request_mean: mean(self.request_ratios, self.requests),
            session_mean: has_sessions.then(|| mean(self.session_ratios, self.sessions)),
        }
    }

    /// Percentiles of the hit rates of sessions.
    pub(crate) fn sessions(&self) -> SessionRates {
        let percentile = |share: f64| {
            let rank = (share * self.sessions as f64).ceil().max(1.0) as u64;
            let mut seen = 0;
            let bucket = self.sessions_by_ratio.iter().position(|sessions| {
                seen += sessions;
                seen >= rank
            });
            bucket.unwrap_or(0) as f64 / BUCKETS as f64
        };
        SessionRates {
            p05: percentile(0.05),
            p25: percentile(0.25),
            p50: percentile(0.5),
            p75: percentile(0.75),
            p95: percentile(0.95),
        }
    }
}

/// `part / whole`, or 0 if `whole` is 0.
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Hit rates of an infinite cache, by definition.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct HitRates {
    /// Blocks found / all blocks of the prompts, including partial blocks at their ends.
    pub block_references: f64,
    /// Full blocks found / full blocks of the prompts.
    pub full_blocks: f64,
    /// Tokens found / tokens of the prompts.
    pub token_weighted: f64,
    /// Mean over requests of tokens found / tokens of the prompt.
    pub request_mean: f64,
    /// Mean over sessions of tokens found / tokens of the session's prompts; null if the trace names no sessions.
    pub session_mean: Option<f64>,
}

/// Percentiles of the hit rates of single sessions (token-weighted).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct SessionRates {
    /// 5th percentile.
    pub p05: f64,
    /// 25th percentile.
    pub p25: f64,
    /// Median.
    pub p50: f64,
    /// 75th percentile.
    pub p75: f64,
    /// 95th percentile.
    pub p95: f64,
}
