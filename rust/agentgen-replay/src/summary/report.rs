//! What `summary.json` says. Times are milliseconds, lengths tokens.
#![allow(clippy::struct_field_names)] // figures have the same names wherever they are, and end with their units

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::script::History;

use super::statistics::Statistics;

/// How sessions come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// When a slot is free.
    #[default]
    Closed,
    /// At their arrivals.
    Open,
}

/// What a request must keep to count as good; what is not stated is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Slo {
    /// Time to the first token, at most.
    pub ttft_ms: Option<f64>,
    /// Time per output token after the first, at most.
    pub tpot_ms: Option<f64>,
    /// End to end, at most.
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

/// These counters at both ends of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServerCache {
    /// When it began.
    pub before: Counters,
    /// When it was over.
    pub after: Counters,
}

/// What cached tokens are predicted from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// The trace, one of hash ids.
    pub trace: PathBuf,
    /// Whose outputs went into the prompts.
    pub history: History,
    /// Tokens of a block of the server's cache.
    pub block_tokens: u32,
    /// The trace's block size, if it is to be stated.
    pub trace_block_size: Option<u32>,
}

/// What the client knows and the records do not say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Why the run ended early; nothing if it did not.
    pub incomplete: Option<String>,
    /// How sessions came.
    pub clock: Clock,
    /// Slots of all workers together.
    pub concurrency: Option<u64>,
    /// Targets of a request.
    pub slo: Option<Slo>,
    /// What cached tokens are predicted from; nothing is where they cannot be.
    pub prediction: Option<Prediction>,
    /// The server makes tokens of text by itself.
    pub server_tokenizes: bool,
    /// What the server's metrics said.
    pub server_cache: Option<ServerCache>,
    /// When the run began, as text.
    pub started: Option<String>,
    /// When it was over, as text.
    pub ended: Option<String>,
    /// Effective settings, as they are to be told.
    pub settings: Value,
    /// The trace, as it is to be told.
    pub trace: Value,
}

/// Figures of a replay.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(title = "Summary")]
pub struct Summary {
    /// Increased when a figure changes its meaning.
    pub version: u32,
    /// Whether the run ended early, or records are missing.
    pub incomplete: bool,
    /// What makes figures wrong: books that do not balance, damaged records. Empty for a sound run.
    pub errors: Vec<String>,
    /// What to know before figures are used.
    pub warnings: Vec<String>,
    /// When the run began.
    pub started: Option<String>,
    /// When it was over.
    pub ended: Option<String>,
    /// Effective settings.
    pub settings: Value,
    /// The trace that was replayed.
    pub trace: Value,
    /// The files that all figures come from.
    pub records: Records,
    /// What is measured.
    pub run: Phase,
    /// What went before; it enters no other figure.
    pub warmup: Option<Phase>,
    /// The client's own part in the figures.
    pub client: Client,
}

/// Record files.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Records {
    /// How many there are.
    pub files: u64,
    /// How many end within a record, because their worker died.
    pub torn: u64,
    /// Lines that are no records.
    pub damaged: u64,
}

/// A phase.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Phase {
    /// What became of each planned request.
    pub books: Books,
    /// Requests by outcome; only those that occurred.
    pub outcomes: BTreeMap<String, u64>,
    /// Requests that failed with a status of HTTP, by status.
    pub http_errors: BTreeMap<u16, u64>,
    /// Requests that were sent again at least once.
    pub retried_requests: u64,
    /// How often requests were sent again.
    pub retries: u64,
    /// Events of answers that were not understood.
    pub malformed_events: u64,
    /// Latencies of all that succeeded.
    pub latency: Latency,
    /// The same by the number of the request in its session, from 0.
    pub by_turn: Vec<ByTurn>,
    /// Sessions as wholes.
    pub sessions: Sessions,
    /// The phase in at most 120 parts of equal length.
    pub over_time: Vec<Part>,
    /// From the first request sent to the last byte.
    pub full: Option<Window>,
    /// While all slots were filled and sessions waited (closed), or from when as many sessions were open as on average to
    /// the last arrival (open).
    pub steady: Option<Window>,
    /// Why there is no steady window.
    pub steady_missing: Option<String>,
    /// Requests that kept all targets.
    pub goodput: Option<Goodput>,
    /// Tokens found in the server's cache.
    pub cache: Cache,
    /// Lengths planned and reported.
    pub lengths: Lengths,
}

/// Planned = succeeded + failed + cancelled + skipped + never issued.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Books {
    /// Requests of all sessions that were begun or to be begun.
    pub planned: u64,
    /// With a whole answer.
    pub succeeded: u64,
    /// In any of the other ways.
    pub failed: u64,
    /// Ended by the end of the run.
    pub cancelled: u64,
    /// Left out because one before in the session failed.
    pub skipped: u64,
    /// Not due yet when the run ended.
    pub never_issued: u64,
    /// Whether the sum is right.
    pub balanced: bool,
}

/// Latencies of requests that succeeded, and the lag of those that were sent.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Latency {
    /// First token, of any kind, since sent; only of streams.
    pub ttft_ms: Option<Statistics>,
    /// First token that is not reasoning, since sent; only of streams.
    pub ttfa_ms: Option<Statistics>,
    /// (last token - first token) / (output tokens - 1).
    pub tpot_ms: Option<Statistics>,
    /// Between a network read that brought output and the next that did; percentiles to 0.4 %.
    pub gap_ms: Option<Statistics>,
    /// Last byte since sent.
    pub e2e_ms: Option<Statistics>,
    /// First token since intended.
    pub intended_ttft_ms: Option<Statistics>,
    /// Last byte since intended.
    pub intended_e2e_ms: Option<Statistics>,
    /// Sent since planned; not of retries.
    pub lag_ms: Option<Statistics>,
    /// Sent since intended; not of retries.
    pub intended_lag_ms: Option<Statistics>,
}

