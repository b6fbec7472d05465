//! Trajectories of SWE-agent and mini-swe-agent.

use agentgen_formats::import::{Prompt, Recording, Trigger};
use agentgen_testing::files::shared;

use crate::samples::{MINI, SWE_AGENT};
use crate::support::{all_lines, import, import_text};

#[test]
fn demonstrations_are_part_of_the_first_prompt() {
    let found = import_text("x.traj", SWE_AGENT);
    let expected = ["x", "x:0 Human0 -/-+->- -..- shell -(500)", "x:1 Tool0 -/-+->- -..- shell -(1000)"];
    assert_eq!(all_lines(&found), expected);
    let Prompt::Appended(parts) = &found.sessions[0].calls[0].prompt else { panic!("no content") };
    assert_eq!(parts.len(), 4);
}

#[test]
fn steps_stand_for_a_missing_history() {
    let text =
        r#"{"info":{},"trajectory":[{"response":"ls","observation":"a"},{"response":"submit","observation":""}]}"#;
    let found = import_text("x.traj", text);
    assert_eq!(all_lines(&found), ["x", "x:0 -0 -/-+->- -..- shell -", "x:1 Tool0 -/-+->- -..- shell -"]);
}

#[test]
fn kept_responses_have_the_tokens() {
    let found = import_text("x.traj.json", MINI);
    let expected = ["x", "x:0 Human0 10/4+->2 -..1500 shell -", "x:1 Tool0 -/-+->- -..1000 shell -"];
    assert_eq!(all_lines(&found), expected);
    assert_eq!(found.sessions[0].client.version.as_deref(), Some("1.2"));
    assert_eq!(found.left_out["messages of unknown roles"], 1);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn samples() {
    let calls = |found: &Recording| {
        let [session] = &found.sessions[..] else { panic!("{} sessions", found.sessions.len()) };
        assert!(session.calls[1..].iter().all(|call| call.trigger == Some(Trigger::Tool)));
        assert_eq!(session.calls[0].trigger, Some(Trigger::Human));
        session.calls.len()
    };
    let other = |name: &str| import(&[shared(&format!("rollouts/other/{name}"))]);
    assert_eq!(calls(&other("miniswe_github_issue.traj.json")), 10);
    assert_eq!(calls(&other("miniswe_local.traj.json")), 2);
    let found = other("nebius_swe_agent_sample_raw.json");
    assert_eq!(calls(&found), 31);
    assert_eq!(found.sessions[0].calls[0].model.as_deref(), Some("swe-agent-llama-70b"));
}
