//! A run's files hold the rows that were generated: JSONL = Parquet = batches, cumulative = converted incremental.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use agentgen_core::Plan;
use agentgen_core::config::Overrides;
use agentgen_testing::{Case, cases, modes};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::manifest::{self, Manifest};
use agentgen_trace::run::{JSONL, JSONL_ZSTD, Observer, PARQUET, RunFacts, RunOptions, write_run};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, Layout, Origin, Result, TraceMeta};
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use proptest::prelude::*;

/// Sees nothing.
struct Blind;

impl Observer for Blind {
    type Notes = ();
    type InOrder = ();
    fn notes(_: &Plan, _: u64) {}
    fn in_order(_: &TraceMeta) {}
    fn batch(&mut self, _: &RecordBatch, (): &mut ()) -> Result<()> {
        Ok(())
    }
    fn merge(&mut self, _: Self) {}
    fn finish(self, (): (), _: &Plan, _: &RunFacts<'_>) -> Result<Vec<(&'static str, Vec<u8>)>> {
        Ok(Vec::new())
    }
}

fn write(case: &Case, layout: Layout, directory: &Path, zstd: bool) -> Manifest {
    let Case { config, seed, sessions } = case.clone();
    let origin = Origin { config, overrides: Overrides::default(), seed, sessions };
    let options = RunOptions {
        directory: directory.to_owned(),
        jsonl: true,
        parquet: true,
        zstd,
        shard: manifest::Shard { index: 0, count: 1 },
        threads: 2,
        created: "2026-01-01T00:00:00Z".to_owned(),
    };
    let plan = Arc::new(case.plan(layout));
    write_run(&plan, &origin, &options, || Blind, &Cancel::default(), &AtomicU64::new(0)).expect("writes")
}

fn joined(batches: impl Iterator<Item = Result<RecordBatch>>, meta: &TraceMeta) -> RecordBatch {
    let all: Vec<RecordBatch> = batches.map(|b| b.expect("a batch")).collect();
    concat_batches(&schema(&Column::ALL, meta), &all).expect("one schema")
}

fn read(path: PathBuf) -> RecordBatch {
    let source = source::resolve(&[path], ReadOptions::default()).expect("a trace");
    joined(source::open(&source, &Column::ALL, 2, &Cancel::default()).expect("opens"), &source.meta)
}

fn check(case: &Case, layout: Layout, zstd: bool) {
    let directory = tempfile::tempdir().expect("a directory");
    let manifest = write(case, layout, directory.path(), zstd);
    assert!(manifest.is_intact(directory.path()));
    let meta = manifest.meta();
    let shard = Arc::new(Shard::new(Arc::new(case.plan(layout)), 0, 1, 1, &Cancel::default()).expect("not cancelled"));
    let made = joined(batches(&shard, &schema(&Column::ALL, &meta), 1, &Cancel::default()), &meta);
    for name in [if zstd { JSONL_ZSTD } else { JSONL }, PARQUET] {
        let read = read(directory.path().join(name));
        for (column, (a, b)) in Column::ALL.iter().zip(made.columns().iter().zip(read.columns())) {
            assert_eq!(a, b, "{name}: {}", column.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn files_hold_the_rows_that_were_made(case in cases(), cumulative in any::<bool>(), zstd in any::<bool>()) {
        check(&case, if cumulative { Layout::Cumulative } else { Layout::Incremental }, zstd);
    }
}

#[test]
fn every_mode_in_every_format() {
    for (_, case) in modes() {
        for layout in [Layout::Incremental, Layout::Cumulative] {
            check(&case, layout, false);
        }
    }
}
