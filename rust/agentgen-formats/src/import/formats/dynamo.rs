//! Request traces that a Dynamo frontend records (`dynamo.request.trace.v1`).

use std::collections::HashMap;
use std::path::Path;

use agentgen_trace::error::Result;
use serde::Deserialize;

use super::support::key;
use super::values::{BlockId, Name, Tokens, fits, ids, ms, tokens};
use super::{Format, Head, no_folders};
use crate::import::lines::{BadLine, read_lines};
use crate::import::model::{Agent, Call, Prompt, RecordedSession, Recording, ToolUse, Trigger, Usage};

const NAME: &str = "dynamo";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "a request trace of Dynamo",
    extensions: &["jsonl"],
    recognises: |head: &Head| {
        head.any(|o| {
            let record = o.object("event").unwrap_or(o);
            [o, record].iter().any(|o| o.text("schema") == Some("dynamo.request.trace.v1"))
        })
    },
    read,
    default_folders: no_folders,
};

/// A line: a record, alone or in an envelope.
#[derive(Deserialize)]
struct Line {
    event: Option<Record>,
    #[serde(flatten)]
    own: Record,
}

#[derive(Deserialize, Default)]
struct Record {
    event_type: Option<String>,
    event_time_unix_ms: Option<f64>,
    agent_context: Option<Context>,
    request: Option<Request>,
    tool: Option<Tool>,
}

#[derive(Deserialize)]
struct Context {
    session_id: Name,
    parent_session_id: Option<Name>,
    input_trigger: Option<String>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "request_id")]
    id: Option<Name>,
    model: Option<String>,
    output_tokens: Option<Tokens>,
    output_length: Option<Tokens>,
    cached_tokens: Option<Tokens>,
    ttft_ms: Option<f64>,
    #[serde(rename = "request_received_ms")]
    received_ms: Option<f64>,
    total_time_ms: Option<f64>,
    replay: Option<Replay>,
    #[serde(flatten)]
    own: Replay,
}

/// The shape of a prompt.
#[derive(Deserialize)]
struct Replay {
    trace_block_size: Option<Tokens>,
    #[serde(alias = "input_tokens")]
    input_length: Option<Tokens>,
    input_sequence_hashes: Option<Vec<BlockId>>,
}

#[derive(Deserialize)]
struct Tool {
    #[serde(rename = "tool_class")]
    class: Option<String>,
    started_at_unix_ms: Option<f64>,
    duration_ms: Option<f64>,
    status: Option<String>,
}

/// What happened in a session, in the order of time.
struct Activity {
    session: RecordedSession,
    parent: Option<String>,
    calls: Vec<Call>,
    tools: Vec<(f64, ToolUse)>,
}

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Vec::<Activity>::new());
    let (mut places, mut others) = (HashMap::<String, usize>::new(), 0);
    read_lines(path, &mut recording, |text, line| {
        let parsed: Line = serde_json::from_str(text)?;
        let mut record = parsed.event.unwrap_or(parsed.own);
        let context = record.agent_context.take();
        let name = match &context {
            Some(context) => format!("session {}", context.session_id),
            None => format!("line {line}"),
        };
        let found = match (record.event_type.as_deref(), record.request.take(), record.tool.take()) {
            (Some("request_end"), Some(request), _) => Ok(call(request, record.event_time_unix_ms, context.as_ref())?),
            (Some("tool_end" | "tool_error"), _, Some(tool)) if context.is_some() => Err(tool),
            _ => {
                others += 1;
                return Ok(());
            }
        };
        let new = sessions.len();
        let place = *places.entry(name.clone()).or_insert(new);
        if place == new {
            let parent =
                context.and_then(|context| context.parent_session_id).map(|parent| format!("session {parent}"));
            let session = RecordedSession::new(key(path, name), NAME, Vec::new());
            sessions.push(Activity { session, parent, calls: Vec::new(), tools: Vec::new() });
        }
        match found {
            Ok(call) => sessions[place].calls.push(call),
            Err(tool) => sessions[place].tools.extend(used(tool, record.event_time_unix_ms)),
        }
        Ok(())
    })?;
    recording.leave_out("events that are no request or tool", others);
    let has_calls: Vec<bool> = sessions.iter().map(|activity| !activity.calls.is_empty()).collect();
    for mut activity in sessions.into_iter().filter(|activity| !activity.calls.is_empty()) {
        // A parent of another file, or without a request, is unknown.
        let parent = activity.parent.take().filter(|parent| places.get(parent).is_some_and(|place| has_calls[*place]));
        if let Some(parent) = parent.map(|parent| key(path, parent)).filter(|parent| *parent != activity.session.key) {
            activity.session.agent = Agent::Sub { kind: None, parent, spawned_by: None, joined_by: None };
        }
        recording.sessions.push(activity.finish());
    }
    Ok(recording)
}

