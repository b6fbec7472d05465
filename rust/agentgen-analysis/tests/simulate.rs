//! Compares the simulator with an oracle of single blocks and events, and checks the invariants of every simulation.
#![allow(clippy::unwrap_used)] // clippy's exception for tests does not reach their helpers

#[path = "simulate/golden.rs"]
mod golden;
#[path = "reuse/jobs.rs"]
#[allow(dead_code)] // the reuse oracle uses the rest
mod jobs;
#[path = "simulate/oracle.rs"]
mod oracle;
#[path = "reuse/traces.rs"]
#[allow(dead_code)]
mod traces;

use std::sync::Arc;

use agentgen_analysis::reuse::{self, SharedLayers};
use agentgen_analysis::simulate::{self, Figures, Routing, Served, Settings};
use agentgen_core::config::Overrides;
use agentgen_engine::timeline::TimelineOptions;
use agentgen_testing::files::shared;
use agentgen_testing::{Case, cases};
use agentgen_trace::generate::{Shard, batches};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::session::{self, Session, TraceTiming, ordered};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, FORMAT_VERSION, Layout, Origin, TraceMeta};
use jobs::{Job, jobs, requests};
use oracle::Oracle;
use proptest::prelude::*;
use traces::{Trace, prompts, traces};

/// The sessions of a trace in the order in which they start.
fn sessions(text: &str, layout: Layout, id_tokens: usize) -> (TraceTiming, Vec<Session>) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("trace.jsonl");
    std::fs::write(&path, text).expect("writable");
    let options = ReadOptions { trace_layout: Some(layout), trace_block_size: Some(id_tokens as u32) };
    let source = source::resolve(&[path], options).expect("a trace");
    let rows = source::open(&source, &Column::ALL, 1, &Cancel::default()).expect("readable");
    let conversations = session::sessions(&source.meta, rows);
    let (clock, sessions) = ordered(&source.meta, text.contains("conversation_id"), conversations).expect("readable");
    (clock, sessions.collect::<Result<_, _>>().expect("readable"))
}

/// The sessions of a generated data set in a layout.
fn generated(case: &Case, layout: Layout) -> (TraceTiming, Vec<Session>) {
    let Case { config, seed, sessions } = case.clone();
    let cancel = Cancel::default();
    let origin = Origin { config, overrides: Overrides::default(), seed, sessions };
    let plan = Arc::new(case.spec(layout));
    let block_size = plan.config().block_size;
    let meta =
        TraceMeta { layout, block_size, linked: false, format_version: Some(FORMAT_VERSION), origin: Some(origin) };
    let shard = Arc::new(Shard::new(plan, 0, 1, 1, &cancel).expect("possible"));
    let rows = batches(&shard, &schema(&Column::ALL, &meta), 1, &cancel);
    let (clock, sessions) = ordered(&meta, false, session::sessions(&meta, rows)).expect("readable");
    (clock, sessions.collect::<Result<_, _>>().expect("readable"))
}

/// A simulation, and its requests in the order of their ends.
fn simulated(clock: TraceTiming, sessions: &[Session], settings: &Settings) -> (Figures, Vec<Served>) {
    let mut served = Vec::new();
    let each = |_: &Session, request: &Served| {
        served.push(*request);
        Ok(())
    };
    let sessions = sessions.iter().cloned().map(Ok);
    let figures = simulate::run(clock, sessions, settings, &Cancel::default(), each).expect("readable");
    (figures, served)
}

