//! The rows of random sessions follow the rules of traces with links.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use agentgen_formats::import::{
    Agent, Call, ImportOptions, Imported, NameOptions, Part, Progress, Prompt, RecordedSession, Recording, Rewrite,
    Usage, import, write_recording,
};
use agentgen_trace::Cancel;
use agentgen_trace::schema::Column;
use agentgen_trace::source::{self, ReadOptions};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{Array as _, RecordBatch};
use proptest::prelude::*;

const BLOCK: u32 = 16;

/// A row of the table.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    session: String,
    turn: u32,
    group: Option<u32>,
    input: u32,
    context: u32,
    output: u32,
    delay: Option<f64>,
    time: f64,
    ids: Vec<i64>,
    parent: Option<String>,
    has_end: bool,
    link: Option<String>,
    parent_turn: Option<u32>,
    join_turn: Option<u32>,
    kept: Option<u32>,
    returned: Option<u32>,
    agent: String,
    root: String,
    trigger: Option<String>,
}

/// A session without calls.
fn session(key: &str) -> RecordedSession {
    RecordedSession::new(key.to_owned(), "test", Vec::new())
}

fn options(directory: &Path) -> ImportOptions {
    ImportOptions {
        sources: Vec::new(),
        format: None,
        directory: directory.to_owned(),
        block_size: Some(BLOCK),
        names: NameOptions::default(),
        strict: false,
        threads: 2,
        created: "2026-01-01T00:00:00Z".to_owned(),
    }
}

/// Writes sessions as a run and reads its rows, session by session; none if no call can be used.
fn table(sessions: Vec<RecordedSession>) -> Option<(Imported, Vec<Vec<Found>>)> {
    let run = tempfile::tempdir().unwrap();
    let options = options(run.path());
    let cancel = Cancel::default();
    let imported = match write_recording(Recording { sessions, ..Recording::default() }, &options, &cancel) {
        Ok(imported) => imported,
        Err(error) => {
            assert!(error.to_string().contains("no model calls"), "{error}");
            assert!(run.path().read_dir().unwrap().next().is_none());
            return None;
        }
    };
    let source = source::resolve(&[run.path().to_owned()], ReadOptions::default()).unwrap();
    let batches = source::open(&source, &Column::ALL, 1, &cancel).unwrap();
    let all: Vec<Found> = batches.flat_map(|batch| rows(&batch.unwrap())).collect();
    Some((imported, all.chunk_by(|a, b| a.session == b.session).map(<[Found]>::to_vec).collect()))
}

