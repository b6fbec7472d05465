//! Published traces, as their own headers and independent readers count them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agentgen_formats::import::formats::detect;
use agentgen_formats::import::{Agent, Prompt, RecordedSession, Recording, Trigger};
use agentgen_testing::files::shared;
use agentgen_trace::source::TextRows;
use serde_json::Value;

use super::told_call;

fn read(path: &Path) -> Recording {
    let recording = (detect(path).unwrap().unwrap().read)(path).unwrap();
    assert_eq!(recording.problems, []);
    recording
}

fn weka_files() -> Vec<PathBuf> {
    let folder = shared("weka/trace_0010.json").parent().unwrap().to_owned();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

/// Tokens of the prompts and outputs of sessions.
fn tokens<'a>(sessions: impl Iterator<Item = &'a RecordedSession>) -> (u64, u64) {
    sessions.flat_map(|session| &session.calls).fold((0, 0), |(input, output), call| {
        (input + call.usage.prompt_tokens.unwrap(), output + call.usage.output_tokens.unwrap())
    })
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_totals_of_each_weka_trace() {
    let files = weka_files();
    assert_eq!(files.len(), 39);
    for path in files {
        let header: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let total = |who: &str| {
            let count = |what: &str| header["totals"][format!("{who}_tokens")][what].as_u64().unwrap();
            (count("input"), count("output"))
        };
        let recording = read(&path);
        let (main, others): (Vec<_>, Vec<_>) = recording.sessions.iter().partition(|s| s.agent == Agent::Main);
        assert_eq!(main.len(), 1);
        assert_eq!(tokens(main.into_iter()), total("parent"), "{}", path.display());
        assert_eq!(others.len() as u64, header["totals"]["subagent_count"].as_u64().unwrap());
        assert_eq!(tokens(others.into_iter()), total("subagent"), "{}", path.display());
    }
}

/// The times of a sub-agent lie between the end of the call that started it and the call that has its result.
#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn sub_agents_of_weka_run_while_their_parent_waits() {
    let mut seen = 0;
    for path in weka_files() {
        let recording = read(&path);
        for session in &recording.sessions {
            let Agent::Sub { parent, spawned_by, joined_by, .. } = &session.agent else { continue };
            let parent = recording.sessions.iter().find(|s| s.key == *parent).unwrap();
            let started = parent.calls[spawned_by.unwrap()].end_ms.unwrap();
            let joined = parent.calls[joined_by.unwrap()].sent_ms.unwrap();
            let begin = session.calls[0].sent_ms.unwrap();
            let end = session.calls.last().unwrap().end_ms.unwrap();
            assert!(started <= begin && begin < end && end <= joined, "{started} {begin} {end} {joined}");
            seen += 1;
        }
    }
    assert_eq!(seen, 19);
}

/// A call as `calls_odd.parquet` has it: all but block ids.
#[derive(Debug, PartialEq)]
struct Row {
    t_ms: i64,
    model: String,
    prompt: u64,
    output: u64,
    blocks: usize,
    /// Blocks that the prompt before begins with, too.
    kept: Option<usize>,
    is_human: bool,
    took_ms: Option<i64>,
    first_ms: Option<i64>,
    kind: Option<String>,
}

