//! Weka traces (`cc-traces-weka`): a conversation of Claude Code as the block ids of its prompts, sub-agents nested.

use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;

use super::support::{key, problem, read_values};
use super::values::{BlockId, Name, Tokens, ids, ms};
use super::{Format, Head, no_folders};
use crate::import::lines::BadLine;
use crate::import::model::{Agent, Call, Prompt, RecordedSession, Recording, Trigger, Usage};

const NAME: &str = "weka";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "a Weka trace of Claude Code",
    extensions: &["json", "jsonl"],
    recognises: |head: &Head| head.any(|o| o.has_array("requests") && o.has("block_size")),
    read,
    default_folders: no_folders,
};

#[derive(Deserialize)]
struct Trace {
    id: Option<Name>,
    block_size: Tokens,
    hash_id_scope: Option<String>,
    requests: Vec<Entry>,
}

/// A call, or a sub-agent with its calls.
#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: Option<String>,
    t: Option<f64>,
    model: Option<String>,
    #[serde(rename = "in")]
    input: Option<Tokens>,
    out: Option<Tokens>,
    hash_ids: Option<Vec<BlockId>>,
    input_types: Option<Vec<String>>,
    api_time: Option<f64>,
    ttft: Option<f64>,
    agent_id: Option<Name>,
    subagent_type: Option<String>,
    duration_ms: Option<f64>,
    status: Option<String>,
    requests: Option<Vec<Entry>>,
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut found) = (Recording::default(), Recording::default());
    let mut index = 0;
    read_values(path, &mut recording, |text, line| {
        index += 1;
        let trace: Trace = serde_json::from_str(text)?;
        let block_tokens = u32::try_from(trace.block_size.0).ok().filter(|size| *size > 0);
        let block_tokens = block_tokens.ok_or_else(|| BadLine::new("block_size 0, expected at least 1"))?;
        let name = trace.id.map_or_else(|| format!("trace {index}"), |id| id.to_string());
        let key = key(path, name);
        // Ids of global scope are the same in all files.
        let scope = if trace.hash_id_scope.as_deref() == Some("global") { NAME.to_owned() } else { key.clone() };
        let reader = Reader { path, line, block_tokens, scope };
        reader.agent(&mut found, key, Agent::Main, 0.0, trace.requests);
        Ok(())
    })?;
    found.append(recording);
    Ok(found)
}

/// What the sessions of a trace have in common.
struct Reader<'a> {
    path: &'a Path,
    line: Option<u64>,
    block_tokens: u32,
    scope: String,
}

impl Reader<'_> {
    /// Adds the session of an agent and those of its sub-agents. Its times count from `start_s`.
    fn agent(&self, recording: &mut Recording, key: String, agent: Agent, start_s: f64, entries: Vec<Entry>) {
        let (mut calls, mut sub_agents): (Vec<Call>, Vec<(usize, Entry)>) = (Vec::new(), Vec::new());
        let is_main = agent == Agent::Main;
        for entry in entries {
            if entry.kind.as_deref() == Some("subagent") || entry.requests.is_some() {
                sub_agents.push((calls.len(), entry));
                continue;
            }
            match self.call(entry, start_s) {
                Ok(call) => calls.push(call),
                Err(bad) => problem(recording, self.path, self.line, format!("a request: {}", bad.reason())),
            }
        }
        number_human_turns(&mut calls, is_main);
        let count = calls.len();
        let place = recording.sessions.len();
        for (number, (before, entry)) in sub_agents.into_iter().enumerate() {
            let name = entry.agent_id.map_or_else(|| format!("agent {number}"), |id| id.to_string());
            // The mark of a sub-agent that has ended stands at its end, else at its start.
            let mark_s = start_s + entry.t.unwrap_or(0.0);
            let is_over = entry.status.as_deref() == Some("completed");
            let start_s =
                entry.duration_ms.filter(|_| is_over).map_or(mark_s, |ms| (mark_s - ms / 1000.0).max(start_s));
            let nested = entry.requests.unwrap_or_default();
            // Times of its requests count from its start. Writers that give them on the conversation's clock begin later.
            let is_absolute = nested.first().and_then(|r| r.t).is_some_and(|t| t > 0.0 && t >= start_s);
            let agent = Agent::Sub {
                kind: entry.subagent_type,
                parent: key.clone(),
                spawned_by: before.checked_sub(1),
                joined_by: (is_over && before < count).then_some(before),
            };
            let origin_s = if is_absolute { 0.0 } else { start_s };
            self.agent(recording, format!("{key}/{name}"), agent, origin_s, nested);
        }
        if calls.is_empty() {
            recording.leave_out("agents without a request", 1);
        } else {
            let session = RecordedSession { agent, ..RecordedSession::new(key, NAME, calls) };
            recording.sessions.insert(place.min(recording.sessions.len()), session);
        }
    }

    fn call(&self, entry: Entry, start_s: f64) -> Result<Call, BadLine> {
        let Some(Tokens(prompt)) = entry.input else { return Err(BadLine::new("without `in`")) };
        let at = |after: Option<f64>| -> Result<Option<f64>, BadLine> {
            let Some(t) = entry.t else { return Ok(None) };
            let Some(after) = ms(after, 1000.0)? else { return Ok(None) };
            Ok(Some((start_s + t) * 1000.0 + after))
        };
        let (sent_ms, first_output_ms, end_ms) = (at(Some(0.0))?, at(entry.ttft)?, at(entry.api_time)?);
        let content = match entry.hash_ids {
            Some(list) => {
                let size = u64::from(self.block_tokens);
                let count = list.len() as u64;
                if count < prompt / size || count > prompt.div_ceil(size) {
                    return Err(BadLine::new(format!("{count} hash_ids for {prompt} tokens in blocks of {size}")));
                }
                Prompt::Blocks { scope: Some(self.scope.clone()), block_tokens: self.block_tokens, ids: ids(list) }
            }
            None => Prompt::Counted,
        };
        let trigger = entry
            .input_types
            .as_ref()
            .map(|types| if types.iter().any(|kind| kind == "tool_result") { Trigger::Tool } else { Trigger::Human });
        Ok(Call {
            model: entry.model,
            trigger,
            usage: Usage {
                prompt_tokens: Some(prompt),
                output_tokens: entry.out.map(|Tokens(out)| out),
                ..Usage::default()
            },
            prompt: content,
            sent_ms,
            sent_is_recorded: sent_ms.is_some(),
            first_output_ms,
            end_ms,
            ..Call::default()
        })
    }
}

/// Numbers the user's requests. What a sub-agent begins with is the text of its parent, not of a person.
fn number_human_turns(calls: &mut [Call], is_main: bool) {
    let mut turn = 0;
    for (index, call) in calls.iter_mut().enumerate() {
        if call.trigger == Some(Trigger::Human) {
            if !is_main && index == 0 {
                call.trigger = None;
            } else if index > 0 {
                turn += 1;
            }
        }
        call.human_turn_index = turn;
    }
}
