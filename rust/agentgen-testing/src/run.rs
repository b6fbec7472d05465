//! Run directories of small data sets.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use agentgen_core::config::Overrides;
use agentgen_core::{DatasetSpec, Layout};
use agentgen_trace::manifest::{Manifest, Shard};
use agentgen_trace::observer::{Observer, RunFacts};
use agentgen_trace::run::{RunOptions, write_run};
use agentgen_trace::{Cancel, Origin, Result, TraceMeta};
use arrow_array::RecordBatch;

use crate::Case;

/// Options that write a whole data set as JSONL with two threads.
#[must_use]
pub fn run_options(directory: &Path) -> RunOptions {
    RunOptions {
        directory: directory.to_owned(),
        jsonl: true,
        parquet: false,
        zstd: false,
        shard: Shard { index: 0, count: 1 },
        threads: 2,
        created: "2026-01-01T00:00:00Z".to_owned(),
    }
}

impl Case {
    /// Writes this data set into a run directory.
    ///
    /// # Panics
    /// If the directory cannot be written.
    pub fn write<O: Observer>(&self, layout: Layout, options: &RunOptions, observer: impl Fn() -> O) -> Manifest {
        let Self { config, seed, sessions } = self.clone();
        let origin = Origin { config, overrides: Overrides::default(), seed, sessions };
        let spec = Arc::new(self.spec(layout));
        write_run(&spec, &origin, options, observer, &Cancel::default(), &AtomicU64::new(0)).expect("writes")
    }
}

/// An observer that ignores every row.
#[derive(Debug)]
pub struct Blind;

impl Observer for Blind {
    type Notes = ();
    type InOrder = ();
    fn notes(_: &DatasetSpec, _: u64) {}
    fn in_order(_: &TraceMeta) {}
    fn batch(&mut self, _: &RecordBatch, (): &mut ()) -> Result<()> {
        Ok(())
    }
    fn merge(&mut self, _: Self) {}
    fn finish(self, (): (), _: &DatasetSpec, _: &RunFacts<'_>) -> Result<Vec<(&'static str, Vec<u8>)>> {
        Ok(Vec::new())
    }
}