fn rows(session: &RecordedSession) -> Vec<Row> {
    let begin = if session.agent == Agent::Main { 0.0 } else { session.calls[0].sent_ms.unwrap() };
    let mut before: Option<&[u64]> = None;
    let rows = session.calls.iter().enumerate().map(|(index, call)| {
        let Prompt::Blocks { ids, .. } = &call.prompt else { panic!("no blocks") };
        let kept = before.replace(ids).map(|b| b.iter().zip(ids).take_while(|(a, b)| a == b).count());
        let sent = call.sent_ms.unwrap();
        let after = |time: Option<f64>| time.map(|t| (t - sent).round() as i64);
        let is_task = index == 0 && session.agent != Agent::Main;
        Row {
            t_ms: (sent - begin).round() as i64,
            model: call.model.clone().unwrap(),
            prompt: call.usage.prompt_tokens.unwrap(),
            output: call.usage.output_tokens.unwrap(),
            blocks: ids.len(),
            kept,
            is_human: is_task || call.trigger == Some(Trigger::Human),
            took_ms: after(call.end_ms),
            first_ms: after(call.first_output_ms),
            kind: if let Agent::Sub { kind, .. } = &session.agent { kind.clone() } else { None },
        }
    });
    rows.collect()
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn every_call_of_the_odd_weka_traces() {
    let columns = [
        "conversation",
        "agent",
        "agent_kind",
        "t_s",
        "model",
        "prompt_tokens",
        "output_tokens",
        "prompt_blocks",
        "blocks_kept_from_previous",
        "trigger",
        "api_time_s",
        "ttft_s",
    ];
    let mut expected: BTreeMap<(String, String), Vec<Row>> = BTreeMap::new();
    for row in TextRows::open(&shared("weka/calls_odd.parquet"), &columns).unwrap().flat_map(Result::unwrap) {
        let text = |column: usize| row[column].clone();
        let ms = |column: usize| text(column).map(|s| (s.parse::<f64>().unwrap() * 1000.0).round() as i64);
        let number = |column: usize| text(column).map(|n| n.parse::<u64>().unwrap());
        let call = Row {
            t_ms: ms(3).unwrap(),
            model: text(4).unwrap(),
            prompt: number(5).unwrap(),
            output: number(6).unwrap(),
            blocks: number(7).unwrap() as usize,
            kept: number(8).map(|n| n as usize),
            is_human: text(9).unwrap() == "human",
            took_ms: ms(10),
            first_ms: ms(11),
            kind: text(2),
        };
        expected.entry((text(0).unwrap(), text(1).unwrap())).or_default().push(call);
    }
    let (mut agents, mut calls) = (0, 0);
    for path in weka_files() {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        for session in &read(&path).sessions {
            let agent = session.key.rsplit_once('/').map(|(_, agent)| agent).filter(|_| session.agent != Agent::Main);
            let Some(expected) = expected.get(&(name.clone(), agent.unwrap_or("main").to_owned())) else {
                assert!(name.ends_with(['0', '2', '4', '6', '8']), "{name} {agent:?}");
                continue;
            };
            let found = rows(session);
            assert_eq!(found.len(), expected.len(), "{name}");
            for (found, expected) in found.iter().zip(expected) {
                assert_eq!(found, expected, "{name} {agent:?}");
            }
            (agents, calls) = (agents + 1, calls + found.len());
        }
    }
    assert_eq!((agents, calls), (26, 631), "sessions and calls");
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_requests_of_mooncake() {
    let recording = read(&shared("mooncake/conversation_trace.jsonl"));
    assert_eq!(recording.sessions.len(), 12_031);
    let (input, output) = tokens(recording.sessions.iter());
    assert_eq!((input / 12_031, output / 12_031), (12_035, 342));
    let ids: usize = recording.sessions.iter().map(|s| blocks(s).len()).sum();
    assert_eq!(ids, 288_500);
}

fn blocks(session: &RecordedSession) -> &[u64] {
    match &session.calls[..] {
        [call] => match &call.prompt {
            Prompt::Blocks { ids, block_tokens: 512, .. } => ids,
            _ => panic!("no blocks of 512 tokens"),
        },
        _ => panic!("more than a call"),
    }
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_trajectories_of_mlperf() {
    let recording = read(&shared("mlperf/agentic_coding_2.5h.jsonl"));
    let mut turns: Vec<usize> = recording.sessions.iter().map(|s| s.calls.len()).collect();
    turns.sort_unstable();
    assert_eq!(turns, [27, 43, 44, 44, 46, 47, 48, 48, 50, 52, 52, 52, 53, 55, 55, 56, 58, 58, 58, 61]);
    let delays = recording.sessions.iter().flat_map(|s| &s.calls).filter_map(|call| call.delay_ms);
    assert_eq!(delays.sum::<f64>().round(), 636_393.0);
    let tools = recording.sessions.iter().flat_map(|s| &s.calls).flat_map(|call| &call.tools);
    assert!(tools.clone().all(|tool| tool.name == "bash"));
    assert!(tools.count() >= 987);
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_reference_rounds_of_tracelab() {
    let recording = read(&shared("rollouts/tracelab_reference_rounds.jsonl"));
    let [session] = &recording.sessions[..] else { panic!("one session") };
    let counts: Vec<_> = session
        .calls
        .iter()
        .map(|call| {
            let usage = call.usage;
            let (total, prefix) = (usage.prompt_tokens.unwrap(), usage.cached_tokens.unwrap());
            (total, prefix, total - prefix, usage.output_tokens.unwrap())
        })
        .collect();
    assert_eq!(
        counts,
        [
            (32_272, 27_217, 5_055, 931),
            (35_740, 29_380, 6_360, 1_016),
            (38_592, 35_738, 2_854, 2_475),
            (41_131, 38_590, 2_541, 117),
            (41_589, 41_129, 460, 1_275),
            (42_876, 41_587, 1_289, 273),
            (44_901, 42_874, 2_027, 232),
            (45_279, 44_770, 509, 2_162),
            (47_508, 45_277, 2_231, 90),
            (48_305, 47_506, 799, 852),
        ]
    );
    let human: Vec<_> = session.calls.iter().map(|call| call.trigger == Some(Trigger::Human)).collect();
    assert_eq!(human, [true, false, false, false, false, true, false, false, false, false]);
    let search = session.calls.iter().flat_map(|call| &call.tools).find(|tool| tool.name == "WebSearch").unwrap();
    assert_eq!((search.wall_ms, search.internal_ms), (Some(19_291.0), Some(19_287.0)));
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_workloads_of_tracelab() {
    let sizes = |name: &str| {
        let sessions = read(&shared(name)).sessions;
        (sessions.len(), sessions.iter().map(|s| s.calls.len()).sum::<usize>())
    };
    assert_eq!(sizes("rollouts/tracelab_replay_example.csv"), (3, 8));
    assert_eq!(sizes("rollouts/tracelab_replay_multi_session_large.csv"), (48, 303));
}

#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn a_trace_of_agenttrace() {
    let recording = read(&shared("rollouts/agenttrace/agenttrace_row_nl2bash_1_7B_task138.json"));
    let [session] = &recording.sessions[..] else { panic!("one session") };
    assert_eq!((session.project.as_deref(), session.context_window), (Some("nl2bash"), Some(16_384)));
    let prompts: Vec<_> = session.calls.iter().map(|call| call.usage.prompt_tokens.unwrap()).collect();
    assert_eq!(prompts, [1_495, 1_553, 1_685, 1_813, 1_942, 2_075, 2_209, 2_340, 2_489, 2_623]);
    // A step without a tool call has no time of its own; what the gaps between spans say of the others: 30 tokens a second.
    let took: Vec<_> =
        session.calls.iter().map(|c| c.end_ms.zip(c.sent_ms).map(|(end, sent)| (end - sent) / 1e3)).collect();
    let rounded: Vec<_> = took.iter().map(|s| s.map(|s| (s * 10.0).round() / 10.0)).collect();
    let gaps = [33.5, 33.3, 25.9, 37.5, 38.9, 23.9, 18.0, 39.3].map(Some);
    assert_eq!(rounded[..2], [None, None]);
    assert_eq!(rounded[2..], gaps);
    assert_eq!(told_call(&session.calls[9]).rsplit(' ').nth(1), Some("final_answer"));
}

/// Rows of added text: the last prompt of a session holds all its input and all outputs but its own.
#[test]
#[ignore = "needs the shared traces: set AGENTGEN_SHARED_DATA"]
fn the_sessions_of_aiperf() {
    let path = shared("aiperf/default_40s.jsonl");
    let mut expected: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for line in std::fs::read_to_string(&path).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let (prompt, output) = expected.entry(row["session_id"].as_str().unwrap().to_owned()).or_default();
        *prompt += *output + row["input_length"].as_u64().unwrap();
        *output = row["output_length"].as_u64().unwrap();
    }
    let recording = read(&path);
    assert_eq!(recording.sessions.len(), expected.len());
    for session in &recording.sessions {
        let (_, name) = session.key.rsplit_once("session ").unwrap();
        let last = session.calls.last().unwrap().usage;
        assert_eq!((last.prompt_tokens.unwrap(), last.output_tokens.unwrap()), expected[name]);
        let parts = session.calls.iter().map(|call| match &call.prompt {
            Prompt::Appended(parts) => parts.iter().map(|part| part.bytes).sum::<u64>(),
            _ => panic!("no added parts"),
        });
        assert_eq!(parts.sum::<u64>(), last.prompt_tokens.unwrap());
    }
}
