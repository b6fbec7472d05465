//! The capacity curve read backwards: how much memory a hit rate costs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_trace::{Cancel, Result, TraceError};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Options, TimelineFacts, located, sessions};
use crate::conversations::{Clock, Conversation, Ordered};
use crate::reuse::{self, Curve, Settings};

/// What is asked.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Blocks found / all blocks of the prompts, 0 to 1.
    pub target_hit_rate: f64,
    /// KV bytes of a token.
    pub kv_bytes_per_token: u64,
    /// KV bytes of a session beside those of its tokens (sliding windows).
    pub kv_bytes_per_session: u64,
    /// KV memory of one replica, bytes.
    pub replica_bytes: Option<u64>,
    /// Sessions open at once, if that is stated; a trace with its own arrivals says it itself.
    pub sessions: Option<usize>,
    /// The model's name, to be told with the answer.
    pub model: Option<String>,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impossible(pub String);

/// How much KV memory a trace needs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Plan {
    /// Version of this form.
    pub schema_version: u32,
    /// What made it.
    pub program: String,
    /// The path, as it was given.
    pub trace: String,
    /// Tokens a block of the cache.
    pub block_size: u32,
    /// The order of requests that the figures depend on.
    pub timeline: TimelineFacts,
    /// The model that was named; null if bytes were.
    pub model: Option<String>,
    /// KV bytes of a token.
    pub kv_bytes_per_token: u64,
    /// KV bytes of a session beside those of its tokens; for each open session they come on top.
    pub kv_bytes_per_session: u64,
    /// The rate asked for: blocks found / all blocks of the prompts.
    pub target_hit_rate: f64,
    /// The rate of an infinite cache.
    pub limit_hit_rate: f64,
    /// The smallest cache that has the rate asked for.
    pub capacity: PlanPoint,
    /// The smallest caches of other rates.
    pub points: Vec<PlanPoint>,
    /// How many replicas it takes, if their memory was told.
    pub replicas: Option<Replicas>,
}

/// A capacity, and what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct PlanPoint {
    /// Blocks found / all blocks of the prompts.
    pub hit_rate: f64,
    /// Blocks held.
    pub capacity_blocks: u64,
    /// Tokens held.
    pub capacity_tokens: u64,
    /// KV bytes of these tokens.
    pub capacity_bytes: u64,
}

/// Equal replicas, each with its share of the sessions for as long as they last.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Replicas {
    /// KV memory of one, bytes.
    pub replica_bytes: u64,
    /// The fewest with the rate asked for.
    pub replicas: u64,
    /// Sessions that run at once on one of them; null where the trace has its own arrivals.
    pub sessions_each: Option<usize>,
    /// What one of them needs, prefixes that all sessions share included.
    pub each: PlanPoint,
}

/// Rates that a plan tells beside the one asked for, as shares of the limit.
const SHARES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

/// A trace in memory, to be followed with different numbers of replicas.
struct Replayable {
    clock: Clock,
    conversations: Vec<Conversation>,
    settings: Settings,
}

