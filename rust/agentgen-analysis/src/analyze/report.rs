//! What `agentgen analyze` says, as data.

use std::collections::BTreeMap;
use std::path::Path;

use agentgen_core::{DatasetSpec, Layout};
use agentgen_engine::timeline::TimelineOptions;
use agentgen_trace::meta::{Origin, PROGRAM, TraceMeta};
use agentgen_trace::source::Source;
use schemars::JsonSchema;
use serde::Serialize;

use super::lengths::Lengths;
use crate::bins::Histogram;
use crate::histogram::{Observed, Times};
use crate::reuse::{
    CurvePoint, HitRates, LayerRate, Reuse, SessionRates, Settings, Size, TtlPoint, TurnRate, WorkingSetPoint,
};
use agentgen_trace::session::Clock;

/// Version of the JSON form of [`Analysis`].
const SCHEMA_VERSION: u32 = 2;
/// Neighbouring points of the capacity curve are this far apart.
const CURVE_STEP: f64 = 0.001;

/// Analyses of traces, side by side.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Analysis {
    /// Version of this form.
    pub schema_version: u32,
    /// What made it.
    pub program: String,
    /// In the order asked for.
    pub traces: Vec<TraceAnalysis>,
    /// From the first trace to each of the others.
    pub distances: Vec<Distance>,
}

/// One trace.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TraceAnalysis {
    /// The path, as it was given.
    pub trace: String,
    /// What its hash ids cover.
    #[schemars(with = "String")]
    pub layout: Layout,
    /// How the layout is known.
    pub layout_from: String,
    /// Tokens a hash id of the trace.
    pub trace_block_size: u32,
    /// How that is known.
    pub trace_block_size_from: String,
    /// Tokens a block of the cache.
    pub block_size: u32,
    /// Sessions, continuations included; 0 where the trace names none.
    pub sessions: u64,
    /// Sessions that continue another.
    pub continuations: u64,
    /// Those of them whose parent is known; the others are read alone in both readings.
    pub linked_continuations: u64,
    /// Requests.
    pub requests: u64,
    /// New tokens of all prompts.
    pub input_tokens: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all outputs.
    pub output_tokens: u64,
    /// Sessions by why they ended, where the trace says so.
    pub end_reasons: BTreeMap<String, u64>,
    /// Distributions.
    pub lengths: LengthSummaries,
    /// The same as histograms, under the same names; of those that the trace has.
    pub histograms: BTreeMap<String, Histogram>,
    /// Prompts by turn index, of the first 256 turns; empty where the trace names no sessions.
    pub context_by_turn: Vec<TurnContext>,
    /// The order of requests that figures across sessions depend on.
    pub timeline: TimelineFacts,
    /// What a prefix cache finds.
    pub reuse: ReuseFigures,
}

/// The prompts of one turn index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TurnContext {
    /// 0-based.
    pub turn_index: u32,
    /// How many there are.
    pub requests: u64,
    /// 10th percentile, tokens; as the other two within 0.05 %.
    pub p10: f64,
    /// Median, tokens.
    pub median: f64,
    /// 90th percentile, tokens.
    pub p90: f64,
}

impl TurnContext {
    pub(super) fn new(turn_index: u32, contexts: &Times) -> Option<Self> {
        let [p10, median, p90] = contexts.quantiles([0.1, 0.5, 0.9])?;
        Some(Self { turn_index, requests: contexts.count(), p10, median, p90 })
    }
}

/// Distributions, under the names of `quality.json`; null where a trace has none. Tokens, but for delays and turns.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LengthSummaries {
    /// First prompts of sessions that continue no other.
    pub initial_context: Option<Observed>,
    /// First prompts of continuations.
    pub initial_context_of_continuations: Option<Observed>,
    /// Prompts.
    pub context: Option<Observed>,
    /// New tokens of the turns after the first.
    pub new_tokens_per_turn: Option<Observed>,
    /// Outputs.
    pub generation_length: Option<Observed>,
    /// Pauses between turns, ms.
    pub inter_turn_delay_ms: Option<Observed>,
    /// Turns of a session.
    pub turns_per_session: Option<Observed>,
}

/// The reference timeline that was used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TimelineFacts {
    /// `closed`: sessions in file order on `concurrency` slots; `arrivals`: at their arrivals; `recorded`: requests at
    /// their own times.
    pub clock: Clock,
    /// Slots; null unless closed.
    pub concurrency: Option<usize>,
    /// New tokens of a prompt computed in a second.
    pub prefill_tokens_per_second: f64,
    /// Output tokens in a second.
    pub decode_tokens_per_second: f64,
    /// From the first request's start to the last one's, ms.
    pub duration_ms: f64,
    /// The most sessions that were open at once; null where the trace names none.
    pub peak_open_sessions: Option<u64>,
}

/// What a prefix cache finds. `docs/reuse.md` has every definition.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReuseFigures {
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Infinite cache; a restart session continues the tokens of its parent.
    pub linked: HitRates,
    /// Infinite cache; a restart session is read without its parent, as by a replayer that does not know parents. Null
    /// without restart sessions.
    pub standalone: Option<HitRates>,
    /// Spread of the sessions' own rates (token-weighted, linked); null where the trace names no sessions.
    pub by_session: Option<SessionRates>,
    /// By part of all prompts (linked); empty where the trace names no sessions.
    pub by_layer: Vec<LayerRate>,
    /// By turn index (linked); empty where the trace names no sessions.
    pub by_turn: Vec<TurnRate>,
    /// The least-recently-used cache of every capacity, on the timeline: share of block references. Points are exact:
    /// each further 0.1 % of the rate, 1, 2, 3 and 5 times each power of ten tokens, and 50, 90 and 99 % of the limit.
    pub capacity_curve: Vec<CurvePoint>,
    /// The infinite cache that forgets blocks some time after their last use: token-weighted.
    pub ttl: Vec<TtlPoint>,
    /// What a cache would have to hold.
    pub working_set: Vec<WorkingSetPoint>,
    /// Distinct blocks, and the extents that hold them.
    pub size: Size,
}

/// How far a distribution of one trace is from another's.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Distance {
    /// The first trace.
    pub trace: String,
    /// The other.
    pub other: String,
    /// Which distribution.
    pub metric: String,
    /// Two-sample Kolmogorov-Smirnov distance: the largest difference of the shares at or below a value, 0 to 1.
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

/// What made a generated trace.
fn spec_of(meta: &TraceMeta) -> Option<DatasetSpec> {
    let Origin { config, overrides, seed, sessions } = meta.origin.as_ref()?;
    DatasetSpec::new(config, *overrides, *seed, *sessions, meta.layout).ok()
}

impl TimelineFacts {
    pub(super) fn new(reuse: &Reuse, timing: &TimelineOptions) -> Self {
        Self {
            clock: reuse.clock,
            concurrency: (reuse.clock == Clock::Closed).then_some(timing.concurrency),
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
