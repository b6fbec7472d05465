//! `simulate`: a trace on a modelled serving system, at one or several capacities.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_engine::kv::{CapacityTooSmall, capacity_blocks};
use agentgen_engine::text::counted;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::meta::PROGRAM;
use agentgen_trace::ordered::Ordered;
use agentgen_trace::source::Source;
use agentgen_trace::{Cancel, Result, TraceError};
use schemars::JsonSchema;
use serde::Serialize;

use super::load::{Load, Target, largest};
use super::{Options, located, no_requests};
use crate::simulate::{self, Figures, RequestTable, Routing};
use agentgen_trace::session::{self, TraceTiming};

/// KV memory of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// Bytes; needs the KV bytes per token.
    Bytes(u64),
    /// Blocks, of any model.
    Blocks(u64),
    /// Tokens, rounded down to blocks.
    Tokens(u64),
}

/// Options of [`simulate`].
#[derive(Debug, Clone)]
pub struct SimulateOptions {
    /// KV memory of one replica; one simulation for each.
    pub capacities: Vec<Capacity>,
    /// KV bytes per token; required for capacities in bytes.
    pub kv_bytes_per_token: Option<u64>,
    /// Name of the model, repeated in the result.
    pub model: Option<String>,
    /// Data type of its KV cache, repeated in the result.
    pub kv_dtype: Option<String>,
    /// Replicas, each with a queue, a prefill unit and a cache.
    pub replicas: u32,
    /// Which replica serves a request.
    pub routing: Routing,
    /// Drop blocks idle for longer than this, ms.
    pub ttl_ms: Option<f64>,
    /// Whether to compute the Belady bound.
    pub belady_bound: bool,
    /// Limits for which the largest concurrency is searched; only for a trace without times of its own.
    pub slo: Vec<Target>,
    /// Parquet file to write a row for each request to; needs a single capacity.
    pub requests: Option<PathBuf>,
}

/// The result of a simulation. `docs/simulator.md` defines every figure.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Simulation {
    /// Version of this schema.
    pub schema_version: u32,
    /// Program and version that wrote it.
    pub program: String,
    /// Path of the trace, as given.
    pub trace: String,
    /// Tokens of a hash id of the trace.
    pub trace_block_size: u32,
    /// Tokens of a block of the cache.
    pub block_size: u32,
    /// Whether the KV of outputs stays in the cache.
    pub cached_outputs: bool,
    /// Sessions open at once; null unless the clock is `closed`.
    pub concurrency: Option<usize>,
    /// Prompt tokens that one replica computes per second.
    pub prefill_tokens_per_second: f64,
    /// Output tokens per second of one request.
    pub decode_tokens_per_second: f64,
    /// Replicas, each with a queue, a prefill unit and a cache.
    pub replicas: u32,
    /// Which replica serves a request.
    pub routing: Routing,
    /// Blocks idle for longer than this are dropped, ms; null: never.
    pub ttl_ms: Option<f64>,
    /// Model, if one was given.
    pub model: Option<String>,
    /// Data type of its KV cache, if a model was given.
    pub kv_dtype: Option<String>,
    /// KV bytes per token; null if capacities are in blocks and no model was given.
    pub kv_bytes_per_token: Option<u64>,
    /// Limits for which `largest_concurrency` is searched.
    pub slo: Vec<Target>,
    /// One point for each capacity, in the order given.
    pub points: Vec<SimulationPoint>,
}

/// The figures at one capacity.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SimulationPoint {
    /// KV memory of one replica, bytes; null if the KV bytes per token are unknown.
    pub capacity_bytes: Option<u64>,
    /// Blocks of one replica: as given, or `floor(bytes / (KV bytes per token * block size))`.
    pub capacity_blocks: u64,
    /// Tokens of these blocks.
    pub capacity_tokens: u64,
    /// Whether the prefill units keep up; null without prefill work.
    pub load: Option<Load>,
    /// Sessions at once up to which all limits of `slo` are met: 0 if one is too many; null without `slo`.
    pub largest_concurrency: Option<u64>,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Simulates a trace at each capacity, several at a time. `done` counts sessions, once per capacity.
