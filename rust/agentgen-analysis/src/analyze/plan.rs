//! The capacity curve read backwards: how much memory a hit rate costs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_trace::meta::PROGRAM;
use agentgen_trace::{Cancel, Result};
use schemars::JsonSchema;
use serde::Serialize;

use super::fleet::Fleet;
use super::{Options, TimelineFacts, located};
use crate::reuse;
use agentgen_trace::session::{self, Session};

/// Version of the JSON form of [`Plan`].
const SCHEMA_VERSION: u32 = 2;

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
    /// Sessions open at once; the reference timeline's default if `None`. Refused for a trace with arrivals or times.
    pub concurrency: Option<usize>,
    /// The model's name, to be told with the answer.
    pub model: Option<String>,
    /// The numbers that its KV is kept in, to be told with the answer.
    pub kv_dtype: Option<String>,
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
    /// Sessions in the trace; 0 where it names none.
    pub sessions: u64,
    /// Tokens a block of the cache.
    pub block_size: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// The order of requests that the figures depend on.
    pub timeline: TimelineFacts,
    /// The model that was named; null if bytes were.
    pub model: Option<String>,
    /// The numbers that its KV is kept in; null if bytes were named.
    pub kv_dtype: Option<String>,
    /// KV bytes of a token.
    pub kv_bytes_per_token: u64,
    /// KV bytes of an open session beside those of its tokens (sliding windows).
    pub kv_bytes_per_session: u64,
    /// The same of all sessions that are open at once: a part of each capacity but the replicas'.
    pub session_bytes: u64,
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
    /// KV bytes of these tokens, and of the open sessions beside their tokens.
    pub capacity_bytes: u64,
}

/// Equal replicas, each with its share of the sessions for as long as they last.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Replicas {
    /// KV memory of one, bytes.
    pub replica_bytes: u64,
    /// The fewest that have, together, the rate asked for.
    pub replicas: u64,
    /// Sessions open at once on each of them; null where the trace has its own arrivals.
    pub concurrency_each: Option<usize>,
    /// What each of them needs, prefixes that all sessions share included; the rate is that of all together.
    pub each: PlanPoint,
}

/// Rates that a plan tells beside the one asked for, as shares of the limit.
const SHARES: [f64; 7] = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0];

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
    let impossible = |why: String| Ok(Err(Impossible(format!("{}: {why}", trace.display()))));
    let (clock, sessions) = session::open(&source, options.threads, cancel).map_err(|error| located(trace, error))?;
    if let Some(concurrency) = asked.concurrency {
        if let Some(why) = clock.decides() {
            return impossible(format!("concurrency: found {concurrency}, expected none: the trace has {why}"));
        }
        settings.timing.concurrency = concurrency;
    }
    // Replicas need the sessions again and again; one cache sees them once.
    let mut kept = Vec::new();
    let mut counted = 0;
    let sessions = sessions.inspect(|session| {
        if let (Some(_), Ok(session)) = (asked.replica_bytes, session) {
            kept.push(session.clone());
        }
        done.fetch_add(1, Ordering::Relaxed);
    });
    let each = |session: &Session| counted += u64::from(session.names_its_session());
    let reuse = reuse::measure(clock, sessions, &settings, cancel, each).map_err(|error| located(trace, error))?;
    let curve = &reuse.curve;
    let session_bytes = asked.session_bytes(reuse.peak_open_sessions);
    let point = |hit_rate: f64| {
        let capacity = curve.capacity_for(hit_rate)?;
        Some(asked.point(capacity, curve.hit_rate(capacity), settings.block_tokens, session_bytes))
    };
    let Some(capacity) = point(asked.target_hit_rate) else {
        return impossible(format!(
            "target hit rate: found {}, expected at most {:.4}, what an infinite cache finds of all block references",
            asked.target_hit_rate,
            (curve.limit() * 1e4).floor() / 1e4
        ));
    };
    let replicas = match asked.replica_bytes {
        None => None,
        Some(_) if counted == 0 => {
            return impossible(
                "replica memory: the trace names no sessions, so its requests cannot be kept together on a replica \
                 (leave it out: the plan is then of one cache)"
                    .to_owned(),
            );
        }
        Some(bytes) => match Fleet::new(clock, kept, settings).replicas(bytes, asked, cancel)? {
            Ok(replicas) => Some(replicas),
            Err(why) => return impossible(why),
        },
    };
    Ok(Ok(Plan {
        schema_version: SCHEMA_VERSION,
        program: PROGRAM.to_owned(),
        trace: trace.display().to_string(),
        sessions: counted,
        block_size: settings.block_tokens,
        cached_outputs: settings.cached_outputs,
        timeline: TimelineFacts::new(&reuse, &settings.timing),
        model: asked.model.clone(),
        kv_dtype: asked.kv_dtype.clone(),
        kv_bytes_per_token: asked.kv_bytes_per_token,
        kv_bytes_per_session: asked.kv_bytes_per_session,
        session_bytes,
        target_hit_rate: asked.target_hit_rate,
        limit_hit_rate: curve.limit(),
        capacity,
        points: SHARES.iter().filter_map(|share| point(share * curve.limit())).collect(),
        replicas,
    }))
}

impl PlanOptions {
    fn session_bytes(&self, open_sessions: Option<u64>) -> u64 {
        self.kv_bytes_per_session.saturating_mul(open_sessions.unwrap_or(0))
    }

    pub(super) fn point(
        &self,
        capacity_blocks: u64,
        hit_rate: f64,
        block_tokens: u32,
        session_bytes: u64,
    ) -> PlanPoint {
        let capacity_tokens = capacity_blocks * u64::from(block_tokens);
        let capacity_bytes = capacity_tokens.saturating_mul(self.kv_bytes_per_token).saturating_add(session_bytes);
        PlanPoint { hit_rate, capacity_blocks, capacity_tokens, capacity_bytes }
    }
}
