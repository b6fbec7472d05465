//! The result of `agentgen analyze`, as data.

use std::collections::BTreeMap;
use std::path::Path;

use agentgen_core::{DatasetSpec, Layout};
use agentgen_engine::timeline::TimelineOptions;
use agentgen_trace::meta::{Origin, PROGRAM, TraceMeta};
use agentgen_trace::source::Source;
use schemars::JsonSchema;
use serde::Serialize;

use super::lengths::{LengthSummaries, Lengths, TurnContext};
use crate::bins::Histogram;
use crate::reuse::{
    CurvePoint, HitRates, LayerRate, Reuse, SessionRates, Settings, Size, TtlPoint, TurnRate, WorkingSetPoint,
};
use agentgen_trace::session::TraceTiming;

/// Version of the JSON form of [`Analysis`].
const SCHEMA_VERSION: u32 = 2;
/// Step of the hit rate between neighboring points of the capacity curve.
const CURVE_STEP: f64 = 0.001;

/// Analyses of one trace or several.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Analysis {
    /// Version of this JSON form.
    pub schema_version: u32,
    /// Program and version that wrote it.
    pub program: String,
    /// One analysis per trace, in the stated order.
    pub traces: Vec<TraceAnalysis>,
    /// Distances of the distributions, from the first trace to each other one.
    pub distances: Vec<Distance>,
}

/// The analysis of a trace.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TraceAnalysis {
    /// Path of the trace as stated.
    pub trace: String,
    /// Layout of the rows.
    #[schemars(with = "String")]
    pub layout: Layout,
    /// Where the layout comes from.
    pub layout_from: String,
    /// Tokens per hash id of the trace.
    pub trace_block_size: u32,
    /// Where the trace's block size comes from.
    pub trace_block_size_from: String,
    /// Tokens per block of the cache.
    pub block_size: u32,
    /// Sessions, including restart sessions; 0 if the trace names no sessions.
    pub sessions: u64,
    /// Restart sessions.
    pub continuations: u64,
    /// Restart sessions whose parent is in the trace; the others are standalone in both readings.
    pub linked_continuations: u64,
    /// Sessions that begin where the history of another was rewritten.
    pub breaks: u64,
    /// Sessions of sub-agents.
    pub sub_agents: u64,
    /// Requests.
    pub requests: u64,
    /// New tokens of all prompts.
    pub input_tokens: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all outputs.
    pub output_tokens: u64,
    /// Number of sessions by end reason, where the trace states it.
    pub end_reasons: BTreeMap<String, u64>,
    /// Summaries of the distributions.
    pub lengths: LengthSummaries,
    /// Histograms of the distributions that the trace has, by the same names.
    pub histograms: BTreeMap<String, Histogram>,
    /// Prompts by turn index, for the first 256 turns; empty if the trace names no sessions.
    pub context_by_turn: Vec<TurnContext>,
    /// The reference timeline, which sets the order of requests across sessions.
    pub timeline: TimelineFacts,
    /// Hit rates of a prefix cache.
    pub reuse: ReuseFigures,
}

/// Parameters and extent of the reference timeline.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TimelineFacts {
    /// `closed`: sessions in file order on `concurrency` slots; `arrivals`: at their arrivals; `recorded`: requests at
    /// their own times.
    pub clock: TraceTiming,
    /// Slots; null unless the clock is `closed`.
    pub concurrency: Option<usize>,
    /// Prefill speed: new prompt tokens per second.
    pub prefill_tokens_per_second: f64,
    /// Decode speed: output tokens per second.
    pub decode_tokens_per_second: f64,
    /// Time from the start of the first request to the start of the last, ms.
    pub duration_ms: f64,
    /// Maximum number of open sessions; null if the trace names no sessions.
    pub peak_open_sessions: Option<u64>,
}

