//! Journals of a recorder: which calls are of one session.

use std::fmt::Write as _;

use agentgen_formats::import::journal::{Entry, Header, Outcome, Piece, Pieces, VERSION};

use super::{import, problems, told};

/// Two calls of a main agent with a sub-agent between, a break, and a call without an id.
pub const JOURNAL: &str = concat!(
    r#"{"agentgen_record":1}"#,
    "\n",
    r#"{"call":0,"api":"chat","sent_ms":1000,"end_after_ms":100,"client":"a","trigger":"human","human_turns":1,"has_tools":true,"head":[1,2],"pieces":"400000000000000108000000000000020c00000000000003","usage":{"prompt":20,"output":5},"tools":["Task"]}"#,
    "\n",
    r#"{"call":1,"api":"chat","sent_ms":1150,"end_after_ms":10,"client":"a","trigger":"human","human_turns":1,"head":[1,2],"pieces":"400000000000000908000000000000020c00000000000003","usage":{"prompt":20,"output":5}}"#,
    "\n",
    r#"{"call":2,"api":"chat","sent_ms":1200,"end_after_ms":100,"client":"a","trigger":"tool","human_turns":1,"has_tools":true,"head":[1,2],"after":[0,3],"pieces":"0c00000000000004","usage":{"prompt":28,"output":5}}"#,
    "\n",
    r#"{"call":3,"api":"chat","sent_ms":1400,"end_after_ms":100,"client":"a","trigger":"human","human_turns":1,"has_tools":true,"head":[1,2],"after":[0,1],"pieces":"0c00000000000007","usage":{"prompt":19,"output":5}}"#,
    "\n",
    r#"{"call":4,"api":"chat","sent_ms":1400,"end_after_ms":100,"trigger":"human","human_turns":1,"head":[0,1],"pieces":"4000000000000001"}"#,
    "\n",
);

/// A journal of entries; each has its number and is sent a second after the one before.
fn journal(entries: Vec<Entry>) -> String {
    let mut text = serde_json::to_string(&Header { agentgen_record: VERSION }).unwrap() + "\n";
    for (number, entry) in entries.into_iter().enumerate() {
        let sent_ms = if entry.sent_ms == 0.0 { 1_000.0 * number as f64 + 1.0 } else { entry.sent_ms };
        let entry = Entry { call: number as u64, api: "chat".into(), sent_ms, ..entry };
        writeln!(text, "{}", serde_json::to_string(&entry).unwrap()).unwrap();
    }
    text
}

/// A prompt of one piece of context, a first message and more; all pieces have 16 tokens.
fn prompt(client: Option<&str>, pieces: &[u64]) -> Entry {
    let pieces: Vec<Piece> = pieces.iter().map(|n| Piece::new(n << 8, 16)).collect();
    Entry {
        client: client.map(str::to_owned),
        head: [1, 2],
        pieces: Some(Pieces(pieces)),
        trigger: Some("human".into()),
        end_after_ms: 100.0,
        ..Entry::default()
    }
}

/// How many calls each session has, in order.
fn sessions(entries: Vec<Entry>) -> Vec<usize> {
    let (_, recording) = import(&journal(entries));
    assert!(recording.problems.is_empty(), "{:?}", recording.problems);
    recording.sessions.iter().map(|session| session.calls.len()).collect()
}

#[test]
fn a_main_agent_its_sub_agent_and_a_session_without_an_id() {
    let (format, recording) = import(JOURNAL);
    assert_eq!(format, "record");
    assert_eq!(
        told(&recording),
        "\
line 0
  - human 0 20+5 bytes 0 sent 1000 end 1100 whole [64, 8, 12] Task 100
  - tool 0 28+5 bytes 0 sent 1200 end 1300 [12]
  - human 0 19+5 bytes 0 sent 1400 end 1500 whole [64, 12]
line 1 5d9a976f1945e64c of line 0 after 0 until 1
  - human 0 20+5 bytes 0 sent 1150 end 1160 whole [64, 8, 12]
line 2
  - human 0 -+- bytes 0 sent 1400 end 1500 whole [64]
"
    );
}

