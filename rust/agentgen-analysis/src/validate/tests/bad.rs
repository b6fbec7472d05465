//! One invalid trace per rule: exactly this rule is found, on its line.

use agentgen_trace::Layout::{Cumulative, Incremental};

use super::super::resolve::MAX_SUSPECTS;
use super::super::rules::*;
use super::*;
use agentgen_trace::diagnostic::Place;

const A: &str = "session_id=a";
const B: &str = "session_id=b";
const T: &str = r#""timestamp":0.0"#;
const D: &str = r#""delay":1.5"#;

/// Asserts that exactly these rules are broken at these lines.
#[track_caller]
fn expect(lines: &[String], meta: &TraceMeta, expected: &[(&str, u64)]) -> Vec<Diagnostic> {
    let found = validate(&[&lines.concat()], TraceRules::new(meta, false).unwrap());
    let rules: Vec<_> = found.iter().map(|f| (f.rule, f.line)).collect();
    assert_eq!(rules, expected, "{found:#?}");
    found
}

fn incremental(lines: &[String], expected: &[(&str, u64)]) -> Vec<Diagnostic> {
    expect(lines, &foreign(Incremental), expected)
}

fn cumulative(lines: &[String], expected: &[(&str, u64)]) -> Vec<Diagnostic> {
    expect(lines, &foreign(Cumulative), expected)
}

/// `T` and more.
fn t(more: &str) -> String {
    format!("{T},{more}")
}

fn d(more: &str) -> String {
    format!("{D},{more}")
}

