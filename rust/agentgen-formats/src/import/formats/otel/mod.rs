//! Spans of `OpenTelemetry` with its conventions for generative AI (`gen_ai`), as JSON.

mod span;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use agentgen_trace::error::Result;
use serde_json::Value;

use self::span::{Span, spans_of};
use super::chat::{Kind, message, tools_part, trigger};
use super::support::{key, read_values};
use super::{Format, Head, HeadObject, no_folders};
use crate::import::model::{Agent, Call, Part, Prompt, RecordedSession, Recording, ToolUse, Trigger};

const NAME: &str = "otel";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "OpenTelemetry spans",
    extensions: &["json", "jsonl"],
    recognises: |head: &Head| head.any(|o| o.has_array("resourceSpans") || is_span(o)),
    read,
    default_folders: no_folders,
};

fn is_span(object: &HeadObject) -> bool {
    let keys = ["gen_ai.operation.name", "gen_ai.request.model", "gen_ai.system", "gen_ai.provider.name"];
    object.object("attributes").is_some_and(|attributes| keys.iter().any(|key| attributes.has(key)))
}

/// Clocks of processes differ: a call that begins this much before another one ends still follows it.
const SLACK_MS: f64 = 1.0;

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut spans) = (Recording::default(), Vec::new());
    read_values(path, &mut recording, |text, _| spans_of(&serde_json::from_str::<Value>(text)?, &mut spans))?;
    let (mut seen, before) = (HashSet::new(), spans.len());
    spans.retain(|span: &Span| seen.insert((span.trace.clone(), span.id.clone())));
    recording.leave_out("repeated spans", (before - spans.len()) as u64);
    spans.sort_by(|a, b| a.start_ms.total_cmp(&b.start_ms).then_with(|| a.id.cmp(&b.id)));
    recording.sessions = Agents::of(&spans).sessions(path);
    Ok(recording)
}

/// The calls and tools of an agent.
#[derive(Default)]
struct Activity<'a> {
    calls: Vec<&'a Span>,
    tools: Vec<&'a Span>,
    kind: Option<&'a str>,
    /// Names of the agents around it, the nearest first.
    parents: Vec<String>,
}

/// Agents by name, in the order of their first call.
#[derive(Default)]
struct Agents<'a> {
    order: Vec<String>,
    activities: HashMap<String, Activity<'a>>,
}

impl<'a> Agents<'a> {
    fn of(spans: &'a [Span]) -> Self {
        let by_id: HashMap<(&str, &str), &Span> = spans.iter().map(|span| ((&*span.trace, &*span.id), span)).collect();
        let mut agents = Self::default();
        for span in spans.iter().filter(|span| span.is_call() || span.is_tool()) {
            let around = agents_around(span, &by_id);
            let mut names = (0..around.len().max(1)).map(|from| name(span, around.get(from..).unwrap_or_default()));
            let own = names.next().unwrap_or_default();
            let activity = agents.activities.entry(own.clone()).or_insert_with(|| {
                let kind = around.first().and_then(|agent| agent.agent_name());
                Activity { kind, parents: names.collect(), ..Activity::default() }
            });
            if span.is_tool() {
                activity.tools.push(span);
                continue;
            }
            if activity.calls.is_empty() {
                agents.order.push(own);
            }
            activity.calls.push(span);
        }
        agents
    }

    fn sessions(&self, path: &Path) -> Vec<RecordedSession> {
        let session_of = |name: &String| {
            let activity = self.activities.get(name)?;
            let agent = activity.parents.iter().find_map(|parent| {
                let calls = self.activities.get(parent).map(|a| &a.calls).filter(|calls| !calls.is_empty())?;
                let (first, last) = (activity.calls.first()?.start_ms, activity.calls.last()?.end_ms);
                let ended = |call: &&Span| call.end_ms.is_some_and(|end| end <= first + SLACK_MS);
                let after = |call: &&Span| last.is_some_and(|last| call.start_ms + SLACK_MS >= last);
                Some(Agent::Sub {
                    kind: activity.kind.map(str::to_owned),
                    parent: key(path, parent),
                    spawned_by: calls.iter().rposition(ended),
                    joined_by: calls.iter().position(after),
                })
            });
            let session = RecordedSession::new(key(path, name), NAME, activity.calls());
            Some(RecordedSession { agent: agent.unwrap_or(Agent::Main), ..session })
        };
        self.order.iter().filter_map(session_of).collect()
    }
}

