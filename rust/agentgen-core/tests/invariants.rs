//! Invariants of the trace model, on random configurations.

use std::collections::HashMap;
use std::ops::Range;

use agentgen_core::ids::IdRange;
use agentgen_core::{
    ConfigError, Continuation, DatasetSpec, EndReason, Layout, RowIds, Session, SessionGenerator, Turn,
};
use agentgen_testing::cases;
use proptest::prelude::*;

/// A session that owns its turns, and the hash ids of its rows.
#[derive(Debug, Clone)]
struct Made {
    root: u64,
    group: u32,
    turns: Vec<Turn>,
    origin: Vec<Turn>,
    end: EndReason,
    rows: Vec<Vec<u64>>,
}

fn made(spec: &DatasetSpec, session: &Session<'_>) -> Made {
    let mut ids = RowIds::new(spec.ids(), spec.layout(), session);
    let mut ranges = Vec::new();
    let rows = (0..session.turns.len())
        .map(|index| {
            ids.row(session, index, &mut ranges);
            ranges.iter().flat_map(|r: &IdRange| r.first..r.first + r.count).collect()
        })
        .collect();
    Made {
        root: session.root,
        group: session.group,
        turns: session.turns.to_vec(),
        origin: session.origin.to_vec(),
        end: session.end,
        rows,
    }
}

/// Places of the continuations within `slots`, in file order.
fn continuations(spec: &DatasetSpec, slots: &Range<u64>) -> Vec<Continuation> {
    let mut found = spec.continuations(spec.origins_before(slots.end), slots);
    found.sort_unstable();
    found
}

/// Root sessions by index, continuations in file order with their slots.
fn everything(spec: &DatasetSpec) -> (Vec<Made>, Vec<(u64, Made)>) {
    let mut generator = SessionGenerator::new(spec);
    let (mut roots, mut restarted) = (Vec::new(), Vec::new());
    for root in 0..spec.sessions() {
        let each = &mut |session: &Session<'_>| {
            roots.push(made(spec, session));
            Ok::<_, ConfigError>(())
        };
        generator.root_bundle(root, 0, each).expect("truncation is allowed");
    }
    for continuation in continuations(spec, &(0..spec.sessions())) {
        let each = &mut |session: &Session<'_>| {
            restarted.push((continuation.slot, made(spec, session)));
            Ok::<_, ConfigError>(())
        };
        generator.restart_bundle(continuation.root, 0, each).expect("never fails");
    }
    (roots, restarted)
}

fn check_arithmetic(spec: &DatasetSpec, session: &Made) {
    let config = spec.config();
    for pair in session.turns.windows(2) {
        assert_eq!(pair[1].context, pair[0].context + pair[0].output + pair[1].input);
    }
    assert!(session.turns.iter().all(|t| t.context < config.max_prompt_tokens && t.input >= 1 && t.output >= 1));
    assert_eq!(session.turns[0].input, session.turns[0].context);
    assert!(u64::from(session.turns[0].context) > config.prefix_tokens());
}

