//! Dynamo's `agentic_mooncake` (1 and 2): requests of agents with what they wait for.

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;

use super::support::{key, problem};
use super::values::{BlockId, Name, Tokens, block_tokens, fits, ids, ms, tokens};
use super::{Format, Head, no_folders};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{Agent, Call, Client, Prompt, RecordedSession, Recording, Trigger, Usage};

const NAME: &str = "agentic_mooncake";

const BLOCK_TOKENS: u32 = 512;

pub const FORMAT: Format = Format {
    name: NAME,
    title: "an agentic Mooncake trace of Dynamo",
    extensions: &["jsonl"],
    recognises: |head: &Head| {
        head.any(|o| {
            let waits = ["wait_for", "dependencies", "branches", "prefix_reset"].iter().any(|key| o.has(key));
            o.text("schema") == Some("dynamo.agentic_mooncake") || (o.has_all(&["request_id", "hash_ids"]) && waits)
        })
    },
    read,
    default_folders: no_folders,
};

#[derive(Deserialize)]
struct Header {
    schema: Option<String>,
    version: Option<u64>,
    block_size: Option<Tokens>,
}

#[derive(Deserialize)]
struct Row {
    request_id: Name,
    play_id: Option<Name>,
    session_id: Option<Name>,
    model: Option<String>,
    #[serde(alias = "input_tokens")]
    input_length: Tokens,
    #[serde(alias = "output_tokens")]
    output_length: Option<Tokens>,
    hash_ids: Vec<BlockId>,
    timestamp: Option<f64>,
    not_before_ms: Option<f64>,
    recorded_api_time_ms: Option<f64>,
    delay: Option<f64>,
    delay_ms: Option<f64>,
    tool_wait_ms: Option<f64>,
    #[serde(default)]
    wait_for: Vec<Name>,
    #[serde(default)]
    dependencies: Vec<Dependency>,
    #[serde(skip)]
    line: u64,
}

#[derive(Deserialize)]
struct Dependency {
    request_id: Name,
    trigger: Option<String>,
    delay_ms: Option<f64>,
    relation: Option<String>,
}

/// A request that another one waits for.
struct Wait {
    request: Name,
    /// From the end of that request, if it is the end that counts.
    delay_ms: Option<f64>,
    /// It only keeps the order of the recording.
    is_barrier: bool,
}

impl Row {
    /// Checks times; the requests that this one waits for.
    fn waits(&self) -> Result<Vec<Wait>, BadLine> {
        let tool_ms = ms(self.tool_wait_ms, 1.0)?;
        let delay_ms = ms(self.delay.or(self.delay_ms), 1.0)?;
        let own = if tool_ms.is_none() { delay_ms } else { Some(delay_ms.unwrap_or(0.0) + tool_ms.unwrap_or(0.0)) };
        let first =
            self.wait_for.iter().map(|request| Ok(Wait { request: request.clone(), delay_ms: own, is_barrier: false }));
        let second = self.dependencies.iter().map(|dependency| {
            let delay_ms = ms(dependency.delay_ms, 1.0)?;
            Ok(Wait {
                request: dependency.request_id.clone(),
                delay_ms: delay_ms.filter(|_| dependency.trigger.as_deref() != Some("dispatch")),
                is_barrier: dependency.relation.as_deref() == Some("replay_barrier"),
            })
        });
        first.chain(second).collect()
    }

