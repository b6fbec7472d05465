//! Calls that several sessions have, and sub-agents.

use agentgen_formats::import::{Agent, Part, Prompt, RecordedSession, Recording, Spawn, merge};

use crate::support::{ids, session};

fn merged(sessions: Vec<RecordedSession>, spawns: Vec<Spawn>) -> Recording {
    merge(Recording { sessions, spawns, ..Recording::default() })
}

fn sub(key: &str, calls: &[&str], parent: &str) -> RecordedSession {
    let agent = Agent::Sub { kind: None, parent: parent.to_owned(), spawned_by: None, joined_by: None };
    RecordedSession { agent, ..session(key, calls) }
}

fn spawn(agent: &str, parent: &str, spawned_by: usize, joined_by: Option<usize>) -> Spawn {
    Spawn {
        agent: Some(agent.into()),
        tool_call: None,
        parent: parent.into(),
        kind: Some("Explore".into()),
        spawned_by,
        joined_by,
    }
}

#[test]
fn the_session_that_ended_first_keeps_calls_that_a_resumed_one_repeats() {
    let found = merged(vec![session("later", &["a", "b", "c", "d"]), session("first", &["a", "b"])], vec![]);
    assert_eq!(ids(&found.sessions[0]), ["c", "d"]);
    assert_eq!(ids(&found.sessions[1]), ["a", "b"]);
    assert_eq!(found.sessions[0].continues.as_deref(), Some("first"));
    assert_eq!(found.sessions[1].continues, None);
    let turns: Vec<_> = found.sessions[0].calls.iter().map(|c| c.human_turn_index).collect();
    assert_eq!(turns, [0, 1]);
    assert_eq!(found.left_out["calls repeated from another session"], 2);
}

#[test]
fn a_session_of_copies_alone_is_left_out() {
    let found = merged(vec![session("s", &["a", "b"]), session("s", &["a", "b"]), session("s", &["c"])], vec![]);
    let keys: Vec<_> = found.sessions.iter().map(|s| s.key.as_str()).collect();
    assert_eq!(keys, ["s", "s#2"]);
    assert_eq!(found.left_out["sessions without a call of their own"], 1);
}

#[test]
fn a_sub_agent_never_keeps_calls_of_its_parent() {
    let mut parent = session("p", &["a", "b"]);
    parent.calls[1].end_ms = Some(1e9);
    let found = merged(vec![sub("q", &["a", "x"], "p"), parent], vec![]);
    assert_eq!(ids(&found.sessions[0]), ["x"]);
    assert_eq!(ids(&found.sessions[1]), ["a", "b"]);
}

#[test]
fn what_copied_calls_appended_is_part_of_the_next_prompt() {
    let part = |text: &str| Part::new("user", text);
    let mut later = session("later", &["a", "b", "c", "d"]);
    for (call, text) in later.calls.iter_mut().zip(["one", "two", "three", "four"]) {
        call.prompt = Prompt::Appended(vec![part(text)]);
    }
    let found = merged(vec![session("first", &["a", "b"]), later], vec![]);
    let prompts: Vec<_> = found.sessions[1].calls.iter().map(|c| c.prompt.clone()).collect();
    let Prompt::Parts(whole) = &prompts[0] else { panic!("{:?}", prompts[0]) };
    assert_eq!(*whole, [part("one"), part("two"), part("three")]);
    let Prompt::Appended(appended) = &prompts[1] else { panic!("{:?}", prompts[1]) };
    assert_eq!(*appended, [part("four")]);
}

#[test]
fn sub_agents_get_the_calls_of_their_parents_that_were_kept() {
    let sessions =
        vec![session("later", &["a", "b", "c", "d"]), session("first", &["a", "b"]), sub("x", &["1"], "later")];
    let agents = |spawns| merged(sessions.clone(), spawns).sessions[2].agent.clone();
    let agent = |parent: &str, spawned_by, joined_by| Agent::Sub {
        kind: Some("Explore".into()),
        parent: parent.into(),
        spawned_by,
        joined_by,
    };
    // Spawned by a call of its own, which is now the first.
    assert_eq!(agents(vec![spawn("x", "later", 2, Some(3))]), agent("later", Some(0), Some(1)));
    // Spawned by a call that another session keeps.
    assert_eq!(agents(vec![spawn("x", "later", 0, Some(1))]), agent("first", Some(0), Some(1)));
    assert_eq!(agents(vec![spawn("x", "later", 1, Some(2))]), agent("first", Some(1), None));
    // A call that does not exist.
    assert_eq!(agents(vec![spawn("x", "later", 9, None)]), agent("later", None, None));
}

#[test]
fn no_sub_agent_is_its_own_ancestor() {
    let spawns = vec![spawn("x", "y", 0, None), spawn("y", "x", 0, None), spawn("z", "x", 0, None)];
    let found = merged(vec![sub("x", &["1"], "p"), sub("y", &["2"], "p"), sub("z", &["3"], "p")], spawns);
    let mains: Vec<_> = found.sessions.iter().filter(|s| s.agent == Agent::Main).map(|s| s.key.as_str()).collect();
    assert_eq!(mains, ["x", "y"]);
}

#[test]
fn sub_agents_are_found_by_their_run_and_by_the_tool_call_that_started_them() {
    let sessions = vec![session("p", &["a", "b"]), sub("p/run/x", &["1"], "p"), sub("p/y", &["2"], "p")];
    let by_call = Spawn { agent: None, tool_call: Some("t".into()), ..spawn("", "p", 1, None) };
    let spawns = vec![spawn("p/run", "p", 0, Some(1)), by_call];
    let started_by = [("p/y".to_owned(), "t".to_owned())].into();
    let found = merge(Recording { sessions, spawns, started_by, ..Recording::default() });
    let spawned: Vec<_> = found.sessions[1..]
        .iter()
        .map(|s| match s.agent {
            Agent::Sub { spawned_by, joined_by, .. } => (spawned_by, joined_by),
            Agent::Main => (None, None),
        })
        .collect();
    assert_eq!(spawned, [(Some(0), Some(1)), (Some(1), None)]);
}

#[test]
fn of_copies_of_a_session_the_longest_stays() {
    let copies = |order: [&[&str]; 3]| {
        let found = merged(order.map(|ids| session("s", ids)).to_vec(), vec![spawn("x", "s", 1, None)]);
        assert_eq!(found.left_out["calls repeated from another session"], 3);
        assert_eq!(found.left_out["sessions without a call of their own"], 2);
        found.sessions.iter().map(|s| format!("{} {:?} {:?}", s.key, ids(s), s.continues)).collect::<Vec<_>>()
    };
    let expected = [r#"s ["a", "b", "c"] None"#];
    assert_eq!(copies([&["a"], &["a", "b", "c"], &["a", "b"]]), expected);
    assert_eq!(copies([&["a", "b", "c"], &["a", "b"], &["a"]]), expected);
}
