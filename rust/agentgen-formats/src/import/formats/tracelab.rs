//! `TraceLab`: rounds of Claude Code and Codex with their times (JSONL), and its workloads for replay (CSV).

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;

use super::csv::{has_header, read_rows};
use super::support::key;
use super::values::{Name, Tokens, tokens};
use super::{ASK_A_PERSON, Format, Head, no_folders};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{Call, RecordedSession, Recording, ToolUse, Trigger, Usage};
use crate::import::time::iso_ms;

const NAME: &str = "tracelab";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "a TraceLab trace",
    extensions: &["jsonl", "csv"],
    recognises: |head: &Head| is_rounds(head) || has_header(head, &CSV_COLUMNS),
    read: |path| if is_rounds(&Head::read(path)?) { read_rounds(path) } else { read_csv(path) },
    default_folders: no_folders,
};

const CSV_COLUMNS: [&str; 5] = ["session_id", "round_idx", "prefix_len", "input_len", "output_len"];

fn is_rounds(head: &Head) -> bool {
    head.any(|o| o.has_all(&["session_id", "round_index", "prefix_tokens", "newly_append_tokens"]))
}

#[derive(Deserialize)]
struct Round {
    project: Option<Name>,
    session_id: Name,
    #[serde(rename = "round_index")]
    index: u64,
    #[serde(rename = "round_id")]
    id: Option<String>,
    model: Option<String>,
    input_tokens_total: Option<Tokens>,
    prefix_tokens: Option<Tokens>,
    newly_append_tokens: Option<Tokens>,
    claude_cache_creation_input_tokens: Option<Tokens>,
    output_tokens: Option<Tokens>,
    reasoning_output_tokens: Option<Tokens>,
    #[serde(default)]
    timing_events: Vec<Event>,
    #[serde(default)]
    tools: Vec<Tool>,
    first_input_event_type: Option<String>,
}

#[derive(Deserialize)]
struct Event {
    event_type: String,
    timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "tool_name")]
    name: Option<String>,
    #[serde(rename = "tool_wall_latency_ms")]
    wall_ms: Option<f64>,
    #[serde(rename = "tool_internal_latency_ms")]
    internal_ms: Option<f64>,
    is_error: Option<bool>,
}

fn is_input(event: &Event) -> bool {
    matches!(event.event_type.as_str(), "user_message" | "tool_result")
}

impl Round {
    fn call(&self) -> Call {
        let (prefix, added) = (tokens(self.prefix_tokens), tokens(self.newly_append_tokens));
        let time = |event: &Event| event.timestamp.as_deref().and_then(iso_ms);
        let outputs = || self.timing_events.iter().filter(|e| !is_input(e)).filter_map(time);
        let first_output_ms = outputs().min_by(f64::total_cmp);
        let inputs = self.timing_events.iter().filter(|e| is_input(e)).filter_map(time);
        // Results that came after the answer began belong to the next call.
        let sent_ms = inputs.filter(|t| first_output_ms.is_none_or(|first| *t <= first)).max_by(f64::total_cmp);
        let tool = |tool: &Tool| {
            let name = tool.name.clone().unwrap_or_default();
            ToolUse {
                asks_person: ASK_A_PERSON.contains(&name.as_str()),
                name,
                wall_ms: tool.wall_ms,
                internal_ms: tool.internal_ms,
                is_error: tool.is_error,
            }
        };
        Call {
            id: self.id.clone(),
            model: self.model.clone(),
            trigger: match self.first_input_event_type.as_deref() {
                Some("user_message") => Some(Trigger::Human),
                Some("tool_result") => Some(Trigger::Tool),
                _ => None,
            },
            usage: Usage {
                prompt_tokens: tokens(self.input_tokens_total).or_else(|| Some(prefix? + added?)),
                cached_tokens: prefix,
                cache_written_tokens: tokens(self.claude_cache_creation_input_tokens),
                output_tokens: tokens(self.output_tokens),
                reasoning_tokens: tokens(self.reasoning_output_tokens),
            },
            sent_ms,
            first_output_ms,
            end_ms: outputs().max_by(f64::total_cmp),
            tools: self.tools.iter().map(tool).collect(),
            ..Call::default()
        }
    }
}

/// Sessions by name, with the number of each call.
#[derive(Default)]
struct Sessions {
    places: HashMap<String, usize>,
    sessions: Vec<(RecordedSession, Vec<(u64, Call)>)>,
}

impl Sessions {
    fn add(&mut self, path: &Path, name: &Name, project: Option<String>, round: u64, call: Call) {
        let name = name.to_string();
        let new = self.sessions.len();
        let place = *self.places.entry(name.clone()).or_insert(new);
        if place == new {
            let session = RecordedSession::new(key(path, format!("session {name}")), NAME, Vec::new());
            self.sessions.push((RecordedSession { project, ..session }, Vec::new()));
        }
        self.sessions[place].1.push((round, call));
    }

    /// The sessions with their calls in order. Returns how many rows repeat a round of their session.
    fn finish(self, recording: &mut Recording) {
        let mut repeated = 0;
        for (mut session, mut rounds) in self.sessions {
            rounds.sort_by_key(|(round, _)| *round);
            let before = rounds.len();
            rounds.dedup_by_key(|(round, _)| *round);
            repeated += (before - rounds.len()) as u64;
            session.calls = rounds.into_iter().map(|(_, call)| call).collect();
            let mut turn = 0;
            for (index, call) in session.calls.iter_mut().enumerate() {
                turn += u32::from(index > 0 && call.trigger == Some(Trigger::Human));
                call.human_turn_index = turn;
            }
            recording.sessions.push(session);
        }
        recording.leave_out("repeated rows", repeated);
    }
}

fn read_rounds(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Sessions::default());
    read_lines(path, &mut recording, |text, _| {
        let round: Round = serde_json::from_str(text)?;
        let project = round.project.as_ref().map(Name::to_string);
        sessions.add(path, &round.session_id, project, round.index, round.call());
        Ok(())
    })?;
    sessions.finish(&mut recording);
    Ok(recording)
}

/// Reads a workload: the wait for tools after each round is the delay of the next.
fn read_csv(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Sessions::default());
    read_rows(path, &mut recording, |row, _| {
        let name = row.text("session_id").ok_or_else(|| BadLine::new("no session_id"))?;
        let round = row.tokens("round_idx")?;
        let (prefix, input) = (row.tokens("prefix_len")?, row.tokens("input_len")?);
        let arrival_ms = row.number("arrival_time")?.filter(|_| round == 0);
        let call = Call {
            trigger: Some(if round == 0 { Trigger::Human } else { Trigger::Tool }),
            usage: Usage {
                prompt_tokens: Some(prefix + input),
                cached_tokens: Some(prefix),
                output_tokens: Some(row.tokens("output_len")?),
                ..Usage::default()
            },
            sent_ms: arrival_ms,
            sent_is_recorded: arrival_ms.is_some(),
            // Moved to the next round below.
            delay_ms: row.number("tool_wait_after_ms")?,
            ..Call::default()
        };
        sessions.add(path, &Name::Text(name.to_owned()), None, round, call);
        Ok(())
    })?;
    sessions.finish(&mut recording);
    for session in &mut recording.sessions {
        let mut before = None;
        for call in &mut session.calls {
            before = std::mem::replace(&mut call.delay_ms, before);
        }
    }
    Ok(recording)
}
