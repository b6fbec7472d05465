//! Everything there is to say about traces: lengths, reuse, and how far two of them are apart.

mod fleet;
mod lengths;
mod plan;
mod report;
pub mod schemas;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_core::Layout;
use agentgen_core::timeline::Timing;
use agentgen_trace::source::{self, ReadOptions, Source};
use agentgen_trace::{Cancel, Result, TraceError};

use crate::conversations::{self, Conversation};
use crate::reuse::{self, Settings, SharedLayers};
use lengths::Lengths;

pub use plan::{Impossible, Plan, PlanOptions, PlanPoint, Replicas, plan};
pub use report::{Analysis, Distance, LengthSummaries, ReuseFigures, TimelineFacts, TraceAnalysis};

/// How to read traces and what to assume of the cache.
#[derive(Debug, Clone)]
pub struct Options {
    /// The traces' layout, if it is to be stated.
    pub layout: Option<Layout>,
    /// The traces' block size, if it is to be stated.
    pub trace_block_size: Option<u32>,
    /// The cache's block size; the trace's own if `None`.
    pub block_size: Option<u32>,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// The timeline's parameters.
    pub timing: Timing,
    /// Threads that parse.
    pub threads: usize,
}

impl Options {
    fn settings(&self, source: &Source) -> Settings {
        Settings {
            block_tokens: self.block_size.unwrap_or(source.meta.block_size),
            id_tokens: source.meta.block_size,
            cached_outputs: self.cached_outputs,
            timing: self.timing,
            layers: SharedLayers::of_trace(&source.meta),
        }
    }

    fn resolve(&self, trace: &PathBuf) -> Result<Source> {
        let stated = ReadOptions { layout: self.layout, block_size: self.trace_block_size };
        source::resolve(std::slice::from_ref(trace), stated).map_err(|error| match error {
            // Here `block_size` is the cache's.
            TraceError::Format(text) => TraceError::Format(text.replace("block_size:", "trace_block_size:")),
            other => other,
        })
    }
}

/// Analyses each of the traces; `done` counts sessions.
pub fn analyze(traces: &[PathBuf], options: &Options, cancel: &Cancel, done: &AtomicU64) -> Result<Analysis> {
    let analyzed: Vec<(TraceAnalysis, Lengths)> =
        traces.iter().map(|trace| one(trace, options, cancel, done)).collect::<Result<_>>()?;
    let mut distances = Vec::new();
    if let Some(((first, lengths), others)) = analyzed.split_first() {
        for (other, other_lengths) in others {
            distances.extend(Distance::between(&first.trace, lengths, &other.trace, other_lengths));
        }
    }
    Ok(Analysis::new(analyzed.into_iter().map(|(trace, _)| trace).collect(), distances))
}

fn one(trace: &PathBuf, options: &Options, cancel: &Cancel, done: &AtomicU64) -> Result<(TraceAnalysis, Lengths)> {
    let source = options.resolve(trace)?;
    let settings = options.settings(&source);
    let mut lengths = Lengths::default();
    let each = |conversation: &Conversation| {
        lengths.add(conversation);
        done.fetch_add(1, Ordering::Relaxed);
    };
    let reuse = conversations::open(&source, options.threads, cancel)
        .and_then(|(clock, sessions)| reuse::measure(clock, sessions, &settings, cancel, each))
        .map_err(|error| located(trace, error))?;
    if lengths.requests() == 0 {
        return Err(TraceError::Format(format!("{}: no requests", trace.display())));
    }
    Ok((TraceAnalysis::new(trace, &source, &settings, &lengths, reuse), lengths))
}

/// Names the trace in an error that does not.
fn located(trace: &std::path::Path, error: TraceError) -> TraceError {
    match error {
        TraceError::Format(text) if !text.contains(&*trace.to_string_lossy()) => {
            TraceError::Format(format!("{}: {text}", trace.display()))
        }
        other => other,
    }
}