fn rows(batch: &RecordBatch) -> Vec<Found> {
    let column = |column: Column| column.of(batch).expect("all columns");
    let number = |of: Column, row: usize| {
        let values = column(of).as_primitive::<UInt32Type>();
        values.is_valid(row).then(|| values.value(row))
    };
    let name = |of: Column, row: usize| {
        let values = column(of).as_string_view();
        values.is_valid(row).then(|| values.value(row).to_owned())
    };
    let time = |of: Column, row: usize| {
        let values = column(of).as_primitive::<Float64Type>();
        values.is_valid(row).then(|| values.value(row))
    };
    let row = |row: usize| Found {
        session: name(Column::SessionId, row).expect("named"),
        turn: number(Column::TurnIndex, row).expect("numbered"),
        group: number(Column::GroupId, row),
        input: number(Column::InputLength, row).expect("known"),
        context: number(Column::ContextLength, row).expect("known"),
        output: number(Column::OutputLength, row).expect("known"),
        delay: time(Column::DelayMs, row),
        time: time(Column::TimestampMs, row).expect("on every row"),
        ids: column(Column::HashIds).as_list::<i64>().value(row).as_primitive::<Int64Type>().values().to_vec(),
        parent: name(Column::ParentSessionId, row),
        has_end: column(Column::EndReason).as_dictionary::<Int8Type>().is_valid(row),
        link: name(Column::Link, row),
        parent_turn: number(Column::ParentTurn, row),
        join_turn: number(Column::JoinTurn, row),
        kept: number(Column::KeptLength, row),
        returned: number(Column::ReturnedLength, row),
        agent: name(Column::Agent, row).expect("on every row"),
        root: name(Column::RootSessionId, row).expect("on every row"),
        trigger: name(Column::Trigger, row),
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Checks every rule of sessions and links.
fn check(sessions: &[Vec<Found>]) {
    let places: HashMap<&str, usize> = sessions.iter().enumerate().map(|(at, rows)| (&*rows[0].session, at)).collect();
    assert_eq!(places.len(), sessions.len(), "each name once, its rows together");
    for (at, rows) in sessions.iter().enumerate() {
        let first = &rows[0];
        assert_eq!(first.input, first.context);
        check_turns(rows);
        let Some(link) = first.link.as_deref() else {
            assert!(first.delay.is_none() && first.parent.is_none() && first.root == first.session);
            continue;
        };
        let parent_at = places[first.parent.as_deref().expect("a link has a parent")];
        assert!(parent_at < at);
        let parent = &sessions[parent_at];
        let last = parent.last().expect("rows");
        assert_eq!((first.delay.is_some(), &first.root), (true, &parent[0].root));
        let parent_turn = if link == "break" {
            let kept = first.kept.expect("a break keeps something or nothing");
            assert!(kept.is_multiple_of(BLOCK) && kept < first.context && kept <= last.context, "{first:?}");
            let blocks = (kept / BLOCK) as usize;
            assert_eq!(first.ids[..blocks], last.ids[..blocks]);
            assert!(last.has_end && first.agent == last.agent && first.group == last.group);
            // Its parent's sub-agents come between the two.
            assert!(sessions[parent_at + 1..at].iter().all(|other| other[0].link.as_deref() != Some("break")
                || places[other[0].parent.as_deref().expect("linked")] > parent_at));
            parent.len() as u32 - 1
        } else {
            let turn = first.parent_turn.expect("a sub-agent has a turn that starts it");
            let turns = parent.len() as u32;
            assert!(turn < turns && first.group.is_none());
            assert!(first.join_turn.is_none_or(|join| join > turn && join <= turns));
            assert!(first.join_turn != Some(turns) || last.has_end, "a join after the last session");
            turn
        };
        let after = parent[parent_turn as usize].time + first.delay.expect("a start delay");
        assert!(first.time + 0.01 >= after, "{} after {after}", first.time);
    }
    check_ids(sessions);
}

fn check_turns(rows: &[Found]) {
    for (index, row) in rows.iter().enumerate() {
        assert_eq!((row.turn, row.has_end && index + 1 < rows.len()), (index as u32, false));
        assert!(index == 0 || (row.link == rows[0].link && row.agent == rows[0].agent && row.root == rows[0].root));
    }
    for pair in rows.windows(2) {
        let [before, now] = pair else { unreachable!("two") };
        assert!(now.returned.is_none_or(|returned| returned < before.output));
        assert!(now.input >= 1);
        assert_eq!(now.context, before.context + now.returned.unwrap_or(before.output) + now.input);
        let full = (before.context / BLOCK) as usize;
        assert_eq!(before.ids[..full], now.ids[..full]);
        assert!(now.time + 0.01 >= before.time + now.delay.expect("a later turn"));
    }
}

/// One size and one predecessor for each id; ids without gaps.
fn check_ids(sessions: &[Vec<Found>]) {
    let mut seen: HashMap<i64, (Option<i64>, u32)> = HashMap::new();
    let mut next = 0;
    for row in sessions.iter().flatten() {
        assert_eq!(row.ids.len(), row.context.div_ceil(BLOCK) as usize);
        for (at, id) in row.ids.iter().enumerate() {
            let before = at.checked_sub(1).map(|before| row.ids[before]);
            let size = BLOCK.min(row.context - at as u32 * BLOCK);
            if !seen.contains_key(id) {
                next = next.max(*id + 1);
            }
            assert_eq!(*seen.entry(*id).or_insert((before, size)), (before, size), "id {id}");
        }
        assert_eq!(row.ids.iter().collect::<HashSet<_>>().len(), row.ids.len());
    }
    assert!(next as usize >= seen.len());
}

fn counted(prompt: u64, cached: u64, output: u64, sent: f64, end: f64) -> Call {
    Call {
        usage: Usage {
            prompt_tokens: Some(prompt),
            cached_tokens: Some(cached),
            output_tokens: Some(output),
            ..Usage::default()
        },
        sent_ms: Some(sent),
        end_ms: Some(end),
        ..Call::default()
    }
}

fn of_parts(parts: &[(u128, u64)]) -> Call {
    let parts = parts.iter().map(|(hash, bytes)| Part { hash: *hash, bytes: *bytes }).collect();
    Call {
        prompt: Prompt::Parts(parts),
        usage: Usage { output_tokens: Some(1), ..Usage::default() },
        ..Call::default()
    }
}

#[test]
fn a_turn_waits_for_its_subagent_and_not_for_its_time_again() {
    let main = RecordedSession {
        calls: vec![counted(320, 0, 10, 1_000.0, 2_000.0), counted(400, 320, 10, 9_000.0, 9_500.0)],
        project: Some("p".into()),
        ..session("main")
    };
    let agent = |joined_by| Agent::Sub { kind: None, parent: "main".into(), spawned_by: Some(0), joined_by };
    let sub = |key, joined_by| RecordedSession {
        calls: vec![counted(160, 0, 10, 2_500.0, 3_000.0), counted(200, 160, 10, 3_100.0, 8_000.0)],
        agent: agent(joined_by),
        ..session(key)
    };
    let (imported, found) = table(vec![main, sub("waited", Some(1)), sub("background", None)]).unwrap();
    check(&found);
    let names: Vec<_> = found.iter().map(|rows| &*rows[0].session).collect();
    assert_eq!(names, ["sess-000001", "sess-000001.1", "sess-000001.2"]);
    assert_eq!(
        found[0].iter().map(|row| (row.delay, row.time)).collect::<Vec<_>>(),
        [
            (None, 0.0),
            // The sub-agent begins after 500 ms, its second call after 100 more; then 1,000 ms until the parent goes on.
            (Some(1_000.0), 1_600.0),
        ]
    );
    assert_eq!((found[1][0].delay, found[1][0].time, found[1][1].time), (Some(500.0), 500.0, 600.0));
    assert_eq!((found[1][0].join_turn, found[2][0].join_turn), (Some(1), None));
    assert_eq!((found[0][0].group, found[1][0].group), (Some(0), None));
    assert_eq!((&*found[1][0].agent, found[1][0].trigger.as_deref()), ("subagent", None));
    assert_eq!((imported.summary.subagents.sessions, imported.summary.subagents.joined), (2, 1));
}

#[test]
fn a_prompt_that_does_not_grow_is_a_break() {
    let mut compacted = counted(64_000, 16_000, 10, 3.0, 4.0);
    compacted.rewrite = Some(Rewrite::AutoCompaction);
    let calls = vec![
        counted(100_000, 16_000, 500, 0.0, 1.0),
        // Not all of the output comes back.
        counted(100_101, 100_000, 500, 2.0, 2.5),
        compacted,
        // A drop without a return, and one that keeps most.
        counted(40_000, 16_000, 10, 5.0, 6.0),
        counted(39_999, 39_900, 10, 7.0, 8.0),
        counted(39_000, 3_000, 10, 9.0, 10.0),
    ];
    let (imported, found) = table(vec![RecordedSession { calls, ..session("a") }]).unwrap();
    check(&found);
    assert_eq!((found[0][1].returned, found[0][1].input), (Some(100), 1));
    let kept: Vec<_> = found.iter().map(|rows| rows[0].kept).collect();
    assert_eq!(kept, [None, Some(16_000), Some(16_000), Some(39_888), Some(16_000)]);
    let breaks: Vec<_> = imported.summary.breaks.iter().map(|(kind, n)| (*kind, n.count, n.inferred)).collect();
    assert_eq!(breaks, [("compaction", 2, 1), ("edit", 1, 1), ("rewrite", 1, 1)]);
    assert_eq!(imported.summary.returned.missing_tokens_of_a_session_max, 400);
}

#[test]
fn content_tells_what_prompts_share() {
    let (system, user) = ((1, 400), (2, 400));
    // 4 bytes a token: 100 tokens each.
    let first = vec![of_parts(&[system, user]), of_parts(&[system, user, (3, 40), (4, 400)])];
    let second = vec![of_parts(&[system, (5, 400)]), of_parts(&[system, (6, 400), (5, 400)])];
    let sessions = [("a", first), ("b", second)].map(|(key, calls)| RecordedSession { calls, ..session(key) });
    let (imported, found) = table(sessions.to_vec()).unwrap();
    check(&found);
    assert_eq!(found.iter().flatten().map(|row| row.context).collect::<Vec<_>>(), [200, 310, 200, 300]);
    // 100 tokens are 6 full blocks.
    assert_eq!(found[0][0].ids[..6], found[1][0].ids[..6]);
    assert_ne!(found[0][0].ids[6], found[1][0].ids[6]);
    assert_eq!((found[2][0].link.as_deref(), found[2][0].kept), (Some("break"), Some(96)));
    assert_eq!((imported.summary.prompts_estimated, imported.summary.delays.unknown_delays), (4, 2));
}

#[test]
fn a_file_of_a_folder_that_cannot_be_read_costs_itself_only() {
    let folder = tempfile::tempdir().unwrap();
    let row = r#"{"timestamp":0,"input_length":600,"output_length":5,"hash_ids":[0,1]}"#;
    std::fs::write(folder.path().join("good.jsonl"), format!("{row}\n")).unwrap();
    let bad = folder.path().join("bad.jsonl.gz");
    std::fs::write(&bad, b"\x1f\x8b not compressed").unwrap();
    let run = tempfile::tempdir().unwrap();
    let mut options = options(run.path());
    options.block_size = None;
    options.sources = vec![folder.path().to_owned()];
    let (progress, cancel) = (Progress::default(), Cancel::default());
    let imported = import(&options, &progress, &cancel).unwrap();
    assert_eq!((imported.summary.calls, imported.problems.len()), (1, 0));
    assert_eq!(imported.manifest.unwrap().import.unwrap()["files_of_unknown_format"], 1);
    // A file that is named must be readable.
    options.sources = vec![bad];
    import(&options, &progress, &cancel).unwrap_err();
}

#[test]
fn sources_with_other_clocks_begin_together() {
    let at = |key: &str, sent| RecordedSession { calls: vec![counted(32, 0, 1, sent, sent)], ..session(key) };
    let sessions = vec![at("a", 1_767_000_000_500.0), at("b", 70.0), at("c", 1_767_000_000_000.0), at("d", 50.0)];
    let (imported, found) = table(sessions).unwrap();
    assert_eq!(found.iter().map(|rows| rows[0].time).collect::<Vec<_>>(), [500.0, 20.0, 0.0, 0.0]);
    let about = imported.manifest.unwrap().import.unwrap();
    assert_eq!(about["time_origin_ms"], 1_767_000_000_000.0);
}

#[test]
fn a_resumed_session_begins_with_the_blocks_of_the_other() {
    let resumed =
        RecordedSession { calls: vec![counted(500, 0, 10, 100.0, 110.0)], continues: Some("b".into()), ..session("a") };
    let earlier = RecordedSession { calls: vec![counted(320, 0, 10, 0.0, 10.0)], ..session("b") };
    let (_, found) = table(vec![resumed, earlier]).unwrap();
    check(&found);
    // The earlier one comes first.
    assert_eq!((found[0][0].context, found[1][0].context), (320, 500));
    assert_eq!(found[0][0].ids[..20], found[1][0].ids[..20]);
    assert_eq!(found[1][0].link, None);
}

fn prompt() -> impl Strategy<Value = Prompt> {
    let part = (0..6_u128, 1..200_u64).prop_map(|(hash, bytes)| Part { hash, bytes });
    let parts = proptest::collection::vec(part, 0..6);
    prop_oneof![
        Just(Prompt::Counted),
        Just(Prompt::Counted),
        parts.clone().prop_map(Prompt::Parts),
        parts.prop_map(Prompt::Appended),
        (proptest::option::of("[ab]"), proptest::collection::vec(0..4_u64, 0..5))
            .prop_map(|(scope, ids)| { Prompt::Blocks { scope, block_tokens: BLOCK, ids } }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let tokens = || proptest::option::of(prop_oneof![0..400_u64, Just(u64::MAX)]);
    let usage = (tokens(), tokens(), tokens(), tokens());
    let time = || proptest::option::of(prop_oneof![0.0..10_000.0_f64, Just(f64::NAN), Just(-1.0), Just(1e300)]);
    let rewrite = proptest::option::weighted(
        0.1,
        prop_oneof![Just(Rewrite::AutoCompaction), Just(Rewrite::Clear), Just(Rewrite::Rollback)],
    );
    (prompt(), usage, (time(), time(), time()), rewrite).prop_map(|(prompt, usage, times, rewrite)| Call {
        prompt,
        rewrite,
        usage: Usage {
            prompt_tokens: usage.0,
            cached_tokens: usage.1,
            output_tokens: usage.2,
            reasoning_tokens: usage.3,
            ..Usage::default()
        },
        sent_ms: times.0,
        end_ms: times.1,
        delay_ms: times.2,
        ..Call::default()
    })
}

fn sessions() -> impl Strategy<Value = Vec<RecordedSession>> {
    let links = (proptest::option::of(0..8_usize), proptest::option::of(0..8_usize), proptest::option::of(0..8_usize));
    let one = (proptest::collection::vec(call(), 0..12), links, any::<[bool; 3]>());
    proptest::collection::vec(one, 0..8).prop_map(|sessions| {
        type Links = (Option<usize>, Option<usize>, Option<usize>);
        let build = |(index, (calls, links, flags)): (usize, (Vec<Call>, Links, [bool; 3]))| {
            let ((other, spawned_by, joined_by), [is_sub, continues, has_project]) = (links, flags);
            let agent = match other.filter(|_| is_sub) {
                Some(parent) => Agent::Sub { kind: None, parent: parent.to_string(), spawned_by, joined_by },
                None => Agent::Main,
            };
            RecordedSession {
                calls,
                agent,
                continues: other.filter(|_| continues).map(|other| other.to_string()),
                project: bool::then_some(has_project, "p".to_owned()),
                ..session(&index.to_string())
            }
        };
        sessions.into_iter().enumerate().map(build).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn rows_of_any_sessions_follow_the_rules(recorded in sessions()) {
        if let Some((imported, found)) = table(recorded.clone()) {
            check(&found);
            let rows = found.iter().map(Vec::len).sum::<usize>() as u64;
            prop_assert_eq!((found.len() as u64, rows), (imported.summary.sessions, imported.summary.calls));
            prop_assert_eq!(found, table(recorded).unwrap().1);
        }
    }
}