/// Settings for small traces.
fn systems() -> impl Strategy<Value = Settings> {
    let rates = (prop_oneof![Just(8.0), Just(1_000.0), 1.0..40.0], prop_oneof![Just(4.0), Just(500.0)]);
    let times = prop_oneof![Just(None), Just(Some(0.0)), Just(Some(3_000.0)), (0.0..60_000.0).prop_map(Some)];
    let replicas = (1..4_u32, prop_oneof![Just(Routing::Sticky), Just(Routing::RoundRobin)]);
    let cache = (prop_oneof![1..30_u64, 10..120_u64], prop_oneof![Just(0_u32), Just(1), Just(3), Just(7)]);
    (cache, rates, 1..5_usize, times, replicas, any::<bool>()).prop_map(
        |((capacity_blocks, block_tokens), rates, concurrency, ttl_ms, (replicas, routing), cached_outputs)| Settings {
            capacity_blocks,
            block_tokens,
            id_tokens: 0,
            cached_outputs,
            timeline: TimelineOptions {
                concurrency,
                prefill_tokens_per_second: rates.0,
                decode_tokens_per_second: rates.1,
            },
            layers: SharedLayers::default(),
            replicas,
            routing,
            ttl_ms,
            belady_bound: true,
        },
    )
}

/// The settings for a trace; a block size of 0 stands for that of the trace.
fn system(of: &Settings, id_tokens: usize, shared: Option<traces::Shared>) -> Settings {
    let id_tokens = id_tokens as u32;
    let tokens = |blocks: usize| blocks as u64 * u64::from(id_tokens);
    let layers = shared.map_or_else(SharedLayers::default, |shared| SharedLayers {
        layer1_tokens: tokens(shared.layer1),
        layer1_5_tokens: tokens(shared.layer1_5),
    });
    let block_tokens = if of.block_tokens == 0 { id_tokens } else { of.block_tokens };
    Settings { id_tokens, block_tokens, layers, ..*of }
}

/// Compares a simulation with the oracle, to the last bit.
fn check(text: &str, layout: Layout, jobs: &[Job], settings: &Settings) -> Result<(), TestCaseError> {
    let (clock, sessions) = sessions(text, layout, settings.id_tokens as usize);
    let (figures, served) = simulated(clock, &sessions, settings);
    let mut oracle = Oracle::new(jobs, settings);
    oracle.run(clock == TraceTiming::Closed);
    prop_assert_eq!(&served, &oracle.served);
    prop_assert_eq!(figures.requests.skipped, oracle.skipped);
    prop_assert_eq!(figures.blocks.resident, oracle.resident());
    let described = |layer| figures.blocks_by_layer.iter().find(|of| of.layer == layer);
    for (layer, counts) in &oracle.counts {
        if jobs[0].is_named {
            let of = described(*layer).expect("a layer with blocks");
            prop_assert_eq!(&[of.added, of.refetched, of.evicted, of.expired], counts, "{:?}", layer);
        }
    }
    let sum = |what: usize| oracle.counts.values().map(|counts| counts[what]).sum::<u64>();
    let blocks = figures.blocks;
    prop_assert_eq!([blocks.added, blocks.refetched, blocks.evicted, blocks.expired], [0, 1, 2, 3].map(sum));
    check_figures(&figures, &served, settings)?;
    let bound = figures.belady_bound.expect("requested").hit_blocks;
    prop_assert_eq!(bound, oracle.bound());
    prop_assert!(figures.hit_blocks <= bound, "{} above the bound {}", figures.hit_blocks, bound);
    Ok(())
}

