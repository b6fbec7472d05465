//! Tests: the two readers of a line agree, and every fault of a row is reported under its rule.

use proptest::prelude::*;

use super::json_full::parse_full;
use super::json_row::{parse_fast, parse_row};
use crate::diagnostic::Diagnostic;
use crate::row::{Row, SessionKey};

const GOOD: &str = concat!(
    r#"{"session_id":"sess-1","input_length":700,"output_length":3,"hash_ids":[0,9007199254740991],"#,
    r#""timestamp":4444.7,"group_id":2,"is_restart":true,"parent_session_id":"sess-0","end_reason":"forced_retire"}"#
);

fn parsed(line: &[u8]) -> (Row, Vec<Diagnostic>) {
    let (mut row, mut diagnostics) = (Row::default(), Vec::new());
    parse_row(line, &mut row, &mut diagnostics);
    (row, diagnostics)
}

/// The full reader alone.
fn parsed_full(line: &[u8]) -> (Row, Vec<Diagnostic>) {
    let (mut row, mut diagnostics) = (Row::default(), Vec::new());
    parse_full(line, &mut row, &mut diagnostics);
    (row, diagnostics)
}

fn rules(line: &str) -> Vec<&'static str> {
    parsed(line.as_bytes()).1.iter().map(|f| f.rule).collect()
}

