//! Trajectories in ATIF.

use agentgen_formats::import::{Part, Prompt, Recording};
use agentgen_testing::files::shared;

use crate::samples::ATIF;
use crate::support::{Folder, all_lines, import, import_text};

fn sample(name: &str) -> Recording {
    import(&[shared(&format!("rollouts/atif/{name}"))])
}

#[test]
fn steps_of_the_agent_are_calls() {
    let found = import_text("x.json", ATIF);
    let expected = [
        "t",
        "t:4 Human0 AutoCompaction 100/60+->20 -..2000 Task 1500(1500)",
        "t:6 Tool0 -/-+->- -..-",
        "t:8 Human1 130/-+->3 -..-",
        "u explorer of t 0..1",
        "u:2 Human0 10/-+->1 -..-",
    ];
    assert_eq!(all_lines(&found), expected);
    let left_out: Vec<_> = found.left_out.into_iter().collect();
    let expected = [
        ("steps copied from another trajectory", 1),
        ("steps without a model call", 1),
        ("token counts of several calls together", 1),
    ];
    assert_eq!(left_out, expected);
    let session = &found.sessions[0];
    assert_eq!((session.project.as_deref(), session.client.version.as_deref()), (Some("/p"), Some("a 1")));
    assert_eq!(session.calls[0].usage.reasoning_tokens, Some(5));
    assert_eq!(session.calls[0].output_bytes, Some(2 + r#"{"x": 1}"#.len() as u64));
}

#[test]
fn prompts_have_their_content_if_they_have_their_beginning() {
    let found = import_text("x.json", ATIF);
    let Prompt::Appended(first) = &found.sessions[0].calls[0].prompt else { panic!("not whole") };
    let expected = [
        Part::new("tools", r#"[{"type": "function"}]"#),
        Part::new("system", "be good"),
        Part::new("user", "do it"),
        Part::new("assistant", "copied"),
    ];
    assert_eq!(*first, expected);
    let Prompt::Appended(second) = &found.sessions[0].calls[1].prompt else { panic!("not whole") };
    let expected =
        [Part::new("assistant", r#"Task{"x": 1}"#), Part::new("tool", "ok"), Part::new("assistant", "no call")];
    assert_eq!(*second, expected);
    // The sub-agent has neither tools nor a system prompt, but all counts.
    assert!(matches!(found.sessions[1].calls[0].prompt, Prompt::Counted));
}

#[test]
fn sub_agents_may_have_files_of_their_own() {
    let main = r#"{"schema_version":"ATIF-v1.5","session_id":"a","agent":{},"steps":[
        {"source":"agent","message":"","observation":{"results":[{"subagent_trajectory_ref":[{"session_id":"b"}]}]}}]}"#;
    let sub =
        r#"{"schema_version":"ATIF-v1.5","session_id":"b","agent":{},"steps":[{"source":"agent","message":"x"}]}"#;
    let folder = Folder::new(&[("a.json", main.as_bytes()), ("b.jsonl", sub.as_bytes())]);
    let lines = all_lines(&import(&[folder.path("a.json"), folder.path("b.jsonl")]));
    assert_eq!(lines, ["a", "a:0 -0 -/-+->- -..-", "b - of a 0..-", "b:0 -0 -/-+->- -..-"]);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn samples() {
    let id = "025B810F-B3A2-4C67-93C0-FE7A142A947A";
    let expected = [
        id.to_owned(),
        format!("{id}:2 Human0 520/200+->80 -..2000 financial_search - financial_search -"),
        format!("{id}:3 Tool0 600/-+->44 -..-"),
    ];
    assert_eq!(all_lines(&sample("harbor_rfc_v1.4_example.json")), expected);
    let calls = |id: &str| {
        vec![
            id.to_owned(),
            format!("{id}:3 Human0 -/-+->- -..- search_flights - read_calendar -"),
            format!("{id}:4 Tool0 -/-+->- -..- book_flight -"),
            format!("{id}:5 Tool0 -/-+->- -..-"),
        ]
    };
    assert_eq!(all_lines(&sample("agentpile_atif_v1.7_multiagent.json")), calls("fx-1"));
    assert_eq!(all_lines(&sample("agentpile_atif_two.jsonl")), [calls("fx-1"), calls("fx-2")].concat());
}
