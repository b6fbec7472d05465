//! The laws of the trace model, on random configurations.

use std::collections::HashMap;
use std::ops::Range;

use agentgen_core::ids::{Extent, RowIds};
use agentgen_core::{Continuation, EndReason, Layout, Plan, Session, SessionGenerator, Turn};
use agentgen_testing::cases;
use proptest::prelude::*;

/// A session, with its buffers owned.
#[derive(Debug, Clone)]
struct Made {
    run: u64,
    group: u32,
    turns: Vec<Turn>,
    origin: Vec<Turn>,
    end: EndReason,
    rows: Vec<Vec<u64>>,
}

fn made(plan: &Plan, session: &Session<'_>) -> Made {
    let mut ids = RowIds::new(plan.ids(), plan.layout(), session);
    let mut extents = Vec::new();
    let rows = (0..session.turns.len())
        .map(|index| {
            ids.row(session, index, &mut extents);
            extents.iter().flat_map(|e: &Extent| e.first..e.first + e.count).collect()
        })
        .collect();
    Made {
        run: session.run,
        group: session.group,
        turns: session.turns.to_vec(),
        origin: session.origin.to_vec(),
        end: session.end,
        rows,
    }
}

/// The places of continuations within `slots`, in file order.
fn continuations(plan: &Plan, slots: &Range<u64>) -> Vec<Continuation> {
    let mut found = plan.continuations(plan.origins_before(slots.end), slots);
    found.sort_unstable();
    found
}

/// Primaries by run, continuations in file order with their slots.
fn everything(plan: &Plan) -> (Vec<Made>, Vec<(u64, Made)>) {
    let mut simulator = SessionGenerator::new(plan);
    let primaries =
        (0..plan.sessions()).map(|run| made(plan, &simulator.root(run, 0).expect("truncation is allowed"))).collect();
    let continuations = continuations(plan, &(0..plan.sessions()))
        .into_iter()
        .filter_map(|c| simulator.continuation(c.run, 0).map(|s| (c.slot, made(plan, &s))))
        .collect();
    (primaries, continuations)
}

fn check_arithmetic(plan: &Plan, session: &Made) {
    let config = plan.config();
    for pair in session.turns.windows(2) {
        assert_eq!(pair[1].context, pair[0].context + pair[0].output + pair[1].input);
    }
    assert!(session.turns.iter().all(|t| t.context < config.max_prompt_tokens && t.input >= 1 && t.output >= 1));
    assert_eq!(session.turns[0].input, session.turns[0].context);
    assert!(u64::from(session.turns[0].context) > config.prefix_tokens());
}

fn check_ids(plan: &Plan, session: &Made) {
    let (ids, block_size) = (plan.ids(), u64::from(plan.config().block_size));
    for (turn, row) in session.turns.iter().zip(&session.rows) {
        let covered = if plan.layout() == Layout::Incremental { turn.input } else { turn.context };
        assert_eq!(row.len() as u64, u64::from(covered).div_ceil(block_size));
        for id in row {
            if let Some(run) = ids.run_of(*id) {
                assert_eq!(run, session.run, "id {id} outside its run's stride");
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
    fn sessions_keep_the_laws(case in cases(), cumulative in any::<bool>()) {
        let layout = if cumulative { Layout::Cumulative } else { Layout::Incremental };
        let plan = case.plan(layout);
        let (primaries, continuations) = everything(&plan);
        for session in primaries.iter().chain(continuations.iter().map(|(_, s)| s)) {
            check_arithmetic(&plan, session);
            check_ids(&plan, session);
        }
        // Every split primary has its continuation, at a distance, and nobody else has one.
        let split: Vec<u64> =
            primaries.iter().filter(|s| s.end == EndReason::RestartSplit).map(|s| s.run).collect();
        let mut continued: Vec<u64> = continuations.iter().map(|(_, s)| s.run).collect();
        continued.sort_unstable();
        prop_assert_eq!(split, continued);
        for (slot, session) in &continuations {
            let origin = &primaries[session.run as usize];
            prop_assert!(slot - session.run >= (plan.sessions() / 4).max(1) && *slot < plan.sessions());
            prop_assert_eq!(&session.origin, &origin.turns);
            prop_assert_eq!(session.group, origin.group);
            let last = origin.turns[origin.turns.len() - 1];
            prop_assert_eq!(session.turns[0].context, (last.context + last.output).min(plan.config().max_prompt_tokens - 1));
            check_carried(&plan, origin, session);
        }
    }

    #[test]
    fn content_has_one_id_and_an_id_one_content(case in cases()) {
        // Incremental: what an id stands for is (run, turn of the primary, chunk), or a shared chunk, or one fresh
        // chunk of a continuation; sizes never differ, partial chunks never recur.
        let plan = case.plan(Layout::Incremental);
        let block_size = plan.config().block_size;
        let (primaries, continuations) = everything(&plan);
        let mut sizes: HashMap<u64, u32> = HashMap::new();
        for session in primaries.iter().chain(continuations.iter().map(|(_, s)| s)) {
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
        let plan = case.plan(Layout::Cumulative);
        let (primaries, continuations) = everything(&plan);
        let mut parents: HashMap<u64, Option<u64>> = HashMap::new();
        for session in primaries.iter().chain(continuations.iter().map(|(_, s)| s)) {
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
        let plan = case.plan(Layout::Incremental);
        let whole = continuations(&plan, &(0..plan.sessions()));
        let mut next = 0;
        let mut joined = Vec::new();
        for index in 0..count {
            let range = plan.shard(index, count);
            prop_assert_eq!(range.start, next);
            next = range.end;
            joined.extend(continuations(&plan, &range));
        }
        prop_assert_eq!(next, plan.sessions());
        prop_assert_eq!(joined, whole);
    }
}

/// A continuation's first row: the origin's full chunks in their order (a prefix), then fresh ids.
fn check_carried(plan: &Plan, origin: &Made, session: &Made) {
    let block_size = plan.config().block_size;
    let row = &session.rows[0];
    if plan.layout() == Layout::Cumulative {
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
fn growing_a_data_set_keeps_its_first_sessions() {
    let mut case = agentgen_testing::modes().swap_remove(0).1;
    let small = everything(&case.plan(Layout::Incremental)).0;
    case.sessions = 150;
    let large = everything(&case.plan(Layout::Incremental)).0;
    assert!(small.iter().zip(&large).all(|(a, b)| a.turns == b.turns && a.rows == b.rows));
}

#[test]
fn restarts_of_one_two_and_three_sessions() {
    let (_, mut case) = agentgen_testing::modes().swap_remove(3);
    for sessions in 1..=3 {
        let mut continued = 0;
        for seed in 0..200 {
            (case.sessions, case.seed) = (sessions, seed);
            continued += everything(&case.plan(Layout::Incremental)).1.len();
        }
        assert_eq!(continued == 0, sessions == 1, "{sessions}: {continued}");
    }
}