/// Plans the memory for a trace; `done` counts its sessions.
pub fn plan(
    trace: &PathBuf,
    options: &Options,
    asked: &PlanOptions,
    cancel: &Cancel,
    done: &AtomicU64,
) -> Result<Result<Plan, Impossible>> {
    let source = options.resolve(trace)?;
    let mut settings = options.settings(&source);
    let ordered = sessions(&source, options.threads, cancel).map_err(|error| located(trace, error))?;
    let clock = ordered.clock;
    if let Some(sessions) = asked.sessions {
        if clock != Clock::Closed {
            let own = if clock == Clock::Arrivals { "arrivals" } else { "recorded times" };
            return Ok(Err(Impossible(format!(
                "{}: sessions: found {sessions}, expected none: the trace has {own}, which say how many are open",
                trace.display()
            ))));
        }
        settings.timing.concurrency = sessions;
    }
    let counted = ordered.conversations.inspect(|_| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    let conversations = counted.collect::<Result<Vec<_>>>().map_err(|error| located(trace, error))?;
    if conversations.is_empty() {
        return Err(TraceError::Format(format!("{}: no requests", trace.display())));
    }
    let replayable = Replayable { clock, conversations, settings };
    let (curve, duration_ms) = replayable.replica(1, cancel)?;
    let point = |hit_rate: f64| asked.point(&curve, &settings, hit_rate);
    let Some(capacity) = point(asked.target_hit_rate) else {
        return Ok(Err(Impossible(format!(
            "{}: target hit rate: found {}, expected at most {:.4}, what an infinite cache finds of all block \
             references",
            trace.display(),
            asked.target_hit_rate,
            (curve.limit() * 1e4).floor() / 1e4
        ))));
    };
    let replicas = match asked.replica_bytes {
        None => None,
        Some(bytes) => match replayable.replicas(bytes, asked, cancel)? {
            Some(replicas) => Some(replicas),
            None => {
                return Ok(Err(Impossible(format!(
                    "{}: no number of replicas with {:.1} GB each has a hit rate of {}: what sessions share is held by \
                     each replica, or found by none (expected more memory, or a lower target)",
                    trace.display(),
                    bytes as f64 / 1e9,
                    asked.target_hit_rate
                ))));
            }
        },
    };
    Ok(Ok(Plan {
        schema_version: 1,
        program: concat!("agentgen ", env!("CARGO_PKG_VERSION")).to_owned(),
        trace: trace.display().to_string(),
        block_size: settings.block_tokens,
        timeline: TimelineFacts::new(clock, &settings.timing, duration_ms),
        model: asked.model.clone(),
        kv_bytes_per_token: asked.kv_bytes_per_token,
        kv_bytes_per_session: asked.kv_bytes_per_session,
        target_hit_rate: asked.target_hit_rate,
        limit_hit_rate: curve.limit(),
        capacity,
        points: SHARES.iter().filter_map(|share| point(share * curve.limit())).collect(),
        replicas,
    }))
}

impl PlanOptions {
    /// The smallest capacity with at least this rate.
    fn point(&self, curve: &Curve, settings: &Settings, hit_rate: f64) -> Option<PlanPoint> {
        let capacity_blocks = curve.capacity_for(hit_rate)?;
        let capacity_tokens = capacity_blocks * u64::from(settings.block_tokens);
        let capacity_bytes = capacity_tokens.saturating_mul(self.kv_bytes_per_token);
        let hit_rate = curve.hit_rate(capacity_blocks);
        Some(PlanPoint { hit_rate, capacity_blocks, capacity_tokens, capacity_bytes })
    }
}

impl Replayable {
    /// The curve of one of `replicas`: every so-manieth session and those that continue it, on its share of the slots.
    fn replica(&self, replicas: u64, cancel: &Cancel) -> Result<(Curve, f64)> {
        let mut mine = std::collections::HashSet::new();
        let mut taken = Vec::new();
        for conversation in &self.conversations {
            let is_mine = match conversation.parent {
                Some(parent) => mine.contains(&parent),
                None => conversation.number % replicas == 0,
            };
            if is_mine {
                mine.insert(conversation.number);
                taken.push(conversation.clone());
            }
        }
        let mut settings = self.settings;
        settings.timing.concurrency = self.slots(replicas);
        let ordered = Ordered { clock: self.clock, conversations: Box::new(taken.into_iter().map(Ok)) };
        let reuse = reuse::measure(ordered, &settings, cancel, |_| ())?;
        Ok((reuse.curve, reuse.duration_ms))
    }

    fn slots(&self, replicas: u64) -> usize {
        self.settings.timing.concurrency.div_ceil(replicas as usize)
    }

    /// The fewest replicas of this size that have the rate asked for; `None` if no number has.
    fn replicas(&self, replica_bytes: u64, asked: &PlanOptions, cancel: &Cancel) -> Result<Option<Replicas>> {
        let most = match self.clock {
            Clock::Closed => self.settings.timing.concurrency,
            Clock::Arrivals | Clock::Recorded => self.conversations.len(),
        } as u64;
        let fit = |replicas: u64| -> Result<Option<PlanPoint>> {
            let (curve, _) = self.replica(replicas, cancel)?;
            let sessions = if self.clock == Clock::Closed { self.slots(replicas) as u64 } else { 0 };
            let fits =
                |point: &PlanPoint| point.capacity_bytes + sessions * asked.kv_bytes_per_session <= replica_bytes;
            Ok(asked.point(&curve, &self.settings, asked.target_hit_rate).filter(fits))
        };
        // Twice as many until it is enough, then halfway between too few and enough.
        let (mut too_few, mut enough) = (0, 1);
        let mut each = fit(enough)?;
        while each.is_none() && enough < most {
            too_few = enough;
            enough = (2 * enough).min(most);
            each = fit(enough)?;
        }
        let Some(mut each) = each else { return Ok(None) };
        while enough - too_few > 1 {
            let between = too_few + (enough - too_few) / 2;
            match fit(between)? {
                Some(point) => (enough, each) = (between, point),
                None => too_few = between,
            }
        }
        let sessions_each = (self.clock == Clock::Closed).then(|| self.slots(enough));
        Ok(Some(Replicas { replica_bytes, replicas: enough, sessions_each, each }))
    }
}
