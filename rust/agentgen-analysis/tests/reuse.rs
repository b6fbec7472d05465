//! Compares the reuse of whole traces with a cache of single blocks and with the closed forms of the trace model.
#![allow(clippy::unwrap_used)] // clippy's exception for tests does not reach their helpers

#[path = "reuse/jobs.rs"]
mod jobs;
#[path = "reuse/oracle.rs"]
mod oracle;
#[path = "reuse/traces.rs"]
mod traces;

use std::collections::HashMap;
use std::sync::Arc;

use agentgen_analysis::reuse::{self, Reuse, Settings, SharedLayers, Size};
use agentgen_core::config::Overrides;
use agentgen_core::{ConfigError, DatasetSpec, Session, SessionGenerator};
use agentgen_engine::timeline::TimelineOptions;
use agentgen_formats::convert::sort;
use agentgen_testing::linked::linked_cases;
use agentgen_testing::{Case, cases};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::session::{TraceTiming, ordered, sessions};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, FORMAT_VERSION, Layout, Origin, Result, TraceMeta};
use arrow_array::RecordBatch;
use jobs::{jobs, requests};
use oracle::{Oracle, View};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use traces::{Prompts, Shared, Trace, prompts, traces};

fn measured(
    meta: &TraceMeta,
    adds_delays: bool,
    rows: impl Iterator<Item = Result<RecordBatch>> + std::marker::Send,
    settings: &Settings,
) -> Reuse {
    // Whole prompts have times of sessions only if `conversation_id` names the sessions.
    let (clock, sessions) = ordered(meta, adds_delays, sessions(meta, rows)).expect("readable");
    reuse::measure(clock, sessions, settings, &Cancel::default(), |_| ()).expect("readable")
}

/// The figures of a file with these rows.
fn read(text: &str, layout: Layout, timing: &TimelineOptions, view: View) -> Reuse {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("trace.jsonl");
    std::fs::write(&path, text).expect("writable");
    let options = ReadOptions { trace_layout: Some(layout), trace_block_size: Some(view.id_tokens as u32) };
    let source = source::resolve(&[path], options).expect("a trace");
    let rows = source::open(&source, &Column::ALL, 1, &Cancel::default()).expect("readable");
    measured(&source.meta, text.contains("conversation_id"), rows, &settings(view, timing))
}

fn settings(view: View, timing: &TimelineOptions) -> Settings {
    let tokens = |blocks: usize| (blocks * view.id_tokens) as u64;
    let shared = view.shared.unwrap_or(Shared { layer1: 0, layer1_5: 0 });
    Settings {
        block_tokens: view.block as u32,
        id_tokens: view.id_tokens as u32,
        cached_outputs: view.cached_outputs,
        timing: *timing,
        layers: SharedLayers { layer1_tokens: tokens(shared.layer1), layer1_5_tokens: tokens(shared.layer1_5) },
    }
}

/// Block sizes below, at and above the trace's own, and whether outputs stay.
fn views(id_tokens: usize, shared: Option<Shared>) -> impl Iterator<Item = View> {
    let sizes = [1, 2, 3, id_tokens, 7, 16].into_iter().zip([true, true, false, true, true, true]);
    sizes.map(move |(block, cached_outputs)| View { block, id_tokens, cached_outputs, shared })
}

/// `is_recorded`: rows of whole prompts with the key `session_id` have the times of a server.
fn check_sessions(
    trace: &Trace,
    layout: Layout,
    is_sorted: bool,
    is_recorded: bool,
) -> std::result::Result<(), TestCaseError> {
    let (jobs, clock) = jobs(trace, layout, is_recorded);
    let slots = (clock == TraceTiming::Closed).then_some(trace.timing.concurrency);
    let mut text = trace.jsonl(layout, is_sorted);
    if is_recorded {
        text = text.replace("conversation_id", "session_id");
    }
    for view in views(trace.id_tokens, Some(trace.shared)) {
        let reuse = read(&text, layout, &trace.timing, view);
        prop_assert_eq!(reuse.clock, clock);
        let oracle = Oracle::new(&jobs, slots, &trace.timing, view);
        oracle.check(&reuse).map_err(|error| TestCaseError::fail(format!("{error}\n{view:?}\n{text}")))?;
    }
    Ok(())
}

