//! What a server is told when it starts.

use agentgen_engine::kv::Policy;
use agentgen_engine::serving::{Routing, System};
use agentgen_engine::timeline::TimelineOptions;
use serde::{Deserialize, Serialize};

use crate::fault::Faults;

/// How the events of a stream are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Events {
    /// Each in a write of its own.
    #[default]
    Token,
    /// All that are due in one write.
    Coalesced,
}

/// A fault that befalls requests at random.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFault {
    /// As in the header [`crate::fault::HEADER`].
    pub fault: String,
    /// Share of the requests, 0 to 1.
    pub probability: f64,
}

/// What a server is told when it starts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Name or address to listen at.
    pub host: String,
    /// Port to listen at; 0 lets the system choose one.
    pub port: u16,
    /// The model's name.
    pub model: String,
    /// Tokens of a KV block.
    pub block_tokens: u32,
    /// Blocks that the KV memory has; unlimited if absent.
    pub capacity_blocks: Option<u64>,
    /// Tokens of prompts that are computed in a second, of all requests together; 0: in no time.
    pub prefill_tokens_per_second: f64,
    /// Tokens that a request is given in a second; 0: in no time.
    pub decode_tokens_per_second: f64,
    /// Tokens of a prompt and its output at most.
    pub max_model_len: Option<u32>,
    /// How the events of a stream are written.
    pub events: Events,
    /// Calls that a request with tools is answered with.
    pub tool_calls: u32,
    /// Faults that befall requests at random.
    pub faults: Vec<RandomFault>,
    /// Decides which requests they befall.
    pub seed: u64,
    /// Whether requests are remembered for `/debug/requests`.
    pub debug: bool,
    /// Threads that serve.
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

    /// From JSON; what is not said has its default. The error is one line.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let options: Self = serde_json::from_str(text).map_err(|error| format!("options: {error}"))?;
        options.check()?;
        Ok(options)
    }

    /// What types do not say. The error is one line.
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
        let whole = [("block_tokens", u64::from(self.block_tokens)), ("threads", self.threads as u64)];
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
