//! What the benchmarks share.

use std::sync::Arc;

use agentgen_core::config::{self, Config, Overrides};
use agentgen_core::{Layout, Plan};
use agentgen_trace::generate::Shard;
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::{Cancel, TraceMeta};
use arrow_schema::SchemaRef;

/// The seed of every benchmark.
pub const SEED: u64 = 42;

/// A preset, incremental, as one whole shard.
///
/// # Panics
/// When there is no such preset.
#[must_use]
pub fn shard(preset: &str, sessions: u64) -> Arc<Shard> {
    let config = Config::from_json(config::preset(preset).expect("a bundled preset")).expect("presets are valid");
    let plan = Plan::new(&config, Overrides::default(), SEED, sessions, Layout::Incremental);
    let plan = Arc::new(plan.expect("presets can be generated"));
    Arc::new(Shard::new(plan, 0, 1, 1, &Cancel::default()).expect("not cancelled"))
}

/// The canonical table of a plan, all columns.
#[must_use]
pub fn all_columns(plan: &Plan) -> SchemaRef {
    let (layout, block_size) = (plan.layout(), plan.config().block_size);
    schema(&Column::ALL, &TraceMeta { layout, block_size, format_version: None, origin: None })
}
