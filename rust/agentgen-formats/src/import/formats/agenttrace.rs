//! `AgentTrace`: steps of a small model and spans of its tools, as JSON or in the Parquet view with columns of JSON.

use std::path::Path;

use agentgen_trace::error::Result;
use agentgen_trace::source::TextRows;
use serde::Deserialize;

use super::support::{key, problem, read_values};
use super::values::{Name, Tokens, tokens};
use super::{Format, Head, no_folders};
use crate::import::lines::BadLine;
use crate::import::model::{Call, Client, RecordedSession, Recording, ToolUse, Trigger, Usage};
use crate::import::time::{elapsed, iso_ms};

const NAME: &str = "agenttrace";

pub const FORMAT: Format = Format {
    name: NAME,
    title: "an AgentTrace data set",
    extensions: &["jsonl", "json", "parquet"],
    recognises: |head: &Head| is_view(head) || head.any(|o| o.has_array("llm_steps") && o.has_array("spans")),
    read: |path| if is_view(&Head::read(path)?) { read_view(path) } else { read_json(path) },
    default_folders: no_folders,
};

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "trace_id")]
    id: Name,
    timestamp_utc: Option<String>,
    model: Option<String>,
    dataset_name: Option<String>,
    total_duration_ms: Option<f64>,
    #[serde(default)]
    spans: Vec<Span>,
    llm_steps: Vec<Step>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize, Default)]
struct Metadata {
    collector_version: Option<String>,
    context_length: Option<Tokens>,
    dataset_name: Option<String>,
}

/// A tool call that ran.
#[derive(Deserialize)]
struct Span {
    tool_name: Option<String>,
    start_ns: Option<f64>,
    end_ns: Option<f64>,
    duration_ms: Option<f64>,
    exit_code: Option<i64>,
}

/// A model call.
#[derive(Deserialize)]
struct Step {
    #[serde(rename = "step_number")]
    number: Option<i64>,
    model_output: Option<String>,
    reasoning_content: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
    input_tokens: Option<Tokens>,
    output_tokens: Option<Tokens>,
}

#[derive(Deserialize)]
struct ToolCall {
    name: Option<String>,
    arguments: Option<serde_json::Value>,
}

fn is_view(head: &Head) -> bool {
    ["spans_json", "llm_steps_json"].iter().all(|name| head.columns.iter().any(|column| column == name))
}

fn read_json(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions) = (Recording::default(), Sessions::default());
    read_values(path, &mut recording, |text, _| {
        sessions.add(path, serde_json::from_str(text)?);
        Ok(())
    })?;
    Ok(sessions.finish(recording))
}

/// Columns of the Parquet view.
const COLUMNS: [&str; 8] = [
    "trace_id",
    "timestamp_utc",
    "model",
    "dataset_name",
    "total_duration_ms",
    "spans_json",
    "llm_steps_json",
    "metadata_json",
];

fn read_view(path: &Path) -> Result<Recording> {
    let (mut recording, mut sessions, mut row) = (Recording::default(), Sessions::default(), 0);
    for rows in TextRows::open(path, &COLUMNS)? {
        for columns in rows? {
            row += 1;
            match trace_of(columns) {
                Ok(trace) => sessions.add(path, trace),
                Err(bad) => problem(&mut recording, path, Some(row), bad.reason()),
            }
        }
    }
    Ok(sessions.finish(recording))
}

fn trace_of(columns: Vec<Option<String>>) -> Result<Trace, BadLine> {
    let [trace_id, timestamp_utc, model, dataset_name, duration, spans, steps, metadata] =
        <[Option<String>; 8]>::try_from(columns).map_err(|_| BadLine::new("a row of another table"))?;
    Ok(Trace {
        id: Name::Text(trace_id.ok_or_else(|| BadLine::new("no trace_id"))?),
        timestamp_utc,
        model,
        dataset_name,
        total_duration_ms: duration.and_then(|text| text.parse().ok()),
        spans: serde_json::from_str(spans.as_deref().unwrap_or("[]"))?,
        llm_steps: serde_json::from_str(steps.as_deref().unwrap_or("[]"))?,
        metadata: serde_json::from_str(metadata.as_deref().unwrap_or("null"))?,
    })
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
    trace.llm_steps.sort_by_key(|step| step.number);
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

impl Step {
    /// The span of each tool call. Nothing but the order and the tool's name joins them: a call whose tool did not run has
    /// no span, and a span without a call is passed over.
    fn join<'a>(&self, spans: &mut &'a [Span]) -> Vec<Option<&'a Span>> {
        let mut join = |call: &ToolCall| {
            let is_its = |span: &Span| span.tool_name == call.name;
            let at = spans.iter().take(LOOK_AHEAD).position(is_its)?;
            let span = &spans[at];
            *spans = &spans[at + 1..];
            Some(span)
        };
        self.tool_calls.iter().flatten().map(&mut join).collect()
    }
}

/// Spans among which that of a call is sought: the next, or the one after a span without a call.
const LOOK_AHEAD: usize = 2;

impl ToolCall {
    fn tool(&self, span: Option<&Span>) -> ToolUse {
        ToolUse {
            name: self.name.clone().unwrap_or_default(),
            internal_ms: span
                .and_then(|span| span.duration_ms.or(elapsed(span.start_ns, span.end_ns).map(|ns| ns / 1e6))),
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