fn call(request: Request, event_ms: Option<f64>, context: Option<&Context>) -> Result<Call, BadLine> {
    let replay = request.replay.unwrap_or(request.own);
    let prompt = tokens(replay.input_length).ok_or_else(|| BadLine::new("a request without input_length"))?;
    let sent_ms = ms(request.received_ms, 1.0)?;
    let took_ms = ms(request.total_time_ms, 1.0)?;
    let content = match (replay.input_sequence_hashes, tokens(replay.trace_block_size)) {
        (Some(list), Some(size)) if size > 0 => {
            let size = u32::try_from(size).map_err(|_| BadLine::new("a block size that is too large"))?;
            if !fits(prompt, list.len(), size) {
                let reason = format!("{} hashes for {prompt} tokens in blocks of {size}", list.len());
                return Err(BadLine::new(reason));
            }
            // The hashes are of the content: they mean the same in all traces.
            Prompt::Blocks { scope: Some(NAME.to_owned()), block_tokens: size, ids: ids(list) }
        }
        _ => Prompt::Counted,
    };
    let cause = context.and_then(|context| context.input_trigger.as_deref());
    Ok(Call {
        id: request.id.map(|id| id.to_string()),
        model: request.model,
        trigger: match cause {
            Some(cause) if cause.starts_with("tool") => Some(Trigger::Tool),
            Some(cause) if cause.starts_with("user") => Some(Trigger::Human),
            _ => None,
        },
        usage: Usage {
            prompt_tokens: Some(prompt),
            cached_tokens: tokens(request.cached_tokens),
            output_tokens: tokens(request.output_tokens.or(request.output_length)),
            ..Usage::default()
        },
        prompt: content,
        sent_ms,
        sent_is_recorded: sent_ms.is_some(),
        first_output_ms: sent_ms.zip(ms(request.ttft_ms, 1.0)?).map(|(sent, first)| sent + first),
        end_ms: sent_ms.zip(took_ms).map(|(sent, took)| sent + took).or(ms(event_ms, 1.0)?),
        ..Call::default()
    })
}

/// A tool with the time at which it began.
fn used(tool: Tool, event_ms: Option<f64>) -> Option<(f64, ToolUse)> {
    let duration_ms = tool.duration_ms.filter(|ms| *ms >= 0.0);
    let began = tool.started_at_unix_ms.or_else(|| Some(event_ms? - duration_ms.unwrap_or(0.0)))?;
    let is_error = tool.status.map(|status| !matches!(status.as_str(), "succeeded" | "success" | "ok"));
    let name = tool.class.unwrap_or_default();
    Some((began, ToolUse { name, wall_ms: duration_ms, is_error, ..ToolUse::default() }))
}

impl Activity {
    fn finish(mut self) -> RecordedSession {
        let time = |call: &Call| call.sent_ms.or(call.end_ms).unwrap_or(0.0);
        self.calls.sort_by(|a, b| time(a).total_cmp(&time(b)));
        self.tools.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (began, tool) in self.tools {
            // A tool is that of the last call before it.
            let before = self.calls.partition_point(|call| time(call) <= began);
            if let Some(call) = before.checked_sub(1).and_then(|index| self.calls.get_mut(index)) {
                call.tools.push(tool);
            }
        }
        let mut human_turns = 0_u32;
        for call in &mut self.calls {
            human_turns += u32::from(call.trigger == Some(Trigger::Human));
            call.human_turn_index = human_turns.saturating_sub(1);
        }
        RecordedSession { calls: self.calls, ..self.session }
    }
}
