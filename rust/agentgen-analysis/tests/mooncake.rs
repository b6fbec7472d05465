//! Published hit rates of the Mooncake conversation trace (`docs/reuse.md`): 12,031 requests, cumulative, no sessions.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use agentgen_analysis::reuse::{self, Reuse, Settings, SharedLayers};
use agentgen_engine::timeline::TimelineOptions;
use agentgen_testing::files::shared;
use agentgen_trace::Cancel;
use agentgen_trace::schema::Column;
use agentgen_trace::session::{ordered, sessions};
use agentgen_trace::source::{self, ReadOptions};

fn measured(path: &Path, block_tokens: u32) -> Reuse {
    let cancel = Cancel::default();
    let source =
        source::resolve(&[path.to_owned()], ReadOptions { trace_layout: None, trace_block_size: Some(512) }).unwrap();
    let batches = source::open(&source, &Column::ALL, 2, &cancel).unwrap();
    let settings = Settings {
        block_tokens,
        id_tokens: source.meta.block_size,
        cached_outputs: true,
        timing: TimelineOptions::REFERENCE,
        layers: SharedLayers::default(),
    };
    let (clock, sessions) = ordered(&source.meta, false, sessions(&source.meta, batches)).unwrap();
    reuse::measure(clock, sessions, &settings, &cancel, |_| ()).unwrap()
}

/// A rate in percent with the digits of the published figure.
fn percent(rate: f64, digits: usize) -> String {
    format!("{:.digits$}", 100.0 * rate)
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_published_table() {
    let path = shared("mooncake/conversation_trace.jsonl");
    let reuse = measured(&path, 512);
    let rate = |tokens: u64| reuse.curve.hit_rate(tokens / 512);
    assert_eq!(percent(rate(1_000_000), 1), "5.3");
    assert_eq!(percent(rate(3_000_000), 1), "13.6");
    assert_eq!(percent(rate(10_000_000), 1), "28.5");
    assert_eq!(percent(rate(30_000_000), 1), "35.9");
    assert_eq!(percent(rate(50_000_000), 2), "36.35");
    assert_eq!(percent(reuse.linked.block_references, 1), "36.6");
    assert_eq!(reuse.curve.limit(), reuse.linked.block_references);
    assert_eq!(percent(reuse.linked.token_weighted, 1), "37.4");
    assert_eq!(percent(reuse.linked.full_blocks, 1), "38.2");
    assert_eq!(percent(reuse.linked.request_mean, 1), "40.9");
    assert_eq!(percent(reuse.curve.hit_rate(10_000), 1), "21.2");
    assert_eq!(reuse.linked.session_mean, None);
    assert_eq!(reuse.standalone, None);
}