pub fn simulate(
    trace: &PathBuf,
    options: &Options,
    system: &SimulateOptions,
    cancel: &Cancel,
    done: &Arc<AtomicU64>,
) -> Result<Simulation> {
    let source = Arc::new(options.resolve(trace)?);
    let analysis = options.settings(&source);
    let sizes = system.capacities.iter().map(|capacity| system.size(*capacity, analysis.block_tokens));
    let sizes: Vec<Size> = sizes.collect::<Result<_>>().map_err(|error| located(trace, error))?;
    let at_once = options.threads.clamp(1, sizes.len().max(1));
    let readers = (options.threads / at_once).max(1);
    let runs = Ordered::start(at_once, sizes.len(), cancel, sizes.into_iter(), || {
        let (source, cancel, done) = (Arc::clone(&source), cancel.clone(), Arc::clone(done));
        let options = options.clone();
        let requests = system.requests.clone();
        let slo = system.slo.clone();
        let settings = simulate::Settings {
            capacity_blocks: 0,
            block_tokens: analysis.block_tokens,
            id_tokens: analysis.id_tokens,
            cached_outputs: analysis.cached_outputs,
            timeline: analysis.timing,
            layers: analysis.layers,
            replicas: system.replicas,
            routing: system.routing,
            ttl_ms: system.ttl_ms,
            belady_bound: system.belady_bound,
        };
        move |size: Size| {
            let settings = simulate::Settings { capacity_blocks: size.blocks, ..settings };
            let figures = one(&source, &options, readers, &settings, requests.as_ref(), &cancel, &done)?;
            // Searches need no bound and write no file.
            let with = |concurrency: u64| {
                let mut settings = simulate::Settings { belady_bound: false, ..settings };
                settings.timeline.concurrency = usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX);
                one(&source, &options, readers, &settings, None, &cancel, &done).map(|figures| (figures, settings))
            };
            let largest_concurrency = if slo.is_empty() {
                None
            } else {
                check_searchable(figures.clock)?;
                Some(largest(figures.sessions.max(1), |concurrency| {
                    let (figures, _) = with(concurrency)?;
                    Ok::<_, TraceError>(slo.iter().all(|target| target.is_met(&figures)))
                })?)
            };
            let load = Load::of(&figures, &settings).map(|load| load.settled(with)).transpose()?;
            Ok(SimulationPoint {
                load,
                largest_concurrency,
                capacity_bytes: size.bytes,
                capacity_blocks: settings.capacity_blocks,
                capacity_tokens: settings.capacity_blocks.saturating_mul(settings.block_tokens.into()),
                figures,
            })
        }
    });
    let points: Vec<SimulationPoint> = runs.collect::<Result<_>>().map_err(|error| located(trace, error))?;
    let is_closed = points.iter().any(|point| point.figures.clock == TraceTiming::Closed);
    if points.iter().any(|point| point.figures.requests.served + point.figures.requests.failed == 0) {
        return Err(no_requests(trace));
    }
    Ok(Simulation {
        schema_version: 2,
        program: PROGRAM.to_owned(),
        trace: trace.display().to_string(),
        trace_block_size: analysis.id_tokens,
        block_size: analysis.block_tokens,
        cached_outputs: analysis.cached_outputs,
        concurrency: is_closed.then_some(analysis.timing.concurrency),
        prefill_tokens_per_second: analysis.timing.prefill_tokens_per_second,
        decode_tokens_per_second: analysis.timing.decode_tokens_per_second,
        replicas: system.replicas,
        routing: system.routing,
        ttl_ms: system.ttl_ms,
        model: system.model.clone(),
        kv_dtype: system.kv_dtype.clone(),
        kv_bytes_per_token: system.kv_bytes_per_token,
        slo: system.slo.clone(),
        points,
    })
}

/// A capacity that holds at least a block.
#[derive(Debug, Clone, Copy)]
struct Size {
    blocks: u64,
    bytes: Option<u64>,
}

impl Size {
    fn of_blocks(blocks: u64, kv_bytes_per_token: Option<u64>, block_tokens: u32) -> Size {
        let bytes = kv_bytes_per_token.map(|each| blocks.saturating_mul(each).saturating_mul(block_tokens.into()));
        Size { blocks, bytes }
    }
}

impl SimulateOptions {
    fn size(&self, capacity: Capacity, block_tokens: u32) -> Result<Size> {
        match (capacity, self.kv_bytes_per_token) {
            (Capacity::Blocks(blocks), known) => Ok(Size::of_blocks(blocks, known, block_tokens)),
            (Capacity::Tokens(tokens), known) => match tokens / u64::from(block_tokens) {
                0 => {
                    let found = counted(tokens, "token");
                    let expected = format!("at least {block_tokens}, one block");
                    Err(TraceError::usage("capacity", Diagnostic::unnamed(found, expected)))
                }
                blocks => Ok(Size::of_blocks(blocks, known, block_tokens)),
            },
            (Capacity::Bytes(bytes), Some(each)) => {
                let blocks = capacity_blocks(bytes, each, block_tokens);
                Ok(Size { blocks: blocks.map_err(|less| too_small(&less))?, bytes: Some(bytes) })
            }
            (Capacity::Bytes(_), None) => {
                let diagnostic = Diagnostic::unnamed("bytes", "the KV bytes of a token with them");
                Err(TraceError::usage("capacity", diagnostic))
            }
        }
    }
}

/// Only a closed loop has a concurrency to search.
fn check_searchable(clock: TraceTiming) -> Result<()> {
    match clock.decides() {
        None => Ok(()),
        Some(why) => {
            let expected = format!("a trace without them, whose concurrency can be chosen: this one has {why}");
            Err(TraceError::usage("slo", Diagnostic::unnamed("a trace with times of its own", expected)))
        }
    }
}

/// A capacity that holds no block.
fn too_small(size: &CapacityTooSmall) -> TraceError {
    let CapacityTooSmall { bytes, block_bytes, block_tokens } = size;
    let expected = format!("at least {block_bytes}, one block of {}", counted(u64::from(*block_tokens), "token"));
    TraceError::usage("capacity", Diagnostic::unnamed(counted(*bytes, "byte"), expected))
}

fn one(
    source: &Source,
    options: &Options,
    readers: usize,
    settings: &simulate::Settings,
    requests: Option<&PathBuf>,
    cancel: &Cancel,
    done: &AtomicU64,
) -> Result<Figures> {
    let (clock, sessions) = session::open(source, readers, cancel)?;
    options.check_concurrency(clock)?;
    let sessions = sessions.inspect(|_| {
        done.fetch_add(1, Ordering::Relaxed);
    });
    let mut table = requests.map(|path| RequestTable::create(path)).transpose()?;
    let figures = simulate::run(clock, sessions, settings, cancel, |session, served| match &mut table {
        Some(table) => table.add(session, served),
        None => Ok(()),
    })?;
    table.map(RequestTable::finish).transpose()?;
    Ok(figures)
}