/// Checks the invariants of every simulation, and the figures that follow from its requests.
fn check_figures(figures: &Figures, served: &[Served], settings: &Settings) -> Result<(), TestCaseError> {
    let blocks = figures.blocks;
    prop_assert_eq!(blocks.added, blocks.resident + blocks.evicted + blocks.expired);
    prop_assert!(blocks.refetched <= blocks.evicted + blocks.expired);
    let occupancy = figures.occupancy;
    prop_assert!(occupancy.peak_blocks <= occupancy.capacity_blocks);
    prop_assert!(occupancy.peak_running_blocks <= occupancy.peak_blocks);
    let done = || served.iter().filter_map(|request| Some((request, request.service?)));
    prop_assert_eq!(figures.requests.served as usize, done().count());
    prop_assert_eq!(figures.requests.failed as usize, served.len() - done().count());
    let sum = |of: &dyn Fn(&Served, simulate::Service) -> u64| done().map(|(r, s)| of(r, s)).sum::<u64>();
    prop_assert_eq!(figures.prompt_tokens, sum(&|r, _| u64::from(r.context_tokens)));
    prop_assert_eq!(figures.hit_tokens, sum(&|_, s| u64::from(s.hit_tokens)));
    prop_assert_eq!(figures.hit_blocks, sum(&|_, s| u64::from(s.hit_blocks)));
    prop_assert_eq!(figures.output_tokens, sum(&|r, _| u64::from(r.output_tokens)));
    let by_turn = |of: &dyn Fn(&simulate::TurnFigures) -> u64| figures.by_turn.iter().map(of).sum::<u64>();
    if !figures.by_turn.is_empty() {
        prop_assert_eq!(by_turn(&|turn| turn.requests), figures.requests.served);
        prop_assert_eq!(by_turn(&|turn| turn.hit_tokens), figures.hit_tokens);
    }
    check_times(figures, served)?;
    check_series(figures, served)?;
    let needs = |r: &Served| u64::from(r.context_tokens + r.output_tokens).div_ceil(u64::from(settings.block_tokens));
    prop_assert!(served.iter().all(|r| r.service.is_some() == (needs(r) <= settings.capacity_blocks)));
    Ok(())
}

fn check_times(figures: &Figures, served: &[Served]) -> Result<(), TestCaseError> {
    let done = || served.iter().filter_map(|request| Some((request, request.service?)));
    let mean = |of: &dyn Fn(&Served, simulate::Service) -> f64| {
        done().map(|(r, s)| of(r, s)).sum::<f64>() / figures.requests.served as f64
    };
    for (described, expected) in [
        (figures.times.ttft, mean(&|r, s| s.prefill_end_ms - r.sent_ms)),
        (figures.times.queueing, mean(&|r, s| s.admitted_ms - r.sent_ms)),
        (figures.times.latency, mean(&|r, s| s.end_ms - r.sent_ms)),
    ] {
        prop_assert_eq!(described.is_some(), figures.requests.served > 0);
        if let Some(described) = described {
            prop_assert!((described.mean - expected).abs() < 0.051, "{} for {expected}", described.mean);
        }
    }
    Ok(())
}

/// Checks that the parts of the series add up to the figures.
fn check_series(figures: &Figures, served: &[Served]) -> Result<(), TestCaseError> {
    let series = &figures.series;
    prop_assert!(series.len() <= 513);
    let sum = |of: &dyn Fn(&simulate::Point) -> u64| series.iter().map(of).sum::<u64>();
    prop_assert_eq!(sum(&|part| part.requests), figures.requests.served);
    prop_assert_eq!(sum(&|part| part.hit_tokens), figures.hit_tokens);
    prop_assert_eq!(sum(&|part| part.evicted_blocks), figures.blocks.evicted);
    prop_assert_eq!(sum(&|part| part.expired_blocks), figures.blocks.expired);
    prop_assert_eq!(sum(&|part| part.refetched_blocks), figures.blocks.refetched);
    let first = served.iter().map(|request| request.sent_ms).fold(f64::INFINITY, f64::min);
    let last = served.iter().map(|r| r.service.map_or(r.sent_ms, |s| s.end_ms)).fold(first, f64::max);
    prop_assert!((figures.duration_ms - (last - first)).abs() <= 1e-9 * last.abs());
    let running = |service: simulate::Service| service.end_ms - service.admitted_ms;
    let area: f64 = served.iter().filter_map(|request| request.service.map(running)).sum();
    let described = figures.occupancy.mean_running * figures.duration_ms;
    prop_assert!((described - area).abs() <= 1e-6 * area.max(1.0), "{described} for {area}");
    Ok(())
}

