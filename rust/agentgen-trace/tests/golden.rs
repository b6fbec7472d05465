//! The bytes of a seed do not depend on threads, shards or build.
//!
//! `AGENTGEN_BLESS=1 cargo test` rewrites the digests; a changed digest needs a new format version.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use agentgen_core::DatasetSpec;
use agentgen_testing::modes;
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::sink::file::hex;
use agentgen_trace::sink::jsonl;
use agentgen_trace::{Cancel, Layout, TraceMeta};
use sha2::{Digest as _, Sha256};

/// The JSONL of one shard.
fn lines(spec: &Arc<DatasetSpec>, shard: (u64, u64), threads: usize) -> Vec<u8> {
    let layout = spec.layout();
    let meta =
        TraceMeta { layout, block_size: spec.config().block_size, linked: false, format_version: None, origin: None };
    let shard = Shard::new(Arc::clone(spec), shard.0, shard.1, threads, &Cancel::default()).expect("not cancelled");
    let shard = Arc::new(shard);
    let mut out = Vec::new();
    for batch in batches(&shard, &schema(&Column::ALL, &meta), threads, &Cancel::default()) {
        jsonl::write(&batch.expect("generates"), layout, &mut out).expect("writes");
    }
    out
}

fn digest(lines: &[u8]) -> String {
    hex(&Sha256::digest(lines))
}

#[test]
fn digests_are_those_checked_in() {
    let mut found = String::new();
    for (mode, case) in modes() {
        for layout in [Layout::Incremental, Layout::Cumulative] {
            let lines = lines(&Arc::new(case.spec(layout)), (0, 1), 2);
            let rows = lines.split_inclusive(|b| *b == b'\n').count();
            writeln!(found, "{mode} {} {rows} {}", layout.name(), digest(&lines)).expect("memory");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden.txt");
    if std::env::var_os("AGENTGEN_BLESS").is_some() {
        std::fs::write(&path, &found).expect("writable");
    }
    assert_eq!(found, std::fs::read_to_string(&path).expect("checked in"));
}

#[test]
fn threads_and_shards_change_nothing() {
    for (mode, mut case) in modes() {
        case.sessions = 150;
        for layout in [Layout::Incremental, Layout::Cumulative] {
            let spec = Arc::new(case.spec(layout));
            let whole = lines(&spec, (0, 1), 1);
            for count in [2, 7, 64] {
                let joined: Vec<u8> = (0..count).flat_map(|index| lines(&spec, (index, count), 2)).collect();
                assert!(joined == whole, "{mode}: {count} shards");
            }
        }
    }
}

#[test]
fn threads_that_share_the_work_change_nothing() {
    let (_, mut case) = modes().swap_remove(3);
    case.sessions = 9_000;
    let spec = Arc::new(case.spec(Layout::Incremental));
    assert!(spec.chunk_sessions() * 2 < case.sessions, "several chunks");
    let whole = digest(&lines(&spec, (0, 1), 1));
    for threads in [2, 7] {
        assert_eq!(digest(&lines(&spec, (0, 1), threads)), whole, "{threads} threads");
    }
}