/// A row with the required fields and `field: value`.
fn row_with(field: &str, value: &str) -> String {
    let fields = [("input_length", "5"), ("output_length", "1"), ("hash_ids", "[1]")];
    let others = fields.iter().filter(|(name, _)| *name != field).map(|(name, v)| format!(r#","{name}":{v}"#));
    format!(r#"{{"{field}":{value}{}}}"#, others.collect::<String>())
}

#[test]
fn the_fast_path_reads_a_usual_row_completely() {
    let mut row = Row::default();
    assert!(parse_fast(GOOD.as_bytes(), &mut row).is_some());
    let expected = Row {
        session_key: SessionKey::Session,
        session_id: "sess-1".into(),
        input_length: 700,
        output_length: 3,
        hash_ids: vec![0, 9_007_199_254_740_991],
        timestamp: Some(4444.7),
        delay: None,
        group_id: Some(2),
        is_restart: Some(true),
        parent_session_id: Some("sess-0".into()),
        end_reason: Some("forced_retire".into()),
        links: None,
    };
    assert_eq!(row, expected);
    assert_eq!(parsed_full(GOOD.as_bytes()), (expected, vec![]));
}

#[test]
fn buffers_are_cleared_between_rows() {
    let (mut row, mut diagnostics) = (Row::default(), Vec::new());
    parse_row(GOOD.as_bytes(), &mut row, &mut diagnostics);
    parse_row(br#"{"input_length":5,"output_length":1,"hash_ids":[7]}"#, &mut row, &mut diagnostics);
    let expected = Row { input_length: 5, output_length: 1, hash_ids: vec![7], ..Row::default() };
    assert_eq!((row, diagnostics), (expected, vec![]));
}

#[test]
fn legal_rows_may_be_written_in_any_way() {
    for (field, value) in [
        ("session_id", r#""tab\t \u00e9 é""#),
        ("conversation_id", r#""c""#),
        ("timestamp", "1e3"),
        ("timestamp", "1700000000000.1234"),
        ("delay", "0.30000000000000004"),
        ("delay", "12"),
        ("group_id", "4294967295"),
        ("is_restart", "false"),
        ("text", r#"{"deep":[[[null]]],"n":1e999}"#),
        ("input_length", "2147483647"),
        ("output_length", "0"),
        ("hash_ids", "[ ]"),
        ("input_length", "655.0"),
        ("output_length", "5.00"),
        ("hash_ids", "[1.0, 2]"),
        ("group_id", "1.0"),
    ] {
        assert_eq!(rules(&row_with(field, value)), [""; 0], "{field} {value}");
    }
    assert_eq!(rules(" { \"input_length\" : 5 ,\t\"output_length\": 1, \"hash_ids\" : [ 1 , 2 ] } \r"), [""; 0]);
    assert_eq!(rules(r#"{"input\u005flength":5,"output_length":1,"hash_ids":[1]}"#), [""; 0]);
}

#[test]
fn every_fault_names_its_rule() {
    for (field, value, rule) in [
        ("input_length", "0", "range"),
        ("input_length", "-1", "range"),
        ("input_length", "2147483648", "range"),
        ("input_length", "99999999999999999999999", "range"),
        ("input_length", "5.5", "type"),
        ("input_length", "0.0", "range"),
        ("input_length", "5e0", "type"),
        ("input_length", "true", "type"),
        ("input_length", "null", "type"),
        ("input_length", r#""5""#, "type"),
        ("input_length", "05", "json"),
        ("input_length", "NaN", "json"),
        ("output_length", "-1", "range"),
        ("output_length", "Infinity", "json"),
        ("hash_ids", "[1.5]", "type"),
        ("hash_ids", "[false]", "type"),
        ("hash_ids", "[-1]", "range"),
        ("hash_ids", "[9007199254740992]", "range"),
        ("hash_ids", "{}", "type"),
        ("hash_ids", "[1,]", "json"),
        ("timestamp", "-0.1", "range"),
        ("timestamp", "1e999", "range"),
        ("timestamp", r#""0""#, "type"),
        ("delay", "null", "type"),
        ("delay", "-Infinity", "json"),
        ("delay", "1.", "json"),
        ("group_id", "4294967296", "range"),
        ("group_id", "1.5", "type"),
        ("is_restart", "1", "type"),
        ("session_id", "17", "type"),
        ("session_id", r#""""#, "range"),
        ("session_id", r#""\ud800""#, "type"),
        ("conversation_id", "null", "type"),
        ("parent_session_id", "[]", "type"),
        ("end_reason", "false", "type"),
    ] {
        assert_eq!(rules(&row_with(field, value)), [rule], "{field} {value}");
    }
}

#[test]
fn lines_that_are_not_rows() {
    assert_eq!(rules("[1, 2]"), ["not-an-object"]);
    assert_eq!(rules("null"), ["not-an-object"]);
    assert_eq!(rules(""), ["json"]);
    assert_eq!(rules("{"), ["json"]);
    assert_eq!(rules(&format!("{GOOD} {GOOD}")), ["json"]);
    assert_eq!(rules(&format!("{GOOD},")), ["json"]);
    assert_eq!(rules("{}"), ["missing-field"; 3]);
    assert_eq!(rules(&format!("\u{feff}{GOOD}")), ["bom"]);
    let invalid = [&b"\xff"[..], GOOD.as_bytes()].concat();
    assert_eq!(parsed(&invalid).1[0].rule, "json");
    let invalid = GOOD.replace("sess-1", "sess-?").into_bytes();
    let invalid: Vec<u8> = invalid.into_iter().map(|b| if b == b'?' { 0xc3 } else { b }).collect();
    assert_eq!(parsed(&invalid).1[0].rule, "json");
}

#[test]
fn duplicate_keys_are_reported() {
    assert_eq!(rules(&GOOD.replacen('{', r#"{"input_length":5,"#, 1)), ["duplicate-key"]);
    assert_eq!(rules(&GOOD.replacen('{', r#"{"note":1,"note":2,"#, 1)), ["duplicate-key"]);
    assert_eq!(rules(&GOOD.replacen('{', r#"{"conversation_id":"c","#, 1)), ["two-session-keys"]);
}

#[test]
fn all_faults_of_a_row_are_reported_with_field_and_value() {
    let (row, diagnostics) = parsed(br#"{"input_length":1.5,"hash_ids":[4,-1,true,-2],"delay":-3,"group_id":7}"#);
    let text: Vec<String> = diagnostics.iter().map(|f| format!("{}: {} / {}", f.rule, f.found, f.expected)).collect();
    assert_eq!(
        text,
        [
            "type: input_length 1.5 / an integer from 1 to 2147483647",
            "range: hash_ids[1] -1 / an integer from 0 to 9007199254740991",
            "type: hash_ids[2] true / an integer from 0 to 9007199254740991",
            "range: delay -3 / a number of milliseconds from 0 to 2^42",
            "missing-field: no output_length / output_length on every row",
        ]
    );
    assert_eq!((row.group_id, row.hash_ids), (Some(7), vec![4]), "valid values are kept");
}

#[test]
fn times_and_names_have_a_limit_in_both_readers() {
    let row = r#"{"input_length":5,"output_length":1,"hash_ids":[1]}"#;
    let with = |field: &str| row.replacen('{', &format!("{{{field},"), 1);
    let name = |bytes: usize| "n".repeat(bytes);
    for (field, is_sound) in [
        (r#""delay":4398046511104"#.to_owned(), true),
        (r#""delay":4398046511104.1"#.to_owned(), false),
        (r#""delay":4398046511105"#.to_owned(), false),
        (r#""timestamp":1e305"#.to_owned(), false),
        (format!(r#""parent_session_id":"{}""#, name(65_536)), true),
        (format!(r#""parent_session_id":"{}""#, name(65_537)), false),
        (format!(r#""end_reason":"{}""#, name(65_537)), false),
    ] {
        let found = rules(&with(&field));
        assert_eq!(found, if is_sound { vec![] } else { vec!["range"] }, "{}", &field[..field.len().min(30)]);
    }
}

#[test]
fn a_row_of_very_many_keys_is_read_once_and_told_briefly() {
    let unknown = (0..300_000).map(|n| format!(r#""k{n}":1,"#)).collect::<Vec<_>>().concat();
    assert_eq!(rules(&GOOD.replacen('{', &format!("{{{unknown}"), 1)), [""; 0]);
    assert_eq!(rules(&GOOD.replacen('{', &format!("{{{unknown}{unknown}"), 1)), ["duplicate-key"; 20]);
    let (line, mut found) = (format!("{{{unknown}{unknown}\"z\":1}}"), Vec::new());
    let members = super::json_object::members(line.as_bytes(), &mut found).expect("an object");
    assert_eq!((members.len(), found.len()), (300_001, 20));
}

/// Values around every limit of a field.
fn value() -> impl Strategy<Value = String> {
    let fixed = [
        "0",
        "1",
        "-1",
        "01",
        "1.0",
        "2147483647",
        "2147483648",
        "4294967295",
        "4294967296",
        "9007199254740991",
        "9007199254740992",
        "12345678901234567",
        "18446744073709551616",
        "1e3",
        "0.1",
        "0.25",
        "4444.7",
        "1.",
        ".5",
        "123456789012345.6",
        "900719925474099.2",
        "0.1234567890123456",
        "-0",
        "-0.0",
        "1e400",
        "true",
        "false",
        "null",
        "NaN",
        "\"\"",
        "\"s\"",
        "\"é\"",
        "\"\\u0041\"",
        "\"a\tb\"",
        "[]",
        "[1,2]",
        "[ 1 , 2 ]",
        "[1,]",
        "[01]",
        "[-1]",
        "[1.0]",
        "[9007199254740992]",
        "{}",
    ];
    prop_oneof![
        3 => prop::sample::select(fixed.map(String::from).to_vec()),
        2 => any::<u64>().prop_map(|n| n.to_string()),
        2 => (0u64..1 << 56, 0..18usize).prop_map(|(n, places)| {
            let digits = format!("{n:0width$}", width = places + 1);
            let (whole, part) = digits.split_at(digits.len() - places);
            if part.is_empty() { digits.clone() } else { format!("{whole}.{part}") }
        }),
        2 => prop::collection::vec(0i64..1 << 54, 0..6).prop_map(|ids| format!("{ids:?}")),
        1 => "[a-zA-Z0-9é \\\\\"]{0,6}".prop_map(|s| serde_json::to_string(&s).expect("a string")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    let names = [
        "session_id",
        "conversation_id",
        "input_length",
        "output_length",
        "hash_ids",
        "timestamp",
        "delay",
        "group_id",
        "is_restart",
        "parent_session_id",
        "end_reason",
        "note",
        "",
    ];
    prop::sample::select(names.map(String::from).to_vec())
}

/// Nearly valid rows: valid required fields, some random fields, then a few bytes overwritten.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let required = prop_oneof![
        Just(vec![
            ("input_length".to_owned(), "700".to_owned()),
            ("output_length".to_owned(), "3".to_owned()),
            ("hash_ids".to_owned(), "[5,6]".to_owned()),
        ]),
        Just(vec![]),
    ];
    let fields = (required, prop::collection::vec((key(), value()), 0..5), prop::sample::select(vec!["", " ", "\t"]));
    let edits = prop::collection::vec(
        (any::<prop::sample::Index>(), prop::sample::select(b"{}[]\",:0e.-\\ \xff".to_vec())),
        0..2,
    );
    (fields, edits).prop_map(|((required, more, space), edits)| {
        let fields = required.into_iter().chain(more).map(|(k, v)| format!("{space}\"{k}\"{space}:{space}{v}{space}"));
        let mut line = format!("{{{}}}{space}", fields.collect::<Vec<_>>().join(",")).into_bytes();
        for (at, byte) in edits {
            let at = at.index(line.len());
            line[at] = byte;
        }
        line
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn the_fast_path_agrees_with_the_full_reader(line in line()) {
        let mut row = Row::default();
        if parse_fast(&line, &mut row).is_some() {
            prop_assert_eq!((row, vec![]), parsed_full(&line));
        }
    }

    #[test]
    fn no_line_panics(line in prop::collection::vec(any::<u8>(), 0..40)) {
        parsed(&line);
    }
}
