//! A second implementation of the id rules, which stores everything; both must agree on random small traces.

use std::collections::{BTreeSet, HashMap, HashSet};

use agentgen_trace::Layout;
use agentgen_trace::row::Row;
use agentgen_trace::source::parse_row;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::super::rules::*;
use super::*;

type Rules = BTreeSet<(&'static str, u64)>;

/// One occurrence of an id.
struct Occurrence {
    line: u64,
    size: u32,
    before: Option<i64>,
}

/// The id rules that a foreign trace breaks, and where.
fn naive(text: &str, layout: Layout) -> Rules {
    let (mut rules, mut matches) = (Rules::new(), HashMap::<i64, Vec<Occurrence>>::new());
    let (mut session, mut has_gaps) = (None, false);
    for (line, text) in (1..).zip(text.lines()) {
        let mut row = Row::default();
        parse_row(text.as_bytes(), &mut row, &mut Vec::new());
        let starts = session.replace(row.session_id.clone()).is_none_or(|s| s.is_empty() || s != row.session_id);
        let n = row.hash_ids.len();
        if row.hash_ids.iter().collect::<HashSet<_>>().len() < n {
            rules.insert((DUPLICATE_ID, line));
            has_gaps = true;
            continue;
        }
        let mut may_be_known = starts;
        for (at, id) in row.hash_ids.iter().enumerate() {
            let is_known = matches.contains_key(id);
            if layout == Layout::Incremental && is_known && !may_be_known {
                rules.insert((ID_REUSED, line));
            }
            may_be_known &= is_known || has_gaps;
            let last = row.input_length - (n as u32 - 1) * BLOCK_SIZE;
            let size = if at + 1 == n { last } else { BLOCK_SIZE };
            let before = at.checked_sub(1).map(|b| row.hash_ids[b]);
            matches.entry(*id).or_default().push(Occurrence { line, size, before });
        }
    }
    for matches in matches.values() {
        let first = &matches[0];
        let other_size = matches.iter().find(|s| s.size != first.size);
        rules.extend(other_size.map(|s| (ID_SIZE, s.line)));
        if layout == Layout::Cumulative {
            rules.extend(matches.iter().find(|s| s.before != first.before).map(|s| (ID_PARENT, s.line)));
        } else if matches.len() > 1 && first.size < BLOCK_SIZE && other_size.is_none() {
            rules.insert((PARTIAL_ID, matches[1].line));
        }
    }
    rules
}

/// Rows of few sessions, with ids from a small range, in order or random.
fn trace(layout: Layout) -> impl Strategy<Value = String> {
    let start = if layout == Layout::Cumulative { 0i64..6 } else { 0..40 };
    let unexpected = prop_oneof![8 => Just(None), 1 => (0usize..5, 0i64..30).prop_map(Some)];
    let one = (0u32..3, 1u32..=5, 1u32..=BLOCK_SIZE, start, unexpected);
    prop::collection::vec(one, 1..14).prop_map(move |rows| {
        let (mut text, mut session) = (String::new(), 0);
        for (index, (switch, blocks, last, first, unexpected)) in rows.into_iter().enumerate() {
            let starts = index == 0 || switch == 0;
            session += u32::from(starts);
            let mut ids: Vec<i64> = (first..first + i64::from(blocks)).collect();
            if let Some((at, id)) = unexpected {
                let at = at % ids.len();
                ids[at] = id;
            }
            // Mostly whole blocks; random lengths would give almost only partial ones.
            let last = if last > 3 { BLOCK_SIZE } else { last };
            let timing = if starts || layout == Layout::Cumulative { r#""timestamp":1"# } else { r#""delay":2.5"# };
            let name = if layout == Layout::Cumulative { String::new() } else { format!("session_id=s{session}") };
            text += &row(&name, (blocks - 1) * BLOCK_SIZE + last, &ids, timing);
        }
        text
    })
}

fn agree(text: &str, layout: Layout) -> Result<(), TestCaseError> {
    let found = validate(&[text], TraceRules::new(&foreign(layout), false).unwrap());
    let found: Rules = found.iter().map(|f| (f.rule, f.line)).collect();
    prop_assert_eq!(found, naive(text, layout), "{}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn incremental(text in trace(Layout::Incremental)) {
        agree(&text, Layout::Incremental)?;
    }

    #[test]
    fn cumulative(text in trace(Layout::Cumulative)) {
        agree(&text, Layout::Cumulative)?;
    }
}

#[test]
fn random_traces_break_every_rule_and_some_none() {
    let mut runner = TestRunner::deterministic();
    for (layout, rules) in [
        (Layout::Incremental, &[DUPLICATE_ID, ID_REUSED, ID_SIZE, PARTIAL_ID][..]),
        (Layout::Cumulative, &[DUPLICATE_ID, ID_PARENT, ID_SIZE]),
    ] {
        let traces = trace(layout);
        let broken: Vec<Rules> = std::iter::repeat_with(|| traces.new_tree(&mut runner).unwrap().current())
            .take(300)
            .map(|text| naive(&text, layout))
            .collect();
        for rule in rules {
            assert!(broken.iter().flatten().any(|(broken, _)| broken == rule), "never {rule}");
        }
        assert!(broken.iter().any(Rules::is_empty), "never sound");
    }
}