/// The spans of agents around a span, the innermost first. Ends where a span is its own ancestor.
fn agents_around<'a>(span: &'a Span, by_id: &HashMap<(&str, &str), &'a Span>) -> Vec<&'a Span> {
    let (mut agents, mut at, mut seen) = (Vec::new(), span, HashSet::from([&*span.id]));
    while let Some(parent) = at.parent.as_deref().and_then(|id| by_id.get(&(&*at.trace, id)).copied()) {
        if !seen.insert(&parent.id) {
            break;
        }
        if parent.is_agent() {
            agents.push(parent);
        }
        at = parent;
    }
    agents
}

/// The name of an agent: that of the conversation (or trace) for the outermost, that of its span for others.
fn name(span: &Span, around: &[&Span]) -> String {
    if let [agent, _, ..] = around {
        return format!("agent {}", agent.id);
    }
    let conversation = span.conversation().or_else(|| around.first().and_then(|agent| agent.conversation()));
    conversation.map_or_else(|| format!("trace {}", span.trace), |id| format!("conversation {id}"))
}

impl Activity<'_> {
    fn calls(&self) -> Vec<Call> {
        let mut tools = self.tools.iter().peekable();
        let (mut calls, mut human_turns, mut before): (Vec<Call>, u32, Vec<Part>) = (Vec::new(), 0, Vec::new());
        for (index, span) in self.calls.iter().enumerate() {
            let (parts, last) = prompt(span);
            let has_tools = calls.last().is_some_and(|call: &Call| !call.tools.is_empty());
            let trigger = last.and_then(trigger).or(has_tools.then_some(Trigger::Tool));
            human_turns += u32::from(trigger == Some(Trigger::Human));
            let next_ms = self.calls.get(index + 1).map_or(f64::INFINITY, |next| next.start_ms);
            let mut used = Vec::new();
            while let Some(tool) = tools.next_if(|tool| tool.start_ms < next_ms) {
                used.push(ToolUse {
                    name: tool.tool_name().unwrap_or_default().to_owned(),
                    wall_ms: tool.end_ms.map(|end| (end - tool.start_ms).max(0.0)),
                    is_error: Some(tool.is_error),
                    ..ToolUse::default()
                });
            }
            let answer = span.list("gen_ai.output.messages");
            let answer = answer.and_then(|list| list.as_array()?.iter().map(|m| message(m).ok()).collect());
            calls.push(Call {
                model: span.model().map(str::to_owned),
                trigger,
                human_turn_index: human_turns.saturating_sub(1),
                usage: span.usage(),
                prompt: match parts.strip_prefix(&*before) {
                    _ if parts.is_empty() => Prompt::Counted,
                    Some(added) if !before.is_empty() && !added.is_empty() => Prompt::Appended(added.to_vec()),
                    _ => Prompt::Parts(parts.clone()),
                },
                sent_ms: Some(span.start_ms),
                sent_is_recorded: true,
                end_ms: span.end_ms,
                output_bytes: answer.map(|list: Vec<super::chat::Message>| list.iter().map(|m| m.part.bytes).sum()),
                tools: used,
                ..Call::default()
            });
            before = parts;
        }
        calls
    }
}

/// The parts of a call's prompt, if it is recorded, and what its last message is.
fn prompt(span: &Span) -> (Vec<Part>, Option<Kind>) {
    let Some(messages) = span.list("gen_ai.input.messages") else { return (Vec::new(), None) };
    let mut parts: Vec<Part> = tools_part(span.list("gen_ai.tool.definitions").as_ref()).into_iter().collect();
    if let Some(system) = span.list("gen_ai.system_instructions") {
        let system = message(&serde_json::json!({ "role": "system", "parts": system }));
        parts.extend(system.map(|message| message.part));
    }
    let mut last = None;
    for read in messages.as_array().into_iter().flatten().filter_map(|value| message(value).ok()) {
        last = Some(read.kind);
        parts.push(read.part);
    }
    (parts, last)
}