#[test]
fn without_ids_a_prompt_continues_the_longest_one_that_it_begins_with() {
    let of = |pieces: &[u64]| prompt(None, pieces);
    // A prompt that begins with the whole one before, and one that leaves it within its second message.
    assert_eq!(sessions(vec![of(&[1, 2]), of(&[1, 2, 3]), of(&[1, 2, 3, 4]), of(&[1, 2, 3, 5])]), [4]);
    // Other first messages, and a conversation that begins again.
    assert_eq!(sessions(vec![of(&[1, 2]), of(&[1, 3]), of(&[1, 2]), of(&[1, 2, 4])]), [1, 1, 2]);
    // While an answer is not complete, nothing can follow it.
    let slow = Entry { end_after_ms: 5_000.0, ..of(&[1, 2]) };
    assert_eq!(sessions(vec![slow, of(&[1, 2, 3])]), [1, 1]);
}

#[test]
fn with_an_id_the_main_agent_goes_on_after_whatever_happened_to_its_history() {
    let of = |pieces: &[u64]| Entry { has_tools: true, ..prompt(Some("a"), pieces) };
    assert_eq!(sessions(vec![of(&[1, 2]), of(&[1, 9]), of(&[1, 2, 3])]), [3]);
    // Another agent: other tools or another system prompt. Its second task is that of another sub-agent.
    assert_eq!(sessions(vec![of(&[1, 2]), of(&[5, 2]), of(&[5, 3]), of(&[1, 2, 3])]), [2, 1, 1]);
    // Other clients do not matter.
    let other = Entry { has_tools: true, ..prompt(Some("b"), &[1, 2, 3]) };
    assert_eq!(sessions(vec![of(&[1, 2]), other]), [1, 1]);
}

#[test]
fn lines_stand_in_the_order_in_which_calls_ended() {
    let of = |pieces: &[u64], sent_ms| Entry { sent_ms, ..prompt(None, pieces) };
    let (_, recording) = import(&journal(vec![of(&[1, 2, 3], 2_000.0), of(&[1, 2], 1_000.0)]));
    let sent: Vec<_> = recording.sessions[0].calls.iter().map(|call| call.sent_ms).collect();
    assert_eq!(sent, [Some(1_000.0), Some(2_000.0)]);
}

#[test]
fn calls_without_an_answer_are_counted() {
    let of = |outcome, status| Entry { outcome, status, ..prompt(None, &[1, 2]) };
    let unread = Entry { pieces: None, head: [0, 0], ..of(Outcome::Answered, Some(200)) };
    let cut = Entry { first_token_after_ms: Some(9.0), ..of(Outcome::Cancelled, Some(200)) };
    let entries = vec![
        of(Outcome::Answered, Some(200)),
        of(Outcome::Refused, Some(429)),
        of(Outcome::Unreachable, None),
        of(Outcome::Truncated, Some(200)),
        of(Outcome::Cancelled, Some(200)),
        cut,
        unread,
    ];
    let (_, recording) = import(&journal(entries));
    assert_eq!(recording.sessions.iter().map(|session| session.calls.len()).collect::<Vec<_>>(), [1, 1]);
    let left_out: Vec<_> = recording.left_out.into_iter().collect();
    assert_eq!(
        left_out,
        [
            ("calls that did not reach the server", 1),
            ("calls that the server refused", 1),
            ("calls whose request could not be read", 1),
            ("calls without an answer", 2),
        ]
    );
}

#[test]
fn lines_that_make_no_sense_are_problems() {
    let good = JOURNAL.lines().nth(1).unwrap();
    for (line, expected) in [
        (r#"{"agentgen_record":2}"#, "a journal of another version"),
        (r#"{"api":""}"#, "a line that is no call"),
        (r#"{"api":"chat","call":7,"after":[9,1],"pieces":""}"#, "a prompt that begins like that of an unknown call"),
        (r#"{"api":"chat","call":7,"after":[0,4],"pieces":""}"#, "a prompt that begins like that of an unknown call"),
        (r#"{"api":"chat","call":7,"after":[7,0],"pieces":""}"#, "a prompt that begins like that of an unknown call"),
        (r#"{"api":"chat","call":7,"pieces":""}"#, "a prompt of a wrong length"),
        (r#"{"api":"chat","call":7,"head":[2,2],"pieces":"4000000000000001"}"#, "a prompt of a wrong length"),
        (r#"{"api":"chat","call":0,"pieces":"4000000000000001"}"#, "a call that was recorded twice"),
    ] {
        let (_, recording) = import(&format!("{{\"agentgen_record\":1}}\n{good}\n{line}\n"));
        assert_eq!(problems(&recording), [(Some(3), expected)], "{line}");
        assert_eq!(recording.sessions.len(), 1);
    }
}
