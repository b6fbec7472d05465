//! Helpers of the benchmarks.

use std::sync::Arc;

use agentgen_analysis::reuse::{self, Reuse, Settings, SharedLayers};
use agentgen_analysis::simulate::{self, Figures, Routing};
use agentgen_core::config::{self, Config, Overrides};
use agentgen_core::{DatasetSpec, Layout};
use agentgen_engine::timeline::TimelineOptions;
use agentgen_trace::batch::BatchBuilder;
use agentgen_trace::generate::Shard;
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::session::{self, Session, TraceTiming, ordered};
use agentgen_trace::{Cancel, TraceMeta};
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

/// The seed of every benchmark.
pub const SEED: u64 = 42;

/// A preset in incremental layout as one shard.
///
/// # Panics
/// If there is no such preset.
#[must_use]
pub fn shard(preset: &str, sessions: u64) -> Arc<Shard> {
    let config = Config::from_json(config::preset(preset).expect("a bundled preset")).expect("presets are valid");
    let spec = DatasetSpec::new(&config, Overrides::default(), SEED, sessions, Layout::Incremental);
    let spec = Arc::new(spec.expect("presets can be generated"));
    Arc::new(Shard::new(spec, 0, 1, 1, &Cancel::default()).expect("not cancelled"))
}

/// The metadata of the batches of a data set.
#[must_use]
pub fn meta(spec: &DatasetSpec) -> TraceMeta {
    TraceMeta {
        layout: spec.layout(),
        block_size: spec.config().block_size,
        linked: false,
        format_version: None,
        origin: None,
    }
}

/// The schema of the canonical table of a data set, all columns.
#[must_use]
pub fn all_columns(spec: &DatasetSpec) -> SchemaRef {
    schema(&Column::ALL, &meta(spec))
}

/// All batches of a shard.
///
/// # Panics
/// Never: presets can be generated.
#[must_use]
pub fn make(shard: &Arc<Shard>, builder: &mut BatchBuilder) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for chunk in shard.chunks(&Cancel::default()) {
        let keep = &mut |batch| {
            batches.push(batch);
            Ok(())
        };
        shard.make(&chunk, builder, keep).expect("presets can be generated");
    }
    batches
}

/// Measures the reuse of all requests of a shard on the reference timeline.
///
/// # Panics
/// Never: generated rows are valid.
#[must_use]
pub fn measure(spec: &DatasetSpec, batches: &[RecordBatch]) -> Reuse {
    let meta = meta(spec);
    let settings = Settings {
        block_tokens: meta.block_size,
        id_tokens: meta.block_size,
        cached_outputs: true,
        timing: TimelineOptions::REFERENCE,
        layers: SharedLayers::of(spec.config()),
    };
    let sessions = session::sessions(&meta, batches.iter().cloned().map(Ok));
    let (clock, sessions) = ordered(&meta, false, sessions).expect("valid rows");
    reuse::measure(clock, sessions, &settings, &Cancel::default(), |_| ()).expect("valid rows")
}

/// The sessions of a shard, in the order in which they start.
///
/// # Panics
/// Never: generated rows are valid.
#[must_use]
pub fn sessions(spec: &DatasetSpec, batches: &[RecordBatch]) -> (TraceTiming, Vec<Session>) {
    let meta = meta(spec);
    let sessions = session::sessions(&meta, batches.iter().cloned().map(Ok));
    let (clock, sessions) = ordered(&meta, false, sessions).expect("valid rows");
    (clock, sessions.map(|session| session.expect("valid rows")).collect())
}

/// Simulates sessions on one replica with a cache of `capacity_blocks`.
///
/// # Panics
/// Never: nothing cancels it.
#[must_use]
pub fn simulate(spec: &DatasetSpec, clock: TraceTiming, sessions: Vec<Session>, capacity_blocks: u64) -> Figures {
    let block_size = spec.config().block_size;
    let settings = simulate::Settings {
        capacity_blocks,
        block_tokens: block_size,
        id_tokens: block_size,
        cached_outputs: true,
        timeline: TimelineOptions::REFERENCE,
        layers: SharedLayers::of(spec.config()),
        replicas: 1,
        routing: Routing::Sticky,
        ttl_ms: None,
        belady_bound: false,
    };
    let sessions = sessions.into_iter().map(Ok);
    simulate::run(clock, sessions, &settings, &Cancel::default(), |_, _| Ok(())).expect("not cancelled")
}
