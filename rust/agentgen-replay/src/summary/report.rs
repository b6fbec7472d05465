//! The content of `summary.json`. Times are milliseconds, lengths tokens.
#![allow(clippy::struct_field_names)] // a figure has the same name everywhere, ending with its unit

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::request::{History, LeftOut};

use super::statistics::Statistics;

/// How sessions start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// Closed loop: when a slot is free.
    #[default]
    Closed,
    /// Open loop: at their arrivals.
    Open,
}

/// Latency targets that a request must meet to count towards goodput; an absent target is always met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Slo {
    /// Most time to the first token.
    pub ttft_ms: Option<f64>,
    /// Most time per output token after the first.
    pub tpot_ms: Option<f64>,
    /// Most end-to-end time.
    pub e2e_ms: Option<f64>,
}

/// Counters of a server's prefix cache, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// Tokens looked up.
    pub queries: f64,
    /// Tokens found.
    pub hits: f64,
}

/// Counters at both ends of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerCache {
    /// At the start.
    pub before: Counters,
    /// At the end.
    pub after: Counters,
}

/// Input of the prediction of cached tokens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The trace, a block-hash trace.
    pub trace: PathBuf,
    /// Whose answers later prompts hold.
    pub history: History,
    /// Block size of the server's cache, tokens.
    pub block_tokens: u32,
    /// Block size of the trace, tokens; `None` to infer it.
    pub trace_block_size: Option<u32>,
}

/// Facts of a run that its records do not hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Why the run ended early; `None` if it did not.
    pub incomplete: Option<String>,
    /// How sessions started.
    pub clock: Clock,
    /// Slots of all workers together.
    pub concurrency: Option<u64>,
    /// Latency targets.
    pub slo: Option<Slo>,
    /// Input of the prediction of cached tokens; `None` if they cannot be predicted.
    pub prediction: Option<Prediction>,
    /// Whether the server tokenizes the prompts: they are text.
    pub server_tokenizes: bool,
    /// Counters from the server's metrics.
    pub server_cache: Option<ServerCache>,
    /// Start of the run, as text.
    pub started: Option<String>,
    /// End of the run, as text.
    pub ended: Option<String>,
    /// Effective settings, copied to the summary.
    pub settings: Value,
    /// Facts about the trace, copied to the summary.
    pub trace: Value,
    /// What of the trace was left out.
    pub left_out: LeftOut,
}

/// Figures of a replay.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "Summary")]
pub struct Summary {
    /// Version of this format.
    pub schema_version: u32,
    /// Whether the run ended early or records are missing.
    pub incomplete: bool,
    /// What makes figures wrong: request counts that do not add up, damaged records. Empty for a valid run.
    pub errors: Vec<String>,
    /// What limits the use of the figures.
    pub warnings: Vec<String>,
    /// Start of the run.
    pub started: Option<String>,
    /// End of the run.
    pub ended: Option<String>,
    /// Effective settings.
    pub settings: Value,
    /// The trace that was replayed.
    pub trace: Value,
    /// What of it was left out.
    pub left_out: LeftOut,
    /// The record files, from which all figures come.
    pub records: Records,
    /// The measured phase.
    pub run: Phase,
    /// The warm-up; no other figure includes it.
    pub warmup: Option<Phase>,
    /// How far the client itself limits the figures.
    pub client: Client,
}

/// Record files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Records {
    /// Number of files.
    pub files: u64,
    /// Files whose last record is truncated, because their worker died.
    pub truncated: u64,
    /// Lines that are not records.
    pub damaged: u64,
}