#[test]
fn good_traces() {
    let split = r#""end_reason":"restart_split""#;
    let restart = r#""group_id":3,"is_restart":true,"parent_session_id":"a""#;
    incremental(
        &[
            row(A, 25, &[0, 1, 2], &t(r#""group_id":3"#)),
            row(A, 20, &[3, 4], &d(split)),
            "\n".into(),
            row(B, 55, &[0, 1, 3, 4, 5, 6], &t(restart)),
            row(B, 1, &[7], D),
            row("", 15, &[0, 8], T),
            row("", 15, &[0, 9], T),
        ],
        &[],
    );
    // Sorted by time, with a reset; the last two prompts are identical, including the tail.
    let (a, b) = ("conversation_id=a", "conversation_id=b");
    cumulative(
        &[
            row(a, 25, &[0, 1, 2], T),
            row(b, 30, &[0, 1, 7], T),
            row(a, 45, &[0, 1, 3, 4, 5], r#""timestamp":3"#),
            row(b, 12, &[0, 8], r#""timestamp":4"#),
            row("", 17, &[0, 9], T),
            row("", 17, &[0, 9], T),
        ],
        &[],
    );
}

#[test]
fn rows_alone() {
    let after = || row(A, 9, &[9], D);
    incremental(&[row(A, 25, &[0, 1], T), after()], &[(ID_COUNT, 1)]);
    incremental(&[row(A, 25, &[0, 1, 2, 3], T), after()], &[(ID_COUNT, 1)]);
    incremental(&[row(A, 25, &[0, 1, 0], T), after()], &[(DUPLICATE_ID, 1)]);
    incremental(&[row(A, 25, &[4, 5, 4], T), after()], &[(DUPLICATE_ID, 1)]);
    incremental(&[row(A, 25, &[4, 5, 6], T), row(A, 5, &[9], &d(r#""end_reason":"bored""#))], &[(END_REASON, 2)]);
    incremental(&["{\n".into(), row(A, 25, &[4, 5, 6], T), after()], &[("json", 1)]);
    incremental(&[row(A, 25, &[4, 5, 6], T), "no\n".into(), after()], &[("json", 2)]);
    // Rows after a lost first row are not a new session.
    incremental(&["no\n".into(), after()], &[("json", 1)]);
    let bool_length = row(A, 25, &[4, 5, 6], T).replace("25", "true");
    incremental(&[bool_length, after()], &[("type", 1)]);
    incremental(&[row(A, 25, &[4, 5, -6], T), after()], &[("range", 1)]);
}

#[test]
fn timing() {
    let first = || row(A, 25, &[0, 1, 2], T);
    let both = d(T);
    for bad in [D, "", &both] {
        incremental(&[row(A, 25, &[0, 1, 2], bad), row(A, 9, &[9], D)], &[(TIMING, 1)]);
    }
    for bad in ["", &both] {
        incremental(&[first(), row(A, 9, &[9], bad)], &[(TIMING, 2)]);
    }
    for bad in [D, "", &both] {
        cumulative(&[row(A, 25, &[0, 1, 2], T), row(A, 25, &[0, 1, 3], bad)], &[(TIMING, 2)]);
        cumulative(&[row("", 25, &[0, 1, 2], T), row("", 25, &[0, 1, 3], bad)], &[(TIMING, 2)]);
    }
    // Absolute times are valid in traces of other programs, and must not decrease.
    incremental(&[first(), row(A, 9, &[9], r#""timestamp":4"#)], &[]);
    let late = || row(A, 9, &[9], r#""timestamp":9"#);
    incremental(&[first(), late(), row(A, 9, &[8], r#""timestamp":8"#)], &[(TIME_ORDER, 3)]);
}

#[test]
fn sessions() {
    let (first, b) = (|| row(A, 25, &[0, 1, 2], T), || row(B, 5, &[7], T));
    let end = d(r#""end_reason":"forced_retire""#);
    incremental(&[first(), b(), row(A, 9, &[9], D)], &[(SESSION_SPLIT, 3)]);
    let found = incremental(&[first(), b(), row(A, 9, &[9], T)], &[(SESSION_DUPLICATE, 3)]);
    assert_eq!(found[0].found, r#"session "a" again, first in line 1"#);
    incremental(&[first(), row(A, 9, &[8], &end), row(A, 9, &[9], D)], &[(END_PLACE, 2)]);
    incremental(&[first(), row(A, 9, &[9], &d(r#""is_restart":true"#))], &[(RESTART_FIELDS, 2)]);
    incremental(&[first(), row(A, 9, &[9], &d(r#""parent_session_id":"b""#))], &[(RESTART_FIELDS, 2)]);
    let grouped = row(A, 25, &[0, 1, 2], &t(r#""group_id":3"#));
    incremental(&[grouped, row(A, 9, &[9], &d(r#""group_id":4"#))], &[(GROUP, 2)]);
    incremental(&[first(), row(A, 9, &[9], &d(r#""group_id":4"#))], &[(GROUP, 2)]);
    let found = validate(&["", &first()], TraceRules::new(&foreign(Incremental), false).unwrap());
    assert_eq!(found.iter().map(|f| (f.rule, f.place())).collect::<Vec<_>>(), [(EMPTY, Place { file: 0, line: 0 })]);
}

#[test]
fn parents() {
    let parent = |end: &str| {
        let end = if end.is_empty() { D.to_owned() } else { d(&format!(r#""end_reason":"{end}""#)) };
        [row(A, 25, &[0, 1, 2], &t(r#""group_id":3"#)), row(A, 20, &[3, 4], &end)]
    };
    let child = |input: u32, group: u32, parent: &str| {
        let ids: Vec<i64> = (10..10 + i64::from(input.div_ceil(BLOCK_SIZE))).collect();
        let rest = format!(r#""group_id":{group},"is_restart":true,"parent_session_id":"{parent}""#);
        [row(B, input, &ids, &t(&rest))]
    };
    let both = |end: &str, child: [String; 1]| [&parent(end)[..], &child].concat();
    let split = "restart_split";
    incremental(&both(split, child(55, 3, "a")), &[]);
    // Without end reasons the parent's last row is where it ended.
    incremental(&both("", child(55, 3, "a")), &[]);
    incremental(&both("", child(56, 3, "a")), &[(PARENT_CONTEXT, 3)]);
    incremental(&both("", child(55, 4, "a")), &[(PARENT_GROUP, 3)]);
    incremental(&both(split, child(56, 3, "a")), &[(PARENT_CONTEXT, 3)]);
    incremental(&both(split, child(55, 4, "a")), &[(PARENT_GROUP, 3)]);
    incremental(&both("forced_retire", child(55, 3, "a")), &[(PARENT_END, 3)]);
    incremental(&both(split, child(55, 3, "c")), &[(PARENT_MISSING, 3)]);
    incremental(&both(split, child(55, 3, "b")), &[(PARENT_MISSING, 3)]);
    // A parent comes first.
    incremental(&[&child(55, 3, "a")[..], &parent(split)].concat(), &[(PARENT_MISSING, 1)]);
    // For a single shard, the parent may be in another one.
    let found = validate(&[&child(55, 3, "c")[0]], TraceRules::new(&foreign(Incremental), true).unwrap());
    assert_eq!(found.iter().map(|f| (f.rule, f.severity)).collect::<Vec<_>>(), [(PARENT_MISSING, Severity::Warning)]);
    // All shards are one data set.
    let (a, b) = (parent(split).concat(), child(56, 3, "a").concat());
    let found = validate(&[&a, &b], TraceRules::new(&foreign(Incremental), false).unwrap());
    let places: Vec<_> = found.iter().map(|f| (f.rule, f.place())).collect();
    assert_eq!(places, [(PARENT_CONTEXT, Place { file: 1, line: 1 })]);
}

#[test]
fn incremental_ids() {
    let first = || row(A, 25, &[0, 1, 2], T);
    // Two sizes.
    let found = incremental(&[first(), row(B, 30, &[0, 1, 2], T)], &[(ID_SIZE, 2)]);
    assert_eq!(found[0].found, "id 2 with 10 tokens, with 5 tokens in line 1");
    incremental(&[first(), row(B, 15, &[0, 1], T)], &[(ID_SIZE, 2)]);
    // The same partial block twice.
    incremental(&[first(), row(B, 25, &[0, 1, 2], T)], &[(PARTIAL_ID, 2)]);
    // Old ids in a later row.
    let found = incremental(&[first(), row(A, 30, &[5, 0, 6], D)], &[(ID_REUSED, 2)]);
    assert_eq!(found[0].found, "id 0, first in line 1");
    let found = incremental(&[first(), row(A, 30, &[0, 1, 6], D)], &[(ID_REUSED, 2)]);
    assert_eq!(found[0].found, "id 0 and 1 more of the row's ids, first in line 1");
    // Old ids after a new one.
    incremental(&[first(), row(B, 30, &[5, 0, 1], T)], &[(ID_REUSED, 2)]);
    incremental(&[first(), row(B, 30, &[0, 5, 1], T)], &[(ID_REUSED, 2)]);
    // In an extended run of ids, the row is the one that has the id.
    incremental(
        &[row(A, 30, &[5, 6, 7], T), row(B, 20, &[3, 4], T), row(B, 10, &[5], D), row(B, 10, &[8], D)],
        &[(ID_REUSED, 3)],
    );
    // A shared prefix that continues with ids of a later row.
    incremental(&[row(A, 20, &[3, 4], T), row(B, 10, &[3], T), row(B, 20, &[4, 5], D)], &[(ID_REUSED, 3)]);
}

#[test]
fn cumulative_ids() {
    let first = || row("", 25, &[0, 1, 2], T);
    let found = cumulative(&[first(), row("", 26, &[0, 1, 2], T)], &[(ID_SIZE, 2)]);
    assert_eq!(found[0].found, "id 2 with 6 tokens, with 5 tokens in line 1");
    cumulative(&[first(), row("", 35, &[0, 1, 2, 3], T)], &[(ID_SIZE, 2)]);
    cumulative(&[first(), row("", 30, &[2, 5, 6], T)], &[(ID_PARENT, 2), (ID_SIZE, 2)]);
    let found = cumulative(&[first(), row("", 30, &[0, 4, 1], T)], &[(ID_PARENT, 2)]);
    assert_eq!(found[0].found, "id 1 after id 4, after id 0 in line 1");
    let found = cumulative(&[first(), row("", 20, &[1, 5], T)], &[(ID_PARENT, 2)]);
    assert_eq!(found[0].found, "id 1 at the start of a prompt, after id 0 in line 1");
    cumulative(&[row("", 20, &[7, 3], T), row("", 20, &[8, 3], T)], &[(ID_PARENT, 2)]);
    // Chained only through a tail.
    cumulative(&[row("", 15, &[7, 3], T), row("", 15, &[8, 3], T)], &[(ID_PARENT, 2)]);
}

#[test]
fn generated_traces() {
    let (meta, whole) = (&generated(Incremental), &generated(Cumulative));
    let (a, b) = (format!("session_id={}", name(0, false)), format!("session_id={}", name(0, true)));
    let (first, end) = (t(r#""group_id":0"#), d(r#""end_reason":"forced_retire""#));
    let good = [row(&a, 25, &[0, 1, 2], &first), row(&a, 10, &[3], &end)];
    expect(&good, meta, &[]);
    expect(&[row(&a, 25, &[0, 1, 2], T), good[1].clone()], meta, &[(GROUP, 1)]);
    expect(&[good[0].clone(), row(&a, 10, &[3], D)], meta, &[(END_PLACE, 2)]);
    expect(
        &[good[0].clone(), row(&a, 10, &[3], r#""timestamp":4,"end_reason":"forced_retire""#)],
        meta,
        &[(TIMING, 2)],
    );
    expect(&[good[0].clone(), row(&a, 70, &[3, 4, 5, 6, 7, 8, 9], &end)], meta, &[(CONTEXT_LIMIT, 2)]);
    // Ids: of another root session, beyond the root session's, L1 at a wrong position, a name that contradicts the seed.
    expect(&[good[0].clone(), row(&a, 10, &[14], &end)], meta, &[(ID_SPACE, 2)]);
    expect(&[row(&a, 35, &[0, 1, 13, 14], &t(r#""group_id":0,"end_reason":"forced_retire""#))], meta, &[(ID_SPACE, 1)]);
    expect(&[row(&a, 25, &[1, 0, 2], &t(r#""group_id":0,"end_reason":"forced_retire""#))], meta, &[(ID_SPACE, 1)]);
    expect(&[row(A, 25, &[0, 1, 2], &t(r#""group_id":0,"end_reason":"forced_retire""#))], meta, &[(ID_SPACE, 1)]);
    // Continuations: both fields, the limited context.
    let split =
        [row(&a, 25, &[0, 1, 2], &first), row(&a, 68, &[3, 4, 5, 6, 7, 8, 9], &d(r#""end_reason":"restart_split""#))];
    let child = |input: u32, rest: &str| {
        let ids = [0, 1, 3, 4, 5, 6, 7, 8, 10, 11];
        let rest = t(&format!(r#""group_id":0,{rest},"end_reason":"forced_retire""#));
        row(&b, input, &ids[..input.div_ceil(BLOCK_SIZE) as usize], &rest)
    };
    let parent = format!(r#""parent_session_id":"{}""#, name(0, false));
    let restart = format!(r#""is_restart":true,{parent}"#);
    // At least one other root session is written before a continuation.
    let other = |key: &str, id: i64| {
        row(&format!("{key}={}", name(1, false)), 25, &[0, 1, id], &t(r#""group_id":0,"end_reason":"forced_retire""#))
    };
    let with = |child: String| [&split[..], &[other("session_id", 14), child]].concat();
    expect(&with(child(99, &restart)), meta, &[]);
    expect(&with(child(91, &restart)), meta, &[(PARENT_CONTEXT, 4)]);
    expect(&with(child(99, &parent)), meta, &[(RESTART_FIELDS, 4)]);
    expect(&with(child(99, r#""is_restart":true"#)), meta, &[(RESTART_FIELDS, 4)]);

    // Whole prompts.
    let (a, b) = (a.replace("session", "conversation"), b.replace("session", "conversation"));
    let first = row(&a, 45, &[0, 1, 2, 3, 10], &t(r#""group_id":0"#));
    let next = |input: u32, ids: &[i64]| row(&a, input, ids, &t(r#""end_reason":"restart_split""#));
    expect(&[first.clone(), next(55, &[0, 1, 2, 3, 4, 11])], whole, &[]);
    expect(&[first.clone(), next(55, &[0, 1, 2, 5, 4, 11])], whole, &[(ID_SPACE, 2), (PROMPT_PREFIX, 2)]);
    expect(&[first.clone(), next(35, &[0, 1, 2, 11])], whole, &[(CONTEXT_GROWTH, 2), (PROMPT_PREFIX, 2)]);
    expect(&[first.clone(), next(45, &[0, 1, 2, 3, 10])], whole, &[(CONTEXT_GROWTH, 2), (PARTIAL_ID, 2)]);
    let resumed =
        |ids: &[i64]| row(&b, 60, ids, &t(&format!(r#""group_id":0,{restart},"end_reason":"forced_retire""#)));
    let middle = || other("conversation_id", 22);
    let both = |ids: &[i64]| [first.clone(), next(55, &[0, 1, 2, 3, 4, 11]), middle(), resumed(ids)];
    expect(&both(&[0, 1, 2, 3, 4, 5]), whole, &[]);
    expect(&both(&[0, 1, 2, 3, 6, 7]), whole, &[(ID_SPACE, 4), (PROMPT_PREFIX, 4)]);
    // Sorted by time, a continuation may begin before its parent's last row.
    let sorted = |input: u32, end: &str| {
        let [first, last, middle, mut child] = both(&[0, 1, 2, 3, 4, 5]);
        child = child.replace("60", &input.to_string());
        [first, middle, child, last.replace("restart_split", end)]
    };
    expect(&sorted(60, "restart_split"), whole, &[]);
    expect(&sorted(59, "restart_split").map(|l| l.replace("4,5]", "4,12]")), whole, &[(PARENT_CONTEXT, 3)]);
    expect(&sorted(60, "forced_retire"), whole, &[(PARENT_END, 3)]);
}

#[test]
fn suspects_beyond_the_limit_are_counted() {
    let count = MAX_SUSPECTS + 100;
    let rows = |input: u32| (0..count as i64).map(|id| row("", input, &[id], T)).collect::<String>();
    let text = rows(5) + &rows(6);
    for (layout, expected) in [(Incremental, count), (Cumulative, MAX_SUSPECTS)] {
        let trace_rules = Arc::new(TraceRules::new(&foreign(layout), false).unwrap());
        let (errors, warnings, list) = findings(&[&text], &trace_rules, 10_000, 2, 3);
        assert_eq!((errors, warnings), (expected, 1));
        let listed: Vec<_> = list.iter().map(|f| (f.rule, f.line)).collect();
        assert_eq!(listed, [(UNRESOLVED, 0), (ID_SIZE, count + 1), (ID_SIZE, count + 2), (ID_SIZE, count + 3)]);
    }
}

#[test]
fn every_rule_is_documented() {
    let page = include_str!("../../../../../docs/validation.md");
    for rule in ALL.into_iter().chain([UNRESOLVED]) {
        assert!(page.contains(&format!("| `{rule}` |")), "docs/validation.md has no row for {rule}");
    }
}