fn check_prompts(prompts: &Prompts) -> std::result::Result<(), TestCaseError> {
    let (jobs, text) = (requests(prompts), prompts.jsonl());
    for view in views(prompts.id_tokens, None) {
        let reuse = read(&text, Layout::Cumulative, &prompts.timing, view);
        prop_assert_eq!(reuse.clock, TraceTiming::Recorded);
        let oracle = Oracle::new(&jobs, None, &prompts.timing, view);
        oracle.check(&reuse).map_err(|error| TestCaseError::fail(format!("{error}\n{view:?}\n{text}")))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_sessions(trace in traces(false)) {
        check_sessions(&trace, Layout::Incremental, false, false)?;
    }

    #[test]
    fn whole_prompts_of_sessions(trace in traces(true)) {
        check_sessions(&trace, Layout::Cumulative, false, false)?;
        // A parent is known if it comes first.
        let arrival = |session: usize| trace.sessions[session].arrival_tenths;
        let is_known = |s: &traces::Session| s.parent.is_none_or(|parent| arrival(parent) <= s.arrival_tenths);
        if trace.sessions.iter().all(is_known) {
            check_sessions(&trace, Layout::Cumulative, true, false)?;
        }
        check_sessions(&trace, Layout::Cumulative, false, true)?;
    }

    #[test]
    fn whole_prompts_without_sessions(prompts in prompts()) {
        check_prompts(&prompts)?;
    }
}

/// More requests than fit between two renumberings.
#[test]
fn a_long_trace() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut long = Prompts { id_tokens: 4, rows: Vec::new(), timing: TimelineOptions::REFERENCE };
    while long.rows.len() < 2_500 {
        let more = prompts().new_tree(&mut runner).expect("a trace").current();
        // Each part has its own ids, except every third, which recurs.
        let part = (long.rows.len() / 3 % 40) as i64;
        let start = long.rows.last().map_or(0, |row| row.3);
        long.rows.extend(more.rows.into_iter().map(|(ids, _, output, time)| {
            let ids: Vec<i64> = ids.iter().map(|id| id + part * 10_000).collect();
            let tokens = ids.len() * 4 - output % 4;
            (ids, tokens, output, start + time)
        }));
    }
    let (jobs, text) = (requests(&long), long.jsonl());
    for view in views(4, None).filter(|view| view.block == 2 || view.block == 4) {
        let reuse = read(&text, Layout::Cumulative, &long.timing, view);
        Oracle::new(&jobs, None, &long.timing, view).check(&reuse).expect("equal");
    }
}

/// A generated data set in a layout.
fn generated(case: &Case, layout: Layout, block_tokens: u32, is_sorted: bool) -> Reuse {
    let Case { config, seed, sessions } = case.clone();
    let cancel = Cancel::default();
    let origin = Origin { config, overrides: Overrides::default(), seed, sessions };
    let spec = Arc::new(case.spec(layout));
    let meta = TraceMeta {
        linked: spec.is_linked(),
        layout,
        block_size: spec.config().block_size,
        format_version: Some(FORMAT_VERSION),
        origin: Some(origin),
    };
    let shard = Arc::new(Shard::new(Arc::clone(&spec), 0, 1, 1, &cancel).expect("possible"));
    let mut rows: agentgen_formats::convert::Batches =
        Box::new(batches(&shard, &schema(&Column::ALL, &meta), 1, &cancel));
    if is_sorted {
        rows = sort(&meta, rows).expect("sortable");
    }
    let settings = Settings {
        block_tokens,
        id_tokens: meta.block_size,
        cached_outputs: true,
        timing: TimelineOptions::REFERENCE,
        layers: SharedLayers::of(spec.config()),
    };
    measured(&meta, false, rows, &settings)
}

/// All figures but those of the program's own memory.
fn figures(reuse: Reuse) -> Reuse {
    let size = Size { nodes: 0, memory_bytes: 0, ..reuse.size };
    Reuse { size, ..reuse }
}

/// `(context, output)` of a session's turns, and its group.
struct Run {
    group: u32,
    turns: Vec<(u64, u64)>,
    continuation: Vec<(u64, u64)>,
}

