//! Block ids: shared where prompts share blocks, nowhere else, and dense.

use std::collections::{HashMap, HashSet};

use agentgen_testing::Case;
use agentgen_testing::linked::linked_cases;
use agentgen_trace::Layout;
use proptest::prelude::*;
use serde_json::Value;

use super::oracle::{Prompt, chains, prompts};
use super::support::{Run, ids, json_lines};

/// Whether two lists of lists are the same but for the names of their elements.
fn assert_renamed(found: &[Vec<i64>], expected: &[Vec<i64>]) {
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    assert_eq!(found.len(), expected.len());
    for (row, (a, b)) in found.iter().zip(expected).enumerate() {
        assert_eq!(a.len(), b.len(), "row {row}");
        for (a, b) in a.iter().zip(b) {
            let names = (*there.entry(*a).or_insert(*b), *back.entry(*b).or_insert(*a));
            assert_eq!(names, (*b, *a), "row {row}");
        }
    }
}

fn assert_dense(rows: &[Vec<i64>]) {
    let all: HashSet<i64> = rows.iter().flatten().copied().collect();
    assert_eq!(all.iter().max().map_or(0, |last| last + 1), all.len() as i64);
}

fn plain_cases() -> impl Strategy<Value = Case> {
    agentgen_testing::cases().prop_filter("small prompts", |case| case.config.max_prompt_tokens < 60_000)
}

/// The rows of a trace in time order, by session and turn: exports of whole prompts are sorted by time.
fn by_turn(rows: &[Value]) -> HashMap<(String, usize), Vec<i64>> {
    let mut turns: HashMap<String, usize> = HashMap::new();
    let row = |row: &Value| {
        let name = row["session_id"].as_str().or(row["conversation_id"].as_str()).unwrap().to_owned();
        let turn = turns.entry(name.clone()).or_insert(0);
        *turn += 1;
        ((name, *turn - 1), ids(row))
    };
    rows.iter().map(row).collect()
}

fn check_whole(case: &Case) {
    // The ids that `generate` gives to whole prompts.
    let generated = json_lines(&Run::new(case, Layout::Cumulative).path("run/dataset.jsonl"));
    for layout in [Layout::Incremental, Layout::Cumulative] {
        let run = Run::new(case, layout);
        let found = by_turn(&run.rows("mooncake", None));
        let expected = by_turn(&generated);
        let mut keys: Vec<_> = expected.keys().cloned().collect();
        keys.sort();
        assert_eq!(found.len(), keys.len());
        let rows = |of: &HashMap<_, Vec<i64>>| -> Vec<Vec<i64>> { keys.iter().map(|key| of[key].clone()).collect() };
        assert_renamed(&rows(&found), &rows(&expected));
        assert_dense(&rows(&found));
    }
}

fn check_added(case: &Case) {
    let run = Run::new(case, Layout::Incremental);
    let generated = prefixes(&json_lines(&run.path("run/dataset.jsonl")));
    for format in ["mooncake-delta", "mooncake_trace"] {
        let found: Vec<Vec<i64>> = run.rows(format, None).iter().map(ids).collect();
        assert_renamed(&found, &generated);
        assert_dense(&found);
    }
}

/// The ids of incremental rows, as far as prompts share them: those of first prompts, each with all before it. (A restart
/// repeats chunks of later turns, but not what is before them.)
fn prefixes(rows: &[Value]) -> Vec<Vec<i64>> {
    let (mut chains, mut next) = (HashMap::new(), 0);
    let mut fresh = || {
        next += 1;
        next
    };
    let mut seen = HashSet::new();
    let row = |row: &Value| {
        let is_first = seen.insert(row["session_id"].as_str().unwrap().to_owned());
        let mut before = 0;
        let key = |id: i64| {
            before = if is_first { *chains.entry((before, id)).or_insert_with(&mut fresh) } else { fresh() };
            before
        };
        ids(row).into_iter().map(key).collect()
    };
    rows.iter().map(row).collect()
}

