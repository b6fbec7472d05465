//! The result of `agentgen plan`, as data, and the options it depends on.

use schemars::JsonSchema;
use serde::Serialize;

use super::TimelineFacts;

/// Version of the JSON form of [`Plan`].
pub(super) const SCHEMA_VERSION: u32 = 2;

/// The target, the model and the memory to plan for.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// Target hit rate: blocks found / all blocks of the prompts, 0 to 1.
    pub target_hit_rate: f64,
    /// KV bytes per token.
    pub kv_bytes_per_token: u64,
    /// KV bytes per open session beside those of its tokens (sliding windows).
    pub kv_bytes_per_session: u64,
    /// KV memory of a replica, bytes; if stated, the plan has a number of replicas.
    pub replica_bytes: Option<u64>,
    /// Name of the model, for the result.
    pub model: Option<String>,
    /// Data type of the KV cache, for the result.
    pub kv_dtype: Option<String>,
}

/// The KV memory that a trace needs for a hit rate.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Plan {
    /// Version of this JSON form.
    pub schema_version: u32,
    /// Program and version that wrote it.
    pub program: String,
    /// Path of the trace as stated.
    pub trace: String,
    /// Sessions of the trace; 0 if it names no sessions.
    pub sessions: u64,
    /// Tokens of a hash id of the trace.
    pub trace_block_size: u32,
    /// Tokens per block of the cache.
    pub block_size: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// The reference timeline, which sets the order of requests.
    pub timeline: TimelineFacts,
    /// The stated model; null if KV bytes were stated.
    pub model: Option<String>,
    /// Data type of the KV cache; null if KV bytes were stated.
    pub kv_dtype: Option<String>,
    /// KV bytes per token.
    pub kv_bytes_per_token: u64,
    /// KV bytes per open session beside those of its tokens (sliding windows).
    pub kv_bytes_per_session: u64,
    /// KV bytes of all open sessions beside those of their tokens; included in `capacity` and `points`.
    pub session_bytes: u64,
    /// Target hit rate: blocks found / all blocks of the prompts.
    pub target_hit_rate: f64,
    /// Hit rate of an infinite cache.
    pub limit_hit_rate: f64,
    /// The smallest cache with the target hit rate.
    pub capacity: PlanPoint,
    /// The smallest caches with other hit rates.
    pub points: Vec<PlanPoint>,
    /// Number of replicas; null if their memory was not stated.
    pub replicas: Option<Replicas>,
}

/// A capacity and its hit rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct PlanPoint {
    /// Blocks found / all blocks of the prompts.
    pub hit_rate: f64,
    /// Capacity, blocks.
    pub capacity_blocks: u64,
    /// Capacity, tokens.
    pub capacity_tokens: u64,
    /// KV bytes of these tokens plus those of open sessions beside their tokens.
    pub capacity_bytes: u64,
}

/// Equal replicas; each session stays on one of them.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Replicas {
    /// KV memory of a replica, bytes.
    pub replica_bytes: u64,
    /// The smallest number of replicas that together have the target hit rate.
    pub replicas: u64,
    /// Sessions open at once on each replica; null if the trace has arrivals or request times.
    pub concurrency_each: Option<usize>,
    /// Capacity that each replica needs, including the shared prefixes; the hit rate is that of all replicas together.
    pub each: PlanPoint,
}

impl PlanOptions {
    /// KV bytes of `open_sessions` beside those of their tokens.
    pub(super) fn session_bytes(&self, open_sessions: Option<u64>) -> u64 {
        self.kv_bytes_per_session.saturating_mul(open_sessions.unwrap_or(0))
    }

    /// A capacity with its size in tokens and bytes.
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