    /// The name of the row's session.
    fn session(&self) -> String {
        let name = match &self.session_id {
            Some(session) => format!("session {session}"),
            None => format!("request {}", self.request_id),
        };
        self.play_id.as_ref().map_or_else(|| name.clone(), |play| format!("play {play} {name}"))
    }
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut rows, mut header) = (Recording::default(), Vec::<(Row, Vec<Wait>)>::new(), None);
    let (mut seen, mut repeated) = (std::collections::HashSet::new(), 0);
    read_lines(path, &mut recording, |text, line| {
        if rows.is_empty() && header.is_none() {
            let first: Header = serde_json::from_str(text)?;
            if first.schema.is_some() {
                header = Some(first);
                return Ok(());
            }
        }
        let row: Row = serde_json::from_str(text)?;
        let waits = row.waits()?;
        ms(row.timestamp.or(row.not_before_ms), 1.0)?;
        if seen.insert(row.request_id.clone()) {
            rows.push((Row { line, ..row }, waits));
        } else {
            repeated += 1;
        }
        Ok(())
    })?;
    recording.leave_out("repeated rows", repeated);
    let stated = header.as_ref().and_then(|h| h.block_size).and_then(|Tokens(size)| u32::try_from(size).ok());
    let sized = rows.iter().map(|(row, _)| (row.input_length.0, row.hash_ids.len()));
    let size = stated.filter(|size| *size > 0).or_else(|| block_tokens(sized, BLOCK_TOKENS)).unwrap_or(BLOCK_TOKENS);
    rows.retain(|(row, _)| {
        let (input, count) = (row.input_length.0, row.hash_ids.len());
        if !fits(input, count, size) {
            problem(
                &mut recording,
                path,
                Some(row.line),
                format!("{count} hash_ids for {input} tokens in blocks of {size}"),
            );
            return false;
        }
        true
    });
    let version = header.and_then(|h| h.version).map(|version| version.to_string());
    recording.problems.sort_by_key(|problem| problem.line);
    recording.sessions = sessions(path, rows, size);
    recording.sessions.iter_mut().for_each(|s| s.client = Client { format: NAME.to_owned(), version: version.clone() });
    Ok(recording)
}

/// Session and index of a request.
type Place = (usize, usize);

fn sessions(path: &Path, rows: Vec<(Row, Vec<Wait>)>, block_tokens: u32) -> Vec<RecordedSession> {
    let (mut sessions, mut names): (Vec<RecordedSession>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    let mut places: HashMap<Name, Place> = HashMap::new();
    let mut waits: Vec<(Place, Vec<Wait>)> = Vec::new();
    for (row, waited) in rows {
        let (name, new) = (row.session(), sessions.len());
        let place = *names.entry(name.clone()).or_insert(new);
        if place == new {
            sessions.push(RecordedSession::new(key(path, name), NAME, Vec::new()));
        }
        let call = sessions[place].calls.len();
        places.insert(row.request_id.clone(), (place, call));
        // Ids of a play are its own.
        let scope =
            row.play_id.as_ref().map_or_else(|| path.display().to_string(), |play| key(path, format!("play {play}")));
        sessions[place].calls.push(call_of(row, scope, block_tokens, waited.is_empty()));
        waits.push(((place, call), waited));
    }
    // What begins a session comes first: a request may wait for a session whose rows are after its own.
    let (begins, others): (Vec<_>, Vec<_>) = waits.iter().partition(|((_, call), _)| *call == 0);
    for ((place, call), waited) in begins.into_iter().chain(others) {
        let delays = waited.iter().filter(|w| !w.is_barrier).filter_map(|w| w.delay_ms);
        sessions[*place].calls[*call].delay_ms = delays.max_by(f64::total_cmp);
        for wait in waited.iter().filter(|w| !w.is_barrier) {
            let Some((other, request)) = places.get(&wait.request).copied() else { continue };
            if other == *place {
                continue;
            }
            let parent = sessions[other].key.clone();
            let waiting = sessions[*place].key.clone();
            if *call == 0 && sessions[*place].agent == Agent::Main {
                // A session that begins after a request of another one was started by it.
                let spawned_by = Some(request);
                sessions[*place].agent = Agent::Sub { kind: None, parent, spawned_by, joined_by: None };
            } else if let Agent::Sub { parent, joined_by: joined @ None, .. } = &mut sessions[other].agent
                && *parent == waiting
            {
                *joined = Some(*call);
            }
        }
    }
    sessions
}

fn call_of(row: Row, scope: String, block_tokens: u32, is_root: bool) -> Call {
    let sent_ms = row.timestamp.or(row.not_before_ms.filter(|_| is_root));
    let used_tools = row.tool_wait_ms.is_some_and(|wait| wait > 0.0);
    Call {
        model: row.model,
        trigger: used_tools.then_some(Trigger::Tool),
        usage: Usage {
            prompt_tokens: Some(row.input_length.0),
            output_tokens: tokens(row.output_length),
            ..Usage::default()
        },
        prompt: Prompt::Blocks { scope: Some(scope), block_tokens, ids: ids(row.hash_ids) },
        sent_ms,
        sent_is_recorded: sent_ms.is_some(),
        end_ms: sent_ms.zip(row.recorded_api_time_ms).map(|(sent, took)| sent + took.max(0.0)),
        ..Call::default()
    }
}