/// Compares ids of blocks of another size with a reading of the rows token by token.
fn check_size(case: &Case, size: u32) {
    let run = Run::new(case, Layout::Incremental);
    let generated = json_lines(&run.path("run/dataset.jsonl"));
    let prompts = prompts(&generated, case.config.block_size);
    let expected = chains(&prompts, size);
    check_first_prompts(&run, &generated, &prompts, size);
    let found = by_turn(&run.rows("mooncake", Some(size)));
    let mut turns: HashMap<&str, usize> = HashMap::new();
    let (mut full, mut names, mut tails) = (Vec::new(), Vec::new(), HashSet::new());
    for ((row, chain), prompt) in generated.iter().zip(&expected).zip(&prompts) {
        let name = row["session_id"].as_str().unwrap();
        let turn = turns.entry(name).or_insert(0);
        let ids = &found[&(name.to_owned(), *turn)];
        *turn += 1;
        assert_eq!(ids.len(), prompt.len().div_ceil(size as usize));
        full.push(ids[..chain.len()].to_vec());
        names.push(chain.iter().map(|key| *key as i64).collect::<Vec<_>>());
        for tail in &ids[chain.len()..] {
            assert!(tails.insert(*tail), "the id of a partial block recurs");
        }
    }
    assert_renamed(&full, &names);
    assert!(full.iter().flatten().all(|id| !tails.contains(id)));
}

/// In rows of added tokens, first prompts share what they have in common; nothing else is shared.
fn check_first_prompts(run: &Run, generated: &[Value], prompts: &[Prompt], size: u32) {
    let mut names = HashSet::new();
    let is_first: Vec<bool> = generated.iter().map(|row| names.insert(row["session_id"].as_str().unwrap())).collect();
    let firsts: Vec<Prompt> =
        prompts.iter().zip(&is_first).filter(|(_, first)| **first).map(|(prompt, _)| prompt.clone()).collect();
    let expected: Vec<Vec<i64>> =
        chains(&firsts, size).iter().map(|chain| chain.iter().map(|key| *key as i64).collect()).collect();
    let rows: Vec<Vec<i64>> = run.rows("mooncake-delta", Some(size)).iter().map(ids).collect();
    assert_dense(&rows);
    let (mut found, mut own) = (Vec::new(), HashSet::new());
    let mut next = expected.iter();
    for (row, is_first) in rows.iter().zip(is_first) {
        let full = if is_first { next.next().unwrap().len() } else { 0 };
        if is_first {
            found.push(row[..full].to_vec());
        }
        assert!(row[full..].iter().all(|id| own.insert(*id)), "an id of one session recurs");
    }
    assert_renamed(&found, &expected);
    assert!(found.iter().flatten().all(|id| !own.contains(id)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn ids_of_linked_sessions_are_those_that_generate_gives(case in linked_cases()) {
        check_whole(&case);
        if case.config.restart_initial_probability == 0.0 {
            // A break after a restart keeps more of its parent's first prompt than its row says.
            check_added(&case);
        }
    }

    #[test]
    fn ids_are_those_that_generate_gives(case in plain_cases()) {
        check_whole(&case);
        check_added(&case);
    }

    #[test]
    fn blocks_of_any_size_are_shared_as_the_tokens_are(case in linked_cases(), size in prop_oneof![Just(1_u32), 2..40_u32]) {
        check_size(&case, size);
    }
}

#[test]
fn smaller_blocks_and_back_keep_all_that_is_shared() {
    let case = agentgen_testing::modes().into_iter().find(|(name, _)| *name == "restarts").unwrap().1;
    let run = Run::new(&Case { sessions: 20, ..case }, Layout::Incremental);
    let small = run.again("mooncake", "small.jsonl", Some(64));
    let back = run.path("back.jsonl");
    super::support::exported(&small, "mooncake", &back, Some(512));
    let direct = run.rows("mooncake", None);
    let rows = |rows: &[Value]| -> Vec<Vec<i64>> { rows.iter().map(ids).collect() };
    assert_renamed(&rows(&json_lines(&back)), &rows(&direct));
}
