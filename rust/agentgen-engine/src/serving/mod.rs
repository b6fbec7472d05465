//! The serving engine: replicas, each with a queue, one prefill unit and a prefix cache of limited size.
//! `docs/simulator.md` defines every step.
//!
//! The engine has no clock: its driver passes the time, in ms as f64. `simulate` advances virtual time from event to
//! event, `serve` waits for each event on a real clock. Drivers define the type of requests ([`Request`]) and the
//! [`Observer`].

mod engine;
mod event;
mod replica;
mod request;
mod routing;

pub use engine::{Engine, RequestId};
pub use replica::Replica;
pub use request::{Change, Finished, Observer, Request, Service, TooLarge};
pub use routing::Routing;

use crate::kv::Policy;

/// The system that serves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct System {
    /// Replicas, each with a queue, a prefill unit and a cache; at least 1.
    pub replicas: usize,
    /// Which replica serves a request.
    pub routing: Routing,
    /// Which block is evicted first.
    pub policy: Policy,
    /// Blocks of the cache of one replica.
    pub capacity_blocks: u64,
    /// Tokens of a block of the cache.
    pub block_tokens: u32,
    /// Tokens of a hash id of the trace.
    pub id_tokens: u32,
    /// Prompt tokens that one replica computes per second; 0: prefill takes no time.
    pub prefill_tokens_per_second: f64,
    /// Output tokens per second of one request; 0: decoding takes no time.
    pub decode_tokens_per_second: f64,
    /// Blocks released longer ago than this are dropped, ms. Needs [`Policy::Lru`].
    pub ttl_ms: Option<f64>,
}

impl System {
    /// Blocks that a request needs: those of its prompt and its output.
    #[must_use]
    pub fn needed_blocks(&self, context_tokens: u32, output_tokens: u32) -> u64 {
        (u64::from(context_tokens) + u64::from(output_tokens)).div_ceil(u64::from(self.block_tokens))
    }

    /// Duration of the prefill of this many tokens, ms.
    #[must_use]
    pub fn prefill_ms(&self, tokens: u32) -> f64 {
        duration_ms(tokens, self.prefill_tokens_per_second)
    }

    /// Duration of the decoding of this many tokens, ms.
    #[must_use]
    pub fn decode_ms(&self, tokens: u32) -> f64 {
        duration_ms(tokens, self.decode_tokens_per_second)
    }
}

fn duration_ms(tokens: u32, tokens_per_second: f64) -> f64 {
    if tokens_per_second > 0.0 { f64::from(tokens) / tokens_per_second * 1_000.0 } else { 0.0 }
}
