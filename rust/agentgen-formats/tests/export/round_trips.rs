//! What an export holds comes back through an import.

use agentgen_testing::linked::linked_cases;
use agentgen_trace::Layout;
use proptest::prelude::*;

use super::support::{Line, Run, lines};

/// Lines without what a format of independent sessions loses: the calls of each session.
fn sessions(run: &Run) -> Vec<Vec<(u32, u32, u64)>> {
    let mut sessions: Vec<_> = super::support::all_sessions(&run.source())
        .iter()
        .map(|session| {
            let turns = session.turns.iter().enumerate();
            turns
                .map(|(turn, of)| {
                    let delay = of.delay_ms.filter(|_| turn > 0).unwrap_or(0.0);
                    (of.context_tokens, of.output_tokens, (delay * 10.0).round() as u64)
                })
                .collect()
        })
        .collect();
    sessions.sort();
    sessions
}

fn sorted(lines: Vec<Line>) -> Vec<Line> {
    let mut lines = lines;
    lines.sort();
    lines
}

/// Lines without their links.
fn alone(lines: Vec<Line>) -> Vec<Line> {
    sorted(lines.into_iter().map(|line| Line { agent: None, ..line }).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn agentic_mooncake_keeps_times_breaks_and_sub_agents(case in linked_cases()) {
        let run = Run::new(&case, Layout::Incremental);
        prop_assert_eq!(lines(&run.again("agentic_mooncake", "a.jsonl", None)), lines(&run.source()));
    }

    #[test]
    fn weka_keeps_times_breaks_and_sub_agents(case in linked_cases()) {
        let run = Run::new(&case, Layout::Incremental);
        prop_assert_eq!(lines(&run.again("weka", "weka", None)), lines(&run.source()));
    }

    #[test]
    fn mooncake_keeps_sessions_and_their_times(case in linked_cases()) {
        let run = Run::new(&case, Layout::Cumulative);
        let found: Vec<_> = alone(lines(&run.again("mooncake", "m.jsonl", None))).into_iter().map(|line| line.calls).collect();
        prop_assert_eq!(found, sessions(&run));
    }

    #[test]
    fn bailian_keeps_chats(case in linked_cases()) {
        let run = Run::new(&case, Layout::Incremental);
        let without_delays = |lines: Vec<Line>| -> Vec<Vec<(u32, u32)>> {
            let mut calls: Vec<Vec<_>> =
                lines.into_iter().map(|line| line.calls.iter().map(|call| (call.0, call.1)).collect()).collect();
            calls.sort();
            calls
        };
        prop_assert_eq!(without_delays(lines(&run.again("bailian", "b.jsonl", None))), without_delays(lines(&run.source())));
    }

    #[test]
    fn rows_of_added_tokens_keep_lengths_and_times(case in linked_cases()) {
        let run = Run::new(&case, Layout::Incremental);
        run.export("mooncake-delta", "d.jsonl", None);
        // The canonical rows have the same keys.
        let rows = super::support::json_lines(&run.path("d.jsonl"));
        let original = super::support::json_lines(&run.path("run/dataset.jsonl"));
        prop_assert_eq!(rows.len(), original.len());
        for (row, original) in rows.iter().zip(&original) {
            for key in ["session_id", "input_length", "output_length", "timestamp", "delay"] {
                prop_assert_eq!(&row[key], &original[key], "{}", key);
            }
        }
    }
}