fn runs(spec: &DatasetSpec) -> Vec<Run> {
    let mut simulator = SessionGenerator::new(spec);
    let lengths = |turns: &[agentgen_core::Turn]| -> Vec<(u64, u64)> {
        turns.iter().map(|turn| (u64::from(turn.context), u64::from(turn.output))).collect()
    };
    let run = |run| {
        let mut made = Run { group: 0, turns: Vec::new(), continuation: Vec::new() };
        let root = &mut |s: &Session<'_>| {
            (made.group, made.turns) = (s.group, lengths(s.turns));
            Ok::<_, ConfigError>(())
        };
        simulator.root_bundle(run, 0, root).expect("possible");
        let restart = &mut |s: &Session<'_>| {
            made.continuation = lengths(s.turns);
            Ok::<_, ConfigError>(())
        };
        simulator.restart_bundle(run, 0, restart).expect("possible");
        made
    };
    (0..spec.sessions()).map(run).collect()
}

/// Cached tokens by turn index (linked), and in all (standalone), by the closed forms of the trace model.
fn cached_by_closed_form(spec: &DatasetSpec, block: u64) -> (Vec<u64>, u64) {
    let whole = |tokens: u64| tokens / block * block;
    let (layer1, layer1_5) = spec.config().prefix_blocks();
    let size = u64::from(spec.config().block_size);
    let (layer1, prefix) = (whole(layer1 * size), whole((layer1 + layer1_5) * size));
    let (mut by_turn, mut standalone) = (vec![0; 1], 0);
    let mut groups: HashMap<u32, u64> = HashMap::new();
    for run in runs(spec) {
        *groups.entry(run.group).or_default() += 1;
        for turns in [&run.turns, &run.continuation] {
            for (turn, ((context, output), (next, _))) in (1..).zip(turns.iter().zip(turns.iter().skip(1))) {
                let found = whole((context + output - 1).min(next - 1));
                by_turn.resize(by_turn.len().max(turn + 1), 0);
                by_turn[turn] += found;
                standalone += found;
            }
        }
        if let Some((context, _)) = run.continuation.first() {
            by_turn[0] += whole(context - 1);
            standalone += whole((run.turns[0].0 / size * size).min(context - 1));
        }
    }
    // The first session finds nothing, the first of each other group finds L1, all others find L1 and L1.5.
    let shared: u64 = groups.values().map(|sessions| layer1 + (sessions - 1) * prefix).sum::<u64>() - layer1;
    by_turn[0] += shared;
    (by_turn, standalone + shared)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_layouts_of_generated_data_have_the_same_figures(case in cases()) {
        let spec = case.spec(Layout::Incremental);
        let own = spec.config().block_size;
        for block in [16, 64, 512, 1024, own] {
            let incremental = generated(&case, Layout::Incremental, block, false);
            let cumulative = generated(&case, Layout::Cumulative, block, false);
            prop_assert_eq!(figures(incremental.clone()), figures(cumulative), "block size {}", block);
            let (by_turn, standalone) = cached_by_closed_form(&spec, u64::from(block));
            let described: Vec<u64> = incremental.by_turn.iter().map(|turn| turn.hit_tokens).collect();
            prop_assert_eq!(described, by_turn, "block size {}", block);
            let tokens: u64 = incremental.by_turn.iter().map(|turn| turn.prompt_tokens).sum();
            let is_restarted = runs(&spec).iter().any(|run| !run.continuation.is_empty());
            let expected = is_restarted.then(|| standalone as f64 / tokens as f64);
            prop_assert_eq!(incremental.standalone.map(|rates| rates.token_weighted), expected, "block size {}", block);
        }
    }

    #[test]
    fn both_layouts_of_linked_sessions_have_the_same_figures(case in linked_cases()) {
        // Whole prompts say what is shared in whole blocks of the trace.
        let own = case.config.block_size;
        for block in [own, 2 * own] {
            let incremental = generated(&case, Layout::Incremental, block, false);
            let cumulative = generated(&case, Layout::Cumulative, block, false);
            // Whole prompts do not say which tokens a restart's rows alone would repeat after an output in part.
            let linked = |reuse: Reuse| figures(Reuse { standalone: None, ..reuse });
            prop_assert_eq!(linked(incremental), linked(cumulative), "block size {}", block);
        }
    }

    #[test]
    fn rows_in_the_order_of_time_have_the_same_figures(case in cases()) {
        let own = case.spec(Layout::Cumulative).config().block_size;
        for block in [16, own] {
            let by_session = generated(&case, Layout::Cumulative, block, false);
            let by_time = generated(&case, Layout::Cumulative, block, true);
            prop_assert_eq!(figures(by_session), figures(by_time), "block size {}", block);
        }
    }
}