/// Figures of a phase.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Phase {
    /// Planned requests by what became of them.
    pub counters: RequestCounts,
    /// Requests by outcome; outcomes that occurred.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests that failed with an HTTP status, by status.
    pub http_errors: BTreeMap<u16, u64>,
    /// Requests that were retried.
    pub retried_requests: u64,
    /// Retries of all requests.
    pub retries: u64,
    /// Events of answers that could not be parsed.
    pub malformed_events: u64,
    /// Latencies of requests that succeeded.
    pub latency: Latency,
    /// Requests that succeeded whose time per further output token is unknown: the answer came in one read.
    pub tpot_unknown: u64,
    /// The same by turn, from 0.
    pub by_turn: Vec<ByTurn>,
    /// Sessions.
    pub sessions: Sessions,
    /// The phase in at most 120 parts of equal length.
    pub over_time: Vec<Part>,
    /// The window from the first request sent to the last byte.
    pub full: Option<Window>,
    /// The steady window. Closed loop: from the time at which the sessions that filled the slots have ended, while sessions
    /// waited. Open loop: from the time at which
    /// as many sessions were open as on average, to the last arrival.
    pub steady: Option<Window>,
    /// Why there is no steady window.
    pub steady_missing: Option<String>,
    /// Requests that met all latency targets.
    pub goodput: Option<Goodput>,
    /// Cached tokens.
    pub cache: Cache,
    /// Planned and reported lengths.
    pub lengths: Lengths,
}

/// Planned = succeeded + failed + cancelled + skipped + never issued.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RequestCounts {
    /// Requests of all sessions that started or should have.
    pub planned: u64,
    /// With a complete answer.
    pub succeeded: u64,
    /// With any other outcome.
    pub failed: u64,
    /// In flight when the run ended.
    pub cancelled: u64,
    /// Not sent because an earlier request of the session failed.
    pub skipped: u64,
    /// Not due when the run ended.
    pub never_issued: u64,
    /// Whether the counts add up.
    pub balanced: bool,
}

/// Latencies of requests that succeeded, and the lag of all that were sent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Latency {
    /// From sent to the first token of any kind; streams only.
    pub ttft_ms: Option<Statistics>,
    /// From sent to the first token that is not reasoning; streams only.
    pub ttfa_ms: Option<Statistics>,
    /// (last token - first token) / (output tokens - 1); not of answers that came in one read.
    pub tpot_ms: Option<Statistics>,
    /// Between successive network reads that brought output; percentiles within 0.4 %.
    pub gap_ms: Option<Statistics>,
    /// From sent to the last byte.
    pub e2e_ms: Option<Statistics>,
    /// From the intended time to the first token.
    pub intended_ttft_ms: Option<Statistics>,
    /// From the intended time to the last byte.
    pub intended_e2e_ms: Option<Statistics>,
    /// From the scheduled time to sent; without retries.
    pub lag_ms: Option<Statistics>,
    /// From the intended time to sent; without retries.
    pub intended_lag_ms: Option<Statistics>,
}

/// Requests of one turn, or of a range of turns.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ByTurn {
    /// First turn of the range, from 0.
    pub first_turn: u32,
    /// Last turn of the range.
    pub last_turn: u32,
    /// Requests with a record.
    pub requests: u64,
    /// Requests that succeeded.
    pub succeeded: u64,
    /// From sent to the first token.
    pub ttft_ms: Option<Statistics>,
    /// Per output token after the first.
    pub tpot_ms: Option<Statistics>,
    /// From sent to the last byte.
    pub e2e_ms: Option<Statistics>,
    /// Cached tokens that the server reported.
    pub reported: Option<Rate>,
    /// Cached tokens that were predicted.
    pub predicted: Option<Rate>,
}

/// Figures of sessions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sessions {
    /// Sessions that took a slot.
    pub opened: u64,
    /// Sessions whose requests all succeeded.
    pub completed: u64,
    /// How long these held their slots.
    pub duration_ms: Option<Statistics>,
    /// These sessions divided by the length of the full window.
    pub completed_per_second: Option<f64>,
}

/// A part of the phase. Requests count in the part in which they were sent, answers in that of their last byte.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Part {
    /// Start, since the phase's first session opened.
    pub from_ms: f64,
    /// Length.
    pub duration_ms: f64,
    /// Open sessions at its middle.
    pub open_sessions: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests sent here that failed.
    pub failed: u64,
    /// Complete answers.
    pub succeeded: u64,
    /// Output tokens of these answers.
    pub output_tokens: u64,
    /// From sent to the first token, of requests sent here: median.
    pub ttft_p50_ms: Option<f64>,
    /// The same: 99th percentile.
    pub ttft_p99_ms: Option<f64>,
    /// From sent to the last byte, of requests sent here: median.
    pub e2e_p50_ms: Option<f64>,
    /// From the scheduled time to sent: 99th percentile.
    pub lag_p99_ms: Option<f64>,
}