fn check_ids(spec: &DatasetSpec, session: &Made) {
    let (ids, block_size) = (spec.ids(), u64::from(spec.config().block_size));
    for (turn, row) in session.turns.iter().zip(&session.rows) {
        let covered = if spec.layout() == Layout::Incremental { turn.input } else { turn.context };
        assert_eq!(row.len() as u64, u64::from(covered).div_ceil(block_size));
        for id in row {
            if let Some(root) = ids.root_of(*id) {
                assert_eq!(root, session.root, "id {id} is outside the range of its root session");
            } else {
                assert!(*id < ids.base(0));
            }
        }
    }
    let shared = |row: &[u64]| row.iter().filter(|id| **id < ids.base(0)).count() as u64;
    assert_eq!(shared(&session.rows[0]), ids.prefix_blocks());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn sessions_keep_the_invariants(case in cases(), cumulative in any::<bool>()) {
        let layout = if cumulative { Layout::Cumulative } else { Layout::Incremental };
        let spec = case.spec(layout);
        let (roots, continuations) = everything(&spec);
        for session in roots.iter().chain(continuations.iter().map(|(_, s)| s)) {
            check_arithmetic(&spec, session);
            check_ids(&spec, session);
        }
        // Exactly the split root sessions have a continuation, at the required distance.
        let split: Vec<u64> =
            roots.iter().filter(|s| s.end == EndReason::RestartSplit).map(|s| s.root).collect();
        let mut continued: Vec<u64> = continuations.iter().map(|(_, s)| s.root).collect();
        continued.sort_unstable();
        prop_assert_eq!(split, continued);
        for (slot, session) in &continuations {
            let origin = &roots[session.root as usize];
            prop_assert!(slot - session.root >= (spec.sessions() / 4).max(1) && *slot < spec.sessions());
            prop_assert_eq!(&session.origin, &origin.turns);
            prop_assert_eq!(session.group, origin.group);
            let last = origin.turns[origin.turns.len() - 1];
            prop_assert_eq!(session.turns[0].context, (last.context + last.output).min(spec.config().max_prompt_tokens - 1));
            check_carried(&spec, origin, session);
        }
    }

    #[test]
    fn an_id_has_one_size_and_partial_chunks_never_recur(case in cases()) {
        // Incremental: what an id stands for is (root session, turn, chunk), or a shared chunk, or one fresh
        // chunk of a continuation; sizes never differ, partial chunks never recur.
        let spec = case.spec(Layout::Incremental);
        let block_size = spec.config().block_size;
        let (roots, continuations) = everything(&spec);
        let mut sizes: HashMap<u64, u32> = HashMap::new();
        for session in roots.iter().chain(continuations.iter().map(|(_, s)| s)) {
            for (turn, row) in session.turns.iter().zip(&session.rows) {
                for (index, id) in row.iter().enumerate() {
                    let size = (turn.input - index as u32 * block_size).min(block_size);
                    let before = sizes.insert(*id, size);
                    prop_assert!(before.is_none_or(|b| b == size && size == block_size), "id {} {:?} {}", id, before, size);
                }
            }
        }
    }

    #[test]
    fn cumulative_ids_have_one_parent(case in cases()) {
        let spec = case.spec(Layout::Cumulative);
        let (roots, continuations) = everything(&spec);
        let mut parents: HashMap<u64, Option<u64>> = HashMap::new();
        for session in roots.iter().chain(continuations.iter().map(|(_, s)| s)) {
            for row in &session.rows {
                let mut parent = None;
                for id in row {
                    let before = parents.insert(*id, parent);
                    prop_assert!(before.is_none_or(|b| b == parent), "id {} {:?} {:?}", id, before, parent);
                    parent = Some(*id);
                }
            }
        }
    }

    #[test]
    fn shards_partition_the_sessions(case in cases(), count in 1..70u64) {
        let spec = case.spec(Layout::Incremental);
        let whole = continuations(&spec, &(0..spec.sessions()));
        let mut next = 0;
        let mut joined = Vec::new();
        for index in 0..count {
            let range = spec.shard(index, count);
            prop_assert_eq!(range.start, next);
            next = range.end;
            joined.extend(continuations(&spec, &range));
        }
        prop_assert_eq!(next, spec.sessions());
        prop_assert_eq!(joined, whole);
    }
}

/// The first row of a continuation: the full chunks of the root session in order, then fresh ids.
fn check_carried(spec: &DatasetSpec, origin: &Made, session: &Made) {
    let block_size = spec.config().block_size;
    let row = &session.rows[0];
    if spec.layout() == Layout::Cumulative {
        let kept = (origin.turns[origin.turns.len() - 1].context / block_size) as usize;
        let last = &origin.rows[origin.rows.len() - 1];
        assert_eq!(row[..kept], last[..kept]);
        return;
    }
    let full = |(turn, ids): (&Turn, &Vec<u64>)| ids[..(turn.input / block_size) as usize].to_vec();
    let carried: Vec<u64> = origin.turns.iter().zip(&origin.rows).flat_map(full).collect();
    assert_eq!(row[..carried.len()], carried);
    let used: Vec<u64> = origin.rows.concat();
    assert!(row[carried.len()..].iter().all(|id| !used.contains(id)));
}

#[test]
fn a_larger_data_set_starts_with_the_same_sessions() {
    let mut case = agentgen_testing::modes().swap_remove(0).1;
    let small = everything(&case.spec(Layout::Incremental)).0;
    case.sessions = 150;
    let large = everything(&case.spec(Layout::Incremental)).0;
    assert!(small.iter().zip(&large).all(|(a, b)| a.turns == b.turns && a.rows == b.rows));
}

#[test]
fn restarts_of_one_two_and_three_sessions() {
    let (_, mut case) = agentgen_testing::modes().swap_remove(3);
    for sessions in 1..=3 {
        let mut continued = 0;
        for seed in 0..200 {
            (case.sessions, case.seed) = (sessions, seed);
            continued += everything(&case.spec(Layout::Incremental)).1.len();
        }
        assert_eq!(continued == 0, sessions == 1, "{sessions}: {continued}");
    }
}
