//! Options of a server.

use agentgen_engine::kv::Policy;
use agentgen_engine::serving::{Routing, System};
use agentgen_engine::timeline::TimelineOptions;
use serde::{Deserialize, Serialize};

use crate::fault::Faults;

/// Longest timeout, seconds.
const MAX_TIMEOUT_S: f64 = 86_400.0;

/// How events of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Events {
    /// Each event in a write of its own.
    #[default]
    Token,
    /// All events that are due in one write.
    Coalesced,
}

/// A fault injected at random.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFault {
    /// The fault, as in the header [`crate::fault::HEADER`].
    pub fault: String,
    /// Share of the requests with this fault, 0 to 1.
    pub probability: f64,
}

/// Options of a server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Host name or address to listen on.
    pub host: String,
    /// Port to listen on; 0: the operating system chooses a free one.
    pub port: u16,
    /// Name of the model.
    pub model: String,
    /// Tokens of a KV block.
    pub block_tokens: u32,
    /// Capacity of the KV cache in blocks; unlimited if absent.
    pub capacity_blocks: Option<u64>,
    /// Prompt tokens computed per second, of all requests together; 0: prefill takes no time.
    pub prefill_tokens_per_second: f64,
    /// Output tokens per second of one request; 0: decoding takes no time.
    pub decode_tokens_per_second: f64,
    /// The most tokens of a prompt and its output.
    pub max_model_len: Option<u32>,
    /// The most bytes of a request's body.
    pub max_body_bytes: u64,
    /// The most open connections.
    pub max_connections: usize,
    /// Seconds within which a connection must send the head of its next request.
    pub header_timeout_s: f64,
    /// Seconds within which a request must send its body.
    pub body_timeout_s: f64,
    /// How events of a stream are written.
    pub events: Events,
    /// Tool calls in the answer to a request with tools.
    pub tool_calls: u32,
    /// Faults injected at random.
    pub faults: Vec<RandomFault>,
    /// Seed of the random faults.
    pub seed: u64,
    /// Whether requests are kept for `/debug/requests`.
    pub debug: bool,
    /// Threads of the server.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 0,
            model: "agentgen".to_owned(),
            block_tokens: 16,
            capacity_blocks: None,
            prefill_tokens_per_second: TimelineOptions::REFERENCE.prefill_tokens_per_second,
            decode_tokens_per_second: TimelineOptions::REFERENCE.decode_tokens_per_second,
            max_model_len: None,
            max_body_bytes: 64 << 20,
            max_connections: 10_000,
            header_timeout_s: 30.0,
            body_timeout_s: 60.0,
            events: Events::Token,
            tool_calls: 0,
            faults: Vec::new(),
            seed: 0,
            debug: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
        }
    }
}

impl Options {
    /// The modelled system: one replica.
    pub(crate) fn system(&self) -> System {
        System {
            replicas: 1,
            routing: Routing::Sticky,
            policy: Policy::Lru,
            capacity_blocks: self.capacity_blocks.unwrap_or(u64::MAX),
            block_tokens: self.block_tokens,
            id_tokens: self.block_tokens,
            prefill_tokens_per_second: self.prefill_tokens_per_second,
            decode_tokens_per_second: self.decode_tokens_per_second,
            ttl_ms: None,
        }
    }

    /// Parses JSON; missing options have their defaults. The error is one line.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(text).map_err(|error| format!("options: {error}"))?;
        options.check()?;
        Ok(options)
    }

    /// Checks the ranges. The error is one line.
    pub fn check(&self) -> Result<(), String> {
        let rates = [
            ("prefill_tokens_per_second", self.prefill_tokens_per_second),
            ("decode_tokens_per_second", self.decode_tokens_per_second),
        ];
        for (name, rate) in rates {
            if !(rate.is_finite() && rate >= 0.0) {
                return Err(format!("{name}: found {rate}, expected a number of at least 0"));
            }
        }
        for (name, time_s) in [("header_timeout_s", self.header_timeout_s), ("body_timeout_s", self.body_timeout_s)] {
            if !(time_s > 0.0 && time_s <= MAX_TIMEOUT_S) {
                return Err(format!("{name}: found {time_s}, expected a number above 0, up to {MAX_TIMEOUT_S}"));
            }
        }
        let whole = [
            ("block_tokens", u64::from(self.block_tokens)),
            ("max_body_bytes", self.max_body_bytes),
            ("max_connections", self.max_connections as u64),
            ("threads", self.threads as u64),
        ];
        for (name, found) in whole {
            if found == 0 {
                return Err(format!("{name}: found 0, expected at least 1"));
            }
        }
        if self.capacity_blocks == Some(0) {
            return Err("capacity_blocks: found 0, expected at least 1, or none for no limit".to_owned());
        }
        for fault in &self.faults {
            if !(0.0..=1.0).contains(&fault.probability) {
                return Err(format!("probability: found {}, expected 0 to 1", fault.probability));
            }
            Faults::default().add(&fault.fault)?;
        }
        Ok(())
    }
}