/// Requests of one number, or of several, in their sessions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ByTurn {
    /// The least number.
    pub first_turn: u32,
    /// The greatest.
    pub last_turn: u32,
    /// Requests that were sent or meant to be.
    pub requests: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// First token since sent.
    pub ttft_ms: Option<Statistics>,
    /// Per output token after the first.
    pub tpot_ms: Option<Statistics>,
    /// Last byte since sent.
    pub e2e_ms: Option<Statistics>,
    /// What the server says it found.
    pub reported: Option<Rate>,
    /// What it was to find.
    pub predicted: Option<Rate>,
}

/// Sessions as wholes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sessions {
    /// Sessions that took a slot.
    pub opened: u64,
    /// Sessions whose requests all succeeded.
    pub completed: u64,
    /// From slot to slot, of those.
    pub duration_ms: Option<Statistics>,
    /// Those, divided by the length of the full window.
    pub completed_per_second: Option<f64>,
}

/// A part of the phase. Requests count where they were sent, answers where their last byte came.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Part {
    /// Since the phase's first session opened.
    pub from_ms: f64,
    /// How long it is.
    pub duration_ms: f64,
    /// Sessions open at its middle.
    pub open_sessions: u64,
    /// Requests sent.
    pub sent: u64,
    /// Of these, those that failed.
    pub failed: u64,
    /// Answers.
    pub succeeded: u64,
    /// Their output tokens.
    pub output_tokens: u64,
    /// First token since sent, of requests sent here: median.
    pub ttft_p50_ms: Option<f64>,
    /// The same, 99th percentile.
    pub ttft_p99_ms: Option<f64>,
    /// Last byte since sent, of requests sent here: median.
    pub e2e_p50_ms: Option<f64>,
    /// Sent since planned: 99th percentile.
    pub lag_p99_ms: Option<f64>,
}

/// A window: requests that succeeded and whose last byte came in it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Window {
    /// Since the phase's first session opened.
    pub from_ms: f64,
    /// How long it is.
    pub duration_ms: f64,
    /// Requests in it.
    pub requests_in: u64,
    /// Requests that succeeded outside of it.
    pub requests_out: u64,
    /// Requests in it, divided by its length.
    pub requests_per_second: f64,
    /// Their prompts.
    pub prompt_tokens_per_second: f64,
    /// What was new in their prompts.
    pub input_tokens_per_second: f64,
    /// Their outputs.
    pub output_tokens_per_second: f64,
    /// Of these requests, those that kept all targets, divided by its length.
    pub good_requests_per_second: Option<f64>,
    /// First token since sent.
    pub ttft_ms: Option<Statistics>,
    /// Per output token after the first.
    pub tpot_ms: Option<Statistics>,
    /// Last byte since sent.
    pub e2e_ms: Option<Statistics>,
}

/// Requests that kept all targets.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Goodput {
    /// The targets.
    pub slo: Slo,
    /// Requests that succeeded and kept them.
    pub requests: u64,
    /// Those, of all that succeeded or failed.
    pub share: Option<f64>,
}

/// Where figures of the cache come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheSource {
    /// From each answer.
    Usage,
    /// From the server's metrics, before and after.
    Metrics,
    /// From nowhere.
    None,
}

/// Tokens found in the server's cache.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Cache {
    /// Where `reported` comes from; `metrics` has `server` only.
    pub cache_source: CacheSource,
    /// What answers say. Once one answer tells of cached tokens, one that gives usage without them found none. Where
    /// there are predictions, only of requests that have one.
    pub reported: Option<Rate>,
    /// What an infinite cache holds of requests that were complete before each was sent. Where answers tell of cached
    /// tokens, only of requests whose answers do. It is no bound: a server may find more where requests overlap, as it
    /// may share what a request computes before that one is complete, and where prompts are longer than planned.
    pub predicted: Option<Rate>,
    /// The server makes tokens of text by itself, not as the prediction has them: it may find less for that reason alone.
    pub server_tokenizes: bool,
    /// Requests with both whose counts differ.
    pub differing: u64,
    /// What the server's counters grew by.
    pub server: Option<Rate>,
}

/// Cached tokens of prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Rate {
    /// Requests that it is of; 0 if not known.
    pub requests: u64,
    /// Tokens of their prompts.
    pub prompt_tokens: f64,
    /// Of these, found.
    pub cached_tokens: f64,
    /// Found / all.
    pub hit_rate: Option<f64>,
}

/// Lengths planned and reported, of requests that succeeded and tell.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Lengths {
    /// Prompts.
    pub prompt: Compared,
    /// Outputs.
    pub output: Compared,
}

/// Lengths, planned and reported.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Compared {
    /// Requests of which the server told.
    pub requests: u64,
    /// Tokens planned for them.
    pub planned_tokens: u64,
    /// Tokens reported of them.
    pub reported_tokens: u64,
    /// Requests in which these differ.
    pub differing: u64,
}

/// The client's own part.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Client {
    /// How late event loops ran timers.
    pub loop_lag_ms: Option<Statistics>,
    /// The greater of the 99th percentiles of `loop_lag_ms` and of the run's `lag_ms`.
    pub lag_p99_ms: Option<f64>,
    /// That, of the median time to the first token (of the last byte, without streams).
    pub share_of_ttft: Option<f64>,
    /// Whether it is more than `limit`: the figures are of the client as much as of the server.
    pub client_limited: bool,
    /// The share from which on a run is limited by its client.
    pub limit: f64,
}