/// Throughput in a window, of requests that succeeded and whose last byte arrived in it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Window {
    /// Start, since the phase's first session opened.
    pub from_ms: f64,
    /// Length.
    pub duration_ms: f64,
    /// Requests in it.
    pub requests_in: u64,
    /// Requests that succeeded outside it.
    pub requests_out: u64,
    /// These requests divided by its length.
    pub requests_per_second: f64,
    /// Tokens of their prompts.
    pub prompt_tokens_per_second: f64,
    /// New tokens of their prompts.
    pub input_tokens_per_second: f64,
    /// Output tokens.
    pub output_tokens_per_second: f64,
    /// Of these requests, those that met all latency targets, divided by its length.
    pub good_requests_per_second: Option<f64>,
    /// From sent to the first token.
    pub ttft_ms: Option<Statistics>,
    /// Per output token after the first.
    pub tpot_ms: Option<Statistics>,
    /// From sent to the last byte.
    pub e2e_ms: Option<Statistics>,
}

/// Requests that met all latency targets.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Goodput {
    /// The targets.
    pub slo: Slo,
    /// Requests that succeeded and met them.
    pub requests: u64,
    /// Their share of the requests that succeeded or failed.
    pub share: Option<f64>,
}

/// Where reported cached tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheSource {
    /// The usage of each answer.
    Usage,
    /// The server's metrics before and after the run.
    Metrics,
    /// The server reports none.
    None,
}

/// Cached tokens.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Cache {
    /// Where reported tokens come from; with `metrics` only `server` is known.
    pub cache_source: CacheSource,
    /// Reported by answers. Once one answer reports cached tokens, an answer whose usage omits them counts as none. With
    /// predictions, only of requests that have one.
    pub reported: Option<Rate>,
    /// Found by an infinite cache that holds the requests that were complete before each was sent. With reported tokens,
    /// only of requests that report them. Not an upper bound: a server may share the blocks of a request in flight, and
    /// prompts may be longer than planned.
    pub predicted: Option<Rate>,
    /// Whether the server tokenizes the prompts: its blocks then differ from the predicted ones, and it may find fewer.
    pub server_tokenizes: bool,
    /// Requests with both counts, where they differ.
    pub differing: u64,
    /// Growth of the server's counters.
    pub server: Option<Rate>,
}

/// Cached tokens of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Rate {
    /// Number of requests; 0 if unknown.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: f64,
    /// Cached tokens among them.
    pub cached_tokens: f64,
    /// Cached / prompt tokens.
    pub hit_rate: Option<f64>,
}

/// Planned and reported lengths of requests that succeeded and report them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Lengths {
    /// Prompts.
    pub prompt: Compared,
    /// Outputs.
    pub output: Compared,
}

/// Planned and reported lengths.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Compared {
    /// Requests whose length the server reported.
    pub requests: u64,
    /// Their planned tokens.
    pub planned_tokens: u64,
    /// Their reported tokens.
    pub reported_tokens: u64,
    /// Requests where these differ.
    pub differing: u64,
}

/// How far the client itself limits the figures.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Client {
    /// Lag of the workers' event loops.
    pub loop_lag_ms: Option<Statistics>,
    /// The greater of the 99th percentiles of `loop_lag_ms` and of the run's `lag_ms`.
    pub lag_p99_ms: Option<f64>,
    /// `lag_p99_ms` divided by the median time to the first token (to the last byte, without streams).
    pub share_of_ttft: Option<f64>,
    /// Whether `share_of_ttft` exceeds `limit`: the figures then measure the client as much as the server.
    pub client_limited: bool,
    /// The largest share of a run that its client does not limit.
    pub limit: f64,
}
