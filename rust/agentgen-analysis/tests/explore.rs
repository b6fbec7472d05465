//! Figures of single requests add up to those of the whole trace.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use agentgen_analysis::analyze::{Options, Survey, analyze, survey};
use agentgen_analysis::explore::Explored;
use agentgen_analysis::quality::Statistics;
use agentgen_engine::timeline::TimelineOptions;
use agentgen_testing::{Case, cases, run_options};
use agentgen_trace::run::RunOptions;
use agentgen_trace::{Cancel, Layout};
use proptest::prelude::*;

fn options() -> Options {
    Options {
        trace_layout: None,
        trace_block_size: None,
        block_size: None,
        cached_outputs: true,
        concurrency: None,
        prefill_tokens_per_second: TimelineOptions::REFERENCE.prefill_tokens_per_second,
        decode_tokens_per_second: TimelineOptions::REFERENCE.decode_tokens_per_second,
        threads: 2,
    }
}

fn write(case: &Case, layout: Layout, directory: &Path) {
    let options = RunOptions { jsonl: false, parquet: true, ..run_options(directory) };
    case.write(layout, &options, Statistics::default);
}

fn surveyed(directory: &Path, sessions: u64, turns: usize) -> Survey {
    let traces = [directory.to_owned()];
    survey(&traces, &options(), sessions, turns, &Cancel::default(), &AtomicU64::new(0)).expect("readable")
}

/// Tokens and hits by layer, new tokens counted with the history.
fn sums(explored: &Explored) -> [[u64; 5]; 2] {
    let mut sums = [[0; 5]; 2];
    for turn in explored.sessions.iter().flat_map(|session| &session.turns) {
        for (sum, parts) in sums.iter_mut().zip([turn.4, turn.5]) {
            for (part, tokens) in parts.into_iter().enumerate() {
                sum[part.min(4)] += tokens;
            }
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn requests_add_up_to_the_aggregates(
        case in cases(),
        layout in prop_oneof![Just(Layout::Incremental), Just(Layout::Cumulative)],
    ) {
        let directory = tempfile::tempdir().expect("a directory");
        write(&case, layout, directory.path());
        let Survey { analysis, cut, explored } = surveyed(directory.path(), u64::MAX, 1_000_000);
        let whole = analyze(&[directory.path().to_owned()], &options(), &Cancel::default(), &AtomicU64::new(0))
            .expect("readable");
        let json = |described| serde_json::to_string(described).expect("plain data");
        prop_assert_eq!(json(&analysis), json(&whole));
        let trace = &analysis.traces[0];
        prop_assert_eq!((cut, explored.every, explored.sessions.len() as u64), (vec![false], 1, trace.sessions));
        let mut described = [[0; 5]; 2];
        for rate in &trace.reuse.by_layer {
            described[0][rate.layer as usize] = rate.prompt_tokens;
            described[1][rate.layer as usize] = rate.hit_tokens;
        }
        prop_assert_eq!(sums(&explored), described);
        let turns = explored.sessions.iter().flat_map(|session| &session.turns);
        let outputs: u64 = turns.clone().map(|turn| u64::from(turn.3)).sum();
        prop_assert_eq!(outputs, trace.output_tokens);
        prop_assert!(turns.clone().all(|turn| turn.0 <= turn.1 && turn.4.iter().zip(turn.5).all(|(all, hit)| hit <= *all)));
    }

    #[test]
    fn a_sample_keeps_whole_chains_and_is_the_same_in_both_layouts(case in cases(), turns in 1..200_usize) {
        let at = [Layout::Incremental, Layout::Cumulative].map(|layout| {
            let directory = tempfile::tempdir().expect("a directory");
            write(&case, layout, directory.path());
            surveyed(directory.path(), u64::MAX, turns).explored
        });
        let Explored { every, sessions } = &at[0];
        let known: Vec<u64> = sessions.iter().map(|session| session.number).collect();
        prop_assert!(sessions.iter().all(|session| session.parent.is_none_or(|parent| known.contains(&parent))));
        prop_assert!(sessions.iter().all(|session| session.parent.is_some() || session.number.is_multiple_of(*every)));
        let kept: usize = sessions.iter().map(|session| session.turns.len()).sum();
        prop_assert!(kept <= turns || sessions.iter().filter(|session| session.parent.is_none()).count() == 1);
        prop_assert!(kept <= 2 * turns);
        prop_assert_eq!(&at[0], &at[1]);
    }

    #[test]
    fn only_the_first_sessions_are_analyzed(case in cases(), limit in 1..12_u64) {
        let directory = tempfile::tempdir().expect("a directory");
        write(&case, Layout::Incremental, directory.path());
        let all = surveyed(directory.path(), u64::MAX, 1_000_000);
        let Survey { analysis, cut, explored } = surveyed(directory.path(), limit, 1_000_000);
        let sessions = all.analysis.traces[0].sessions;
        prop_assert_eq!((analysis.traces[0].sessions, cut[0]), (sessions.min(limit), sessions > limit));
        for (session, whole) in explored.sessions.iter().zip(&all.explored.sessions) {
            prop_assert_eq!((&session.session_id, session.turns.len()), (&whole.session_id, whole.turns.len()));
        }
    }
}
