//! Counters and histograms, and the `/metrics` page in Prometheus text format 0.0.4, as vLLM answers a plain `GET`.
//!
//! The page is written here because the prometheus-client crate (0.25) writes `OpenMetrics` text only: its `HELP` and `TYPE`
//! lines of a counter lack the suffix `_total`, so a parser of format 0.0.4 reads `vllm:prompt_tokens_total` as untyped.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use crate::engine::Engine;
use crate::histogram::Histogram;

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The whole answer was written.
    Answered,
    /// It got an error response.
    Refused,
    /// The client disconnected.
    Disconnected,
    /// Its answer had an injected fault.
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

/// Counters of the server beside those of its engine.
#[derive(Debug)]
pub struct Metrics {
    /// From the due time of a write to the write.
    pub lag: Histogram,
    outcomes: [AtomicU64; 4],
}

/// The counters of a running server.
#[derive(Debug, Serialize)]
pub struct Stats {
    /// Requests whose whole answer was written.
    pub answered: u64,
    /// Requests that got an error response.
    pub refused: u64,
    /// Requests whose client disconnected.
    pub disconnected: u64,
    /// Requests with an injected fault.
    pub fault: u64,
    /// Requests that run now.
    pub running: usize,
    /// Requests that wait now.
    pub waiting: usize,
    /// Prompt tokens of admitted requests.
    pub queried_tokens: u64,
    /// Those of them in the cache.
    pub cached_tokens: u64,
    /// Output tokens of requests that ended.
    pub generated_tokens: u64,
    /// KV blocks in use or reserved now.
    pub used_blocks: u64,
}

impl Metrics {
    /// All counters at 0.
    pub fn new() -> Self {
        Self { lag: Histogram::of_lags(), outcomes: [const { AtomicU64::new(0) }; 4] }
    }

    /// Counts a request that has ended.
    pub fn ended(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize].load(Ordering::Relaxed)
    }

    /// The counters now.
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

    /// The page. `model` is a JSON string. Metrics that vLLM has too have its names.
    pub fn page(&self, engine: &Engine, model: &str, block_tokens: u32, capacity_blocks: Option<u64>) -> String {
        let labels = format!("model_name={model}");
        let stats = self.stats(engine);
        let totals = engine.totals();
        let usage = capacity_blocks.map_or(0.0, |blocks| stats.used_blocks as f64 / blocks.max(1) as f64);
        let mut page = String::new();
        let mut put = |name: &str, kind: &str, help: &str, value: f64| {
            let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name}{{{labels}}} {value}");
        };
        put("vllm:num_requests_running", "gauge", "Requests running.", stats.running as f64);
        put("vllm:num_requests_waiting", "gauge", "Requests waiting.", stats.waiting as f64);
        put(
            "vllm:kv_cache_usage_perc",
            "gauge",
            "KV blocks in use or reserved, as a share of all; 0 if unlimited.",
            usage,
        );
        let tokens = [
            ("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.", totals.queried),
            ("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.", totals.hits),
            ("vllm:prompt_tokens_total", "Prompt tokens, computed or found in the prefix cache.", totals.prompt),
            ("vllm:generation_tokens_total", "Output tokens of requests that ended.", totals.generated),
            ("vllm:request_success_total", "Requests that ended by the model.", totals.finished),
        ];
        for (name, help, value) in tokens {
            put(name, "counter", help, value as f64);
        }
        let name = "vllm:cache_config_info";
        let blocks = capacity_blocks.map_or_else(|| "None".to_owned(), |blocks| blocks.to_string());
        let _ = writeln!(
            page,
            "# HELP {name} Configuration of the KV cache.\n# TYPE {name} gauge\n\
             {name}{{{labels},block_size=\"{block_tokens}\",num_gpu_blocks=\"{blocks}\"}} 1"
        );
        let name = "agentgen_server_requests_total";
        let _ = writeln!(page, "# HELP {name} Requests by outcome.\n# TYPE {name} counter");
        for outcome in Outcome::ALL {
            let _ = writeln!(page, "{name}{{{labels},outcome=\"{}\"}} {}", outcome.name(), self.count(outcome));
        }
        let times = engine.times();
        let histograms = [
            ("agentgen_server_lag_seconds", "From the due time of a write to the write.", &self.lag),
            ("vllm:time_to_first_token_seconds", "From request to first token, by the model.", &times.first_token),
            ("vllm:e2e_request_latency_seconds", "From request to last token, by the model.", &times.end),
            (
                "vllm:request_queue_time_seconds",
                "From request to the beginning of its prefill, by the model.",
                &times.queue,
            ),
        ];
        for (name, help, histogram) in histograms {
            histogram.write(&mut page, name, help, &labels);
        }
        page
    }
}