/// Checks a trace in a layout, with delays or recorded times.
fn check_sessions(trace: &Trace, layout: Layout, is_recorded: bool, settings: &Settings) -> Result<(), TestCaseError> {
    let (jobs, _) = jobs(trace, layout, is_recorded);
    let mut text = trace.jsonl(layout, false);
    if is_recorded {
        text = text.replace("conversation_id", "session_id");
    }
    let settings = system(settings, trace.id_tokens, Some(trace.shared));
    check(&text, layout, &jobs, &settings)
        .map_err(|error| TestCaseError::fail(format!("{error}\n{settings:?}\n{text}")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn incremental_sessions(trace in traces(false), settings in systems()) {
        check_sessions(&trace, Layout::Incremental, false, &settings)?;
    }

    #[test]
    fn whole_prompts_of_sessions(trace in traces(true), settings in systems()) {
        check_sessions(&trace, Layout::Cumulative, false, &settings)?;
        check_sessions(&trace, Layout::Cumulative, true, &settings)?;
    }

    #[test]
    fn whole_prompts_without_sessions(prompts in prompts(), settings in systems()) {
        let settings = system(&settings, prompts.id_tokens, None);
        check(&prompts.jsonl(), Layout::Cumulative, &requests(&prompts), &settings)?;
    }
}

/// Settings for generated data sets, with a cache larger than they need.
fn ample(case: &Case, concurrency: usize) -> Settings {
    let block = case.config.block_size;
    Settings {
        capacity_blocks: u64::MAX / 4,
        block_tokens: block,
        id_tokens: block,
        cached_outputs: true,
        timeline: TimelineOptions { concurrency, ..TimelineOptions::REFERENCE },
        layers: SharedLayers::of(&case.config),
        replicas: 1,
        routing: Routing::Sticky,
        ttl_ms: None,
        belady_bound: false,
    }
}

/// Blocks that the longest request needs.
fn most_needed(sessions: &[Session], block_tokens: u32) -> u64 {
    let turns = sessions.iter().flat_map(|session| &session.turns);
    turns.map(|t| u64::from(t.context_tokens + t.output_tokens).div_ceil(u64::from(block_tokens))).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// With one session at a time and an unlimited cache, the hit rates are those of `analyze`.
    #[test]
    fn an_unlimited_cache_and_one_session_at_a_time_give_the_hit_rates_of_analyze(case in cases(), share in 1..4_u32) {
        let (clock, sessions) = generated(&case, Layout::Incremental);
        let settings = Settings { block_tokens: (case.config.block_size / share).max(1), ..ample(&case, 1) };
        // Under arrivals, requests may overlap.
        prop_assume!(clock == TraceTiming::Closed);
        let (figures, _) = simulated(clock, &sessions, &settings);
        let reuse_settings = reuse::Settings {
            block_tokens: settings.block_tokens,
            id_tokens: settings.id_tokens,
            cached_outputs: true,
            timing: settings.timeline,
            layers: settings.layers,
        };
        let (_, again) = generated(&case, Layout::Incremental);
        let again = again.into_iter().map(Ok);
        let analysis = reuse::measure(clock, again, &reuse_settings, &Cancel::default(), |_| ()).expect("readable");
        prop_assert_eq!(figures.hit_rates, analysis.linked);
        prop_assert_eq!(&figures.by_layer, &analysis.by_layer);
        prop_assert_eq!(figures.blocks.resident, analysis.size.distinct_blocks);
        prop_assert_eq!((figures.blocks.evicted, figures.blocks.refetched), (0, 0));
        let by_turn = figures.by_turn.iter().map(|t| (t.turn_index, t.requests, t.prompt_tokens, t.hit_tokens));
        let expected = analysis.by_turn.iter().map(|t| (t.turn_index, t.requests, t.prompt_tokens, t.hit_tokens));
        prop_assert_eq!(by_turn.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    /// With one session at a time the order of requests is fixed: a larger LRU cache then holds all that a smaller one does.
    #[test]
    fn one_session_at_a_time_a_larger_cache_finds_no_less(case in cases(), shares in prop::collection::vec(0.0..1.0_f64, 4)) {
        let (clock, sessions) = generated(&case, Layout::Incremental);
        prop_assume!(clock == TraceTiming::Closed);
        let ample = ample(&case, 1);
        let least = most_needed(&sessions, ample.block_tokens);
        let all = simulated(clock, &sessions, &ample).0.blocks.resident;
        let mut capacities: Vec<u64> = shares.iter().map(|share| least + (share * all as f64) as u64).collect();
        capacities.sort_unstable();
        let mut before: Option<Vec<Served>> = None;
        for capacity_blocks in capacities {
            let (figures, served) = simulated(clock, &sessions, &Settings { capacity_blocks, ..ample });
            prop_assert_eq!(figures.requests.failed, 0);
            if let Some(before) = before {
                for (small, large) in before.iter().zip(&served) {
                    prop_assert_eq!((small.session, small.turn), (large.session, large.turn));
                    let hits = |served: &Served| served.service.map(|service| service.hit_blocks);
                    prop_assert!(hits(small) <= hits(large), "{small:?} {large:?}");
                }
            }
            before = Some(served);
        }
    }

    /// Both layouts of a data set give the same figures, and so do two runs.
    #[test]
    fn layouts_do_not_matter(case in cases(), concurrency in 1..9_usize, share in 0.0..1.0_f64, replicas in 1..4_u32) {
        let (clock, incremental) = generated(&case, Layout::Incremental);
        let ample = ample(&case, concurrency);
        let least = most_needed(&incremental, ample.block_tokens);
        let room = incremental.iter().flat_map(|s| &s.turns).map(|t| u64::from(t.input_tokens)).sum::<u64>();
        let capacity_blocks = (share * least as f64) as u64 + 1 + room / u64::from(ample.block_tokens) / 4;
        let settings = Settings { capacity_blocks, replicas, belady_bound: true, ..ample };
        let first = simulated(clock, &incremental, &settings);
        prop_assert_eq!(&simulated(clock, &incremental, &settings), &first);
        let (other, cumulative) = generated(&case, Layout::Cumulative);
        prop_assert_eq!(other, clock);
        prop_assert_eq!(&simulated(clock, &cumulative, &settings), &first);
        check_figures(&first.0, &first.1, &settings)?;
        prop_assert!(first.0.hit_blocks <= first.0.belady_bound.expect("requested").hit_blocks);
    }
}

/// Mooncake's conversation trace: recorded times, hash ids only.
#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn a_recorded_trace() {
    let source =
        source::resolve(&[shared("mooncake/conversation_trace.jsonl")], ReadOptions::default()).expect("a trace");
    let rows = source::open(&source, &Column::ALL, 1, &Cancel::default()).expect("readable");
    let (clock, sessions) = ordered(&source.meta, false, session::sessions(&source.meta, rows)).expect("readable");
    let sessions: Vec<Session> = sessions.collect::<Result<_, _>>().expect("readable");
    let settings = Settings {
        capacity_blocks: 10_000,
        block_tokens: 512,
        id_tokens: 512,
        cached_outputs: true,
        timeline: TimelineOptions { concurrency: 1, prefill_tokens_per_second: 1e9, decode_tokens_per_second: 1e9 },
        layers: SharedLayers::default(),
        replicas: 1,
        routing: Routing::Sticky,
        ttl_ms: None,
        belady_bound: true,
    };
    assert_eq!(clock, TraceTiming::Recorded);
    // At these rates requests hardly overlap, and 10,000 blocks give the hit rate that other simulators report.
    let (figures, served) = simulated(clock, &sessions, &settings);
    check_figures(&figures, &served, &settings).expect("sound");
    assert_eq!((figures.sessions, figures.requests.served), (0, 12_031));
    assert_eq!(format!("{:.1}", 100.0 * figures.hit_rates.block_references), "21.2");
    assert_eq!(format!("{:.1}", 100.0 * figures.belady_bound.expect("requested").block_references), "36.6");
    // At lower rates requests wait, and running requests hold blocks that others would find.
    let slow = TimelineOptions { concurrency: 1, prefill_tokens_per_second: 50_000.0, decode_tokens_per_second: 60.0 };
    let (slower, served) = simulated(clock, &sessions, &Settings { timeline: slow, ..settings });
    check_figures(&slower, &served, &settings).expect("sound");
    assert!(slower.hit_blocks < figures.hit_blocks && slower.occupancy.peak_queued > 1);
}
