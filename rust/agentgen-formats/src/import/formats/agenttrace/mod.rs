//! `AgentTrace`: steps of a small model and spans of its tools, as JSON or in the Parquet view with columns of JSON.

pub(crate) mod row;

use std::path::Path;

use agentgen_trace::error::Result;

use self::row::{Span, ToolCall, Trace};
use super::support::key;
use super::values::tokens;
use super::{Format, Head, no_folders};
use crate::import::model::{Call, Client, RecordedSession, Recording, ToolUse, Trigger, Usage};
use crate::import::time::{elapsed, iso_ms};

const NAME: &str = "agenttrace";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "an AgentTrace data set",
    extensions: &["jsonl", "json", "parquet"],
    recognises: |head: &Head| row::is_view(head) || head.any(|o| o.has_array("llm_steps") && o.has_array("spans")),
    read,
    default_folders: no_folders,
};

fn read(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Sessions::default());
    row::read_traces(path, &mut recording, |trace| sessions.add(path, trace))?;
    Ok(sessions.finish(recording))
}

/// The sessions so far, and how many traces have none.
#[derive(Default)]
struct Sessions {
    sessions: Vec<RecordedSession>,
    empty: u64,
}

impl Sessions {
    fn add(&mut self, path: &Path, trace: Trace) {
        match session_of(path, trace) {
            Some(session) => self.sessions.push(session),
            None => self.empty += 1,
        }
    }

    fn finish(self, mut recording: Recording) -> Recording {
        recording.sessions = self.sessions;
        recording.leave_out("traces without a model call", self.empty);
        recording
    }
}

fn session_of(path: &Path, mut trace: Trace) -> Option<RecordedSession> {
    let metadata = trace.metadata.take().unwrap_or_default();
    let clock = Clock::of(&trace);
    let (mut spans, mut calls): (_, Vec<Call>) = (trace.spans.as_slice(), Vec::new());
    // When the tools of the call before were done.
    let mut ready_ms = clock.start_ms;
    for step in &trace.llm_steps {
        let joined = step.join(&mut spans);
        let at = |ns: Option<f64>| clock.at(ns?);
        let first_start = joined.iter().flatten().find_map(|span| at(span.start_ns));
        let called = |(call, span): (&ToolCall, Option<&Span>)| call.tool(span);
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let asked = step.tool_calls.iter().flatten().map(ToolCall::bytes).sum::<usize>();
        let waited =
            calls.last().map(|before: &Call| before.tools.iter().filter_map(|tool| tool.internal_ms).sum::<f64>());
        calls.push(Call {
            model: trace.model.clone(),
            trigger: Some(if calls.is_empty() { Trigger::Human } else { Trigger::Tool }),
            usage: Usage {
                prompt_tokens: tokens(step.input_tokens),
                output_tokens: tokens(step.output_tokens),
                ..Usage::default()
            },
            sent_ms: ready_ms,
            end_ms: first_start.filter(|end| ready_ms.is_some_and(|sent| sent <= *end)),
            // All that is recorded of the time between two calls is what the tools took.
            delay_ms: waited,
            output_bytes: Some((text(&step.model_output) + text(&step.reasoning_content) + asked) as u64),
            tools: step.tool_calls.iter().flatten().zip(joined.iter().copied()).map(called).collect(),
            ..Call::default()
        });
        ready_ms = joined.iter().flatten().rev().find_map(|span| at(span.end_ns));
    }
    if calls.is_empty() {
        return None;
    }
    Some(RecordedSession {
        client: Client { format: NAME.to_owned(), version: metadata.collector_version },
        project: trace.dataset_name.or(metadata.dataset_name),
        context_window: tokens(metadata.context_length),
        ..RecordedSession::new(key(path, trace.id), NAME, calls)
    })
}

impl ToolCall {
    fn tool(&self, span: Option<&Span>) -> ToolUse {
        ToolUse {
            name: self.name.clone().unwrap_or_default(),
            internal_ms: span.and_then(Span::ms),
            is_error: span.and_then(|span| span.exit_code).map(|code| code != 0),
            ..ToolUse::default()
        }
    }

    fn bytes(&self) -> usize {
        let arguments = match &self.arguments {
            Some(serde_json::Value::String(text)) => text.len(),
            Some(other) => other.to_string().len(),
            None => 0,
        };
        self.name.as_ref().map_or(0, String::len) + arguments
    }
}

/// Times of spans, which have a clock of their own: the last one ends when the run does.
struct Clock {
    start_ms: Option<f64>,
    /// What is added to the spans' times in ms.
    offset_ms: Option<f64>,
}

impl Clock {
    fn of(trace: &Trace) -> Self {
        let start_ms = trace.timestamp_utc.as_deref().and_then(iso_ms);
        let times = |time: fn(&Span) -> Option<f64>| trace.spans.iter().filter_map(time).map(|ns| ns / 1e6);
        let last = times(|span| span.end_ns).max_by(f64::total_cmp);
        let first = times(|span| span.start_ns).min_by(f64::total_cmp);
        let run_ms = trace.total_duration_ms.filter(|ms| elapsed(first, last).is_some_and(|spans| spans <= *ms));
        let offset_ms = start_ms.zip(run_ms.zip(last)).map(|(start, (run, last))| start + run - last);
        Self { start_ms, offset_ms }
    }

    fn at(&self, ns: f64) -> Option<f64> {
        Some(ns / 1e6 + self.offset_ms?)
    }
}
