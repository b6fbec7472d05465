//! Counters and histograms, and their page in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::engine::Engine;
use crate::histogram::Histogram;

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its answer has been written to the end.
    Answered,
    /// It got an error that it asked for in no header.
    Refused,
    /// The client went away.
    Disconnected,
    /// Its answer went wrong as asked.
    Fault,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Answered, Self::Refused, Self::Disconnected, Self::Fault];

    fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Disconnected => "disconnected",
            Self::Fault => "fault",
        }
    }
}

/// What a server counts beside its engine.
#[derive(Debug)]
pub struct Metrics {
    /// From when a write was due to when it was made.
    pub lag: Histogram,
    outcomes: [AtomicU64; 4],
}

/// Numbers for whoever holds the server.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// Requests by what became of them.
    pub answered: u64,
    /// Of which: refused.
    pub refused: u64,
    /// Whose client went away.
    pub disconnected: u64,
    /// Which went wrong as asked.
    pub fault: u64,
    /// Worked on now.
    pub running: usize,
    /// Waiting now.
    pub waiting: usize,
    /// Tokens of prompts that were looked up.
    pub queried_tokens: u64,
    /// Of these, found.
    pub cached_tokens: u64,
    /// Tokens of outputs.
    pub generated_tokens: u64,
    /// KV blocks in use or reserved.
    pub used_blocks: u64,
}

impl Metrics {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { lag: Histogram::of_lags(), outcomes: [const { AtomicU64::new(0) }; 4] }
    }

    /// Counts a request that is over.
    pub fn over(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    /// All numbers.
    pub fn stats(&self, engine: &Engine) -> Stats {
        let (running, waiting) = engine.load();
        let totals = engine.totals();
        Stats {
            answered: self.count(Outcome::Answered),
            refused: self.count(Outcome::Refused),
            disconnected: self.count(Outcome::Disconnected),
            fault: self.count(Outcome::Fault),
            running,
            waiting,
            queried_tokens: totals.queried,
            cached_tokens: totals.hits,
            generated_tokens: totals.generated,
            used_blocks: engine.used_blocks(),
        }
    }

    /// The page. `model` is a JSON string; names are vLLM's where it has them.
    pub fn page(&self, engine: &Engine, model: &str, block_tokens: u32, capacity_blocks: Option<u64>) -> String {
        let labels = format!("model_name={model}");
        let stats = self.stats(engine);
        let totals = engine.totals();
        let usage = capacity_blocks.map_or(0.0, |blocks| stats.used_blocks as f64 / blocks.max(1) as f64);
        let mut page = String::new();
        let mut put = |name: &str, kind: &str, help: &str, value: f64| {
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{{labels}}} {value}");
        };
        put("vllm:num_requests_running", "gauge", "Requests worked on.", stats.running as f64);
        put("vllm:num_requests_waiting", "gauge", "Requests that wait.", stats.waiting as f64);
        put("vllm:kv_cache_usage_perc", "gauge", "KV blocks in use or reserved, 1 is all; 0 if unlimited.", usage);
        let tokens = [
            ("vllm:prefix_cache_queries_total", "Tokens of prompts that were looked up.", totals.queried),
            ("vllm:prefix_cache_hits_total", "Tokens of prompts that were found.", totals.hits),
            ("vllm:prompt_tokens_total", "Tokens of prompts that were computed or found.", totals.prompt),
            ("vllm:generation_tokens_total", "Tokens of outputs of requests that are over.", totals.generated),
            ("vllm:request_success_total", "Requests that are over on the model's clock.", totals.finished),
        ];
        for (name, help, value) in tokens {
            put(name, "counter", help, value as f64);
        }
        let name = "vllm:cache_config_info";
        let blocks = capacity_blocks.map_or_else(|| "None".to_owned(), |blocks| blocks.to_string());
        let _ = writeln!(
            page,
            "# HELP {name} The cache.\n# TYPE {name} gauge\n\
             {name}{{{labels},block_size=\"{block_tokens}\",num_gpu_blocks=\"{blocks}\"}} 1"
        );
        let name = "agentgen_server_requests_total";
        let _ = writeln!(page, "# HELP {name} Requests by what became of them.\n# TYPE {name} counter");
        for outcome in Outcome::ALL {
            let _ = writeln!(page, "{name}{{{labels},outcome=\"{}\"}} {}", outcome.name(), self.count(outcome));
        }
        let times = engine.times();
        let histograms = [
            ("agentgen_server_lag_seconds", "From when a write was due to when it was made.", &self.lag),
            ("vllm:time_to_first_token_seconds", "From request to first token, as modelled.", &times.first_token),
            ("vllm:e2e_request_latency_seconds", "From request to the end, as modelled.", &times.end),
            ("vllm:request_queue_time_seconds", "From request to its prefill, as modelled.", &times.queue),
        ];
        for (name, help, histogram) in histograms {
            histogram.write(&mut page, name, help, &labels);
        }
        page
    }
}