/// Hit rates of a prefix cache; `docs/reuse.md` defines them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReuseFigures {
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Infinite cache; a restart session continues the tokens of its parent.
    pub linked: HitRates,
    /// Infinite cache; a restart session is read without its parent, as by a replayer without links between sessions. Null
    /// without restart sessions.
    pub standalone: Option<HitRates>,
    /// Percentiles of the hit rates of single sessions (token-weighted, linked); null if the trace names no sessions.
    pub by_session: Option<SessionRates>,
    /// By prefix layer (linked); empty if the trace names no sessions.
    pub by_layer: Vec<LayerRate>,
    /// By turn index (linked); empty if the trace names no sessions.
    pub by_turn: Vec<TurnRate>,
    /// Hit rate of an LRU cache by capacity: blocks found / all blocks of the prompts. Points are exact: one for each
    /// 0.1 % of the rate, for 1, 2, 3 and 5 times each power of ten tokens, and for 50, 90 and 99 % of the limit.
    pub capacity_curve: Vec<CurvePoint>,
    /// Hit rate of an infinite cache that evicts blocks a given time after their last use (token-weighted).
    pub ttl: Vec<TtlPoint>,
    /// Tokens in use over time.
    pub working_set: Vec<WorkingSetPoint>,
    /// Distinct blocks, and the tree nodes that hold them.
    pub size: Size,
}

/// The distance between the distributions of two traces.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Distance {
    /// The first trace.
    pub trace: String,
    /// The other trace.
    pub other: String,
    /// Name of the distribution.
    pub metric: String,
    /// Two-sample Kolmogorov-Smirnov distance, 0 to 1.
    pub ks: f64,
}

impl Analysis {
    pub(super) fn new(traces: Vec<TraceAnalysis>, distances: Vec<Distance>) -> Self {
        Self { schema_version: SCHEMA_VERSION, program: PROGRAM.to_owned(), traces, distances }
    }
}

impl TraceAnalysis {
    pub(super) fn new(trace: &Path, source: &Source, settings: &Settings, lengths: &Lengths, reuse: Reuse) -> Self {
        Self {
            trace: trace.display().to_string(),
            layout: source.meta.layout,
            layout_from: source.layout_from.name().to_owned(),
            trace_block_size: settings.id_tokens,
            trace_block_size_from: source.block_size_from.name().to_owned(),
            block_size: settings.block_tokens,
            sessions: lengths.sessions,
            continuations: lengths.continuations,
            linked_continuations: lengths.linked_continuations,
            breaks: lengths.breaks,
            sub_agents: lengths.sub_agents,
            requests: lengths.requests(),
            input_tokens: lengths.input_tokens,
            prompt_tokens: lengths.prompt_tokens,
            output_tokens: lengths.output_tokens,
            end_reasons: lengths.ends.clone(),
            lengths: lengths.summaries(),
            histograms: lengths.histograms(spec_of(&source.meta).as_ref()),
            context_by_turn: lengths.context_by_turn(),
            timeline: TimelineFacts::new(&reuse, &settings.timing),
            reuse: ReuseFigures {
                cached_outputs: settings.cached_outputs,
                linked: reuse.linked,
                standalone: reuse.standalone,
                by_session: reuse.by_session,
                by_layer: reuse.by_layer,
                by_turn: reuse.by_turn,
                capacity_curve: reuse.curve.points(settings.block_tokens, CURVE_STEP),
                ttl: reuse.ttl,
                working_set: reuse.working_set,
                size: reuse.size,
            },
        }
    }
}

/// The specification of a generated trace.
fn spec_of(meta: &TraceMeta) -> Option<DatasetSpec> {
    let Origin { config, overrides, seed, sessions } = meta.origin.as_ref()?;
    DatasetSpec::new(config, *overrides, *seed, *sessions, meta.layout).ok()
}

impl TimelineFacts {
    pub(super) fn new(reuse: &Reuse, timing: &TimelineOptions) -> Self {
        Self {
            clock: reuse.clock,
            concurrency: (reuse.clock == TraceTiming::Closed).then_some(timing.concurrency),
            prefill_tokens_per_second: timing.prefill_tokens_per_second,
            decode_tokens_per_second: timing.decode_tokens_per_second,
            duration_ms: reuse.duration_ms,
            peak_open_sessions: reuse.peak_open_sessions,
        }
    }
}

impl Distance {
    pub(super) fn between(trace: &str, lengths: &Lengths, other: &str, other_lengths: &Lengths) -> Vec<Self> {
        let distance = |(metric, ks): (&'static str, f64)| Self {
            trace: trace.to_owned(),
            other: other.to_owned(),
            metric: metric.to_owned(),
            ks,
        };
        lengths.distances(other_lengths).into_iter().map(distance).collect()
    }
}
