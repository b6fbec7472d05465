//! Analysis, capacity planning and simulation of traces, as data.

mod fleet;
mod lengths;
mod load;
mod plan;
mod plan_report;
mod report;
mod simulation;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_core::Layout;
use agentgen_engine::timeline::TimelineOptions;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::schema::Column;
use agentgen_trace::source::{self, ReadOptions, Source};
use agentgen_trace::{Cancel, Result, TraceError};
use serde::Serialize;

use crate::explore::{Explored, Explorer};
use crate::reuse::{self, Seen, Settings, SharedLayers};
use agentgen_trace::session::{self, TraceTiming, in_order};
use lengths::Lengths;

pub use lengths::{LengthSummaries, TurnContext};
pub use load::{Load, Metric, Statistic, Target};
pub use plan::{Impossible, plan};
pub use plan_report::{Plan, PlanOptions, PlanPoint, Replicas};
pub use report::{Analysis, Distance, ReuseFigures, TimelineFacts, TraceAnalysis};
pub use simulation::{Capacity, SimulateOptions, Simulation, SimulationPoint, simulate};

/// How traces are read, and the assumed cache and timeline.
#[derive(Debug, Clone)]
pub struct Options {
    /// Layout of the traces; `None`: from their metadata, or inferred.
    pub trace_layout: Option<Layout>,
    /// Tokens per hash id of the traces; `None`: from their metadata, or inferred.
    pub trace_block_size: Option<u32>,
    /// Tokens per block of the cache; `None`: those of the trace.
    pub block_size: Option<u32>,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Sessions open at once, only for traces without arrivals or request times; `None`: the default of the reference
    /// timeline.
    pub concurrency: Option<usize>,
    /// Prefill speed: new prompt tokens per second.
    pub prefill_tokens_per_second: f64,
    /// Decode speed: output tokens per second.
    pub decode_tokens_per_second: f64,
    /// Threads that parse.
    pub threads: usize,
}

impl Options {
    pub(crate) fn settings(&self, source: &Source) -> Settings {
        Settings {
            block_tokens: self.block_size.unwrap_or(source.meta.block_size),
            id_tokens: source.meta.block_size,
            cached_outputs: self.cached_outputs,
            timing: self.timing(),
            layers: SharedLayers::of_trace(&source.meta),
        }
    }

    fn timing(&self) -> TimelineOptions {
        TimelineOptions {
            concurrency: self.concurrency.unwrap_or(TimelineOptions::REFERENCE.concurrency),
            prefill_tokens_per_second: self.prefill_tokens_per_second,
            decode_tokens_per_second: self.decode_tokens_per_second,
        }
    }

    /// Refuses a concurrency that would have no effect.
    fn check_concurrency(&self, clock: TraceTiming) -> Result<()> {
        match (self.concurrency, clock.decides()) {
            (Some(found), Some(why)) => {
                let expected = format!("none: the trace has {why}");
                Err(TraceError::usage("concurrency", Diagnostic::unnamed(found.to_string(), expected)))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn resolve(&self, trace: &PathBuf) -> Result<Source> {
        let read = ReadOptions { trace_layout: self.trace_layout, trace_block_size: self.trace_block_size };
        source::resolve(std::slice::from_ref(trace), read)
    }
}

/// Analyzes each of the traces. `done` counts sessions.
pub fn analyze(traces: &[PathBuf], options: &Options, cancel: &Cancel, done: &AtomicU64) -> Result<Analysis> {
    let alone = traces.len() == 1;
    let analyzed = traces.iter().map(|trace| one(trace, alone, options, None, cancel, done));
    Ok(side_by_side(analyzed.collect::<Result<_>>()?))
}

/// The data of a trace's pages.
#[derive(Debug, Clone, Serialize)]
pub struct Survey {
    /// As returned by [`analyze`].
    pub analysis: Analysis,
    /// For each trace, whether it has more sessions than were analyzed.
    pub cut: Vec<bool>,
    /// Sessions of the first trace, request by request.
    pub explored: Explored,
}

/// Analyzes the first `sessions` sessions of each trace, and keeps about `turns` requests of the first trace one by
/// one. `done` counts sessions.
pub fn survey(
    traces: &[PathBuf],
    options: &Options,
    sessions: u64,
    turns: usize,
    cancel: &Cancel,
    done: &AtomicU64,
) -> Result<Survey> {
    let mut explorers: Vec<Explorer> = traces.iter().map(|_| Explorer::new(sessions, turns)).collect();
    let alone = traces.len() == 1;
    let analyzed = traces.iter().zip(&mut explorers);
    let analyzed = analyzed.map(|(trace, explorer)| one(trace, alone, options, Some(explorer), cancel, done));
    let analysis = side_by_side(analyzed.collect::<Result<_>>()?);
    let cut = explorers.iter().map(Explorer::was_cut).collect();
    let explored = explorers.into_iter().next().map_or_else(Explored::default, Explorer::finish);
    Ok(Survey { analysis, cut, explored })
}

fn side_by_side(analyzed: Vec<(TraceAnalysis, Lengths)>) -> Analysis {
    let mut distances = Vec::new();
    if let Some(((first, lengths), others)) = analyzed.split_first() {
        for (other, other_lengths) in others {
            distances.extend(Distance::between(&first.trace, lengths, &other.trace, other_lengths));
        }
    }
    Analysis::new(analyzed.into_iter().map(|(trace, _)| trace).collect(), distances)
}

/// Analyzes a trace. `alone`: it is the only trace, so every option must apply to it.
fn one(
    trace: &PathBuf,
    alone: bool,
    options: &Options,
    mut explorer: Option<&mut Explorer>,
    cancel: &Cancel,
    done: &AtomicU64,
) -> Result<(TraceAnalysis, Lengths)> {
    let source = options.resolve(trace)?;
    let settings = options.settings(&source);
    let mut lengths = Lengths::default();
    let sessions = match &explorer {
        None => session::open(&source, options.threads, cancel),
        Some(explorer) => source::open(&source, &Column::ALL, options.threads, cancel)
            .and_then(|batches| in_order(&source, explorer.watched(&source.meta, batches))),
    };
    let each = |seen: Seen<'_>| {
        if seen.turn == 0 {
            lengths.add(seen.conversation);
            done.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(explorer) = &mut explorer {
            explorer.request(settings.layers, seen);
        }
    };
    let reuse = sessions
        .and_then(|(clock, sessions)| {
            if alone {
                options.check_concurrency(clock)?;
            }
            reuse::measure_requests(clock, sessions, &settings, cancel, each)
        })
        .map_err(|error| located(trace, error))?;
    if lengths.requests() == 0 {
        return Err(no_requests(trace));
    }
    Ok((TraceAnalysis::new(trace, &source, &settings, &lengths, reuse), lengths))
}

/// Names the trace in an error that names no file.
pub(crate) fn located(trace: &Path, error: TraceError) -> TraceError {
    let name = trace.to_string_lossy();
    error.in_file(Path::new(name.trim_end_matches(['/', '\\'])))
}

/// The error of a trace without requests.
fn no_requests(trace: &Path) -> TraceError {
    Diagnostic::new("empty", "no requests", "at least one request").in_file(trace).into()
}
