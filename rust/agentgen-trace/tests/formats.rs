//! A run's files hold the rows that were generated: JSONL = Parquet = batches, cumulative = converted incremental.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentgen_testing::{Blind, Case, cases, modes, run_options};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::manifest::Manifest;
use agentgen_trace::run::{JSONL, JSONL_ZSTD, PARQUET, RunOptions};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, Layout, Result, TraceMeta};
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use proptest::prelude::*;

fn write(case: &Case, layout: Layout, directory: &Path, zstd: bool) -> Manifest {
    case.write(layout, &RunOptions { parquet: true, zstd, ..run_options(directory) }, || Blind)
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
    let shard = Arc::new(Shard::new(Arc::new(case.spec(layout)), 0, 1, 1, &Cancel::default()).expect("not cancelled"));
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
