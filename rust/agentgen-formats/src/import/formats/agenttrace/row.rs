//! Rows of `AgentTrace`, from JSON or from the Parquet view with columns of JSON.

use std::path::Path;

use agentgen_trace::error::Result;
use agentgen_trace::source::TextRows;
use serde::Deserialize;

use super::super::Head;
use super::super::support::{problem, read_values};
use super::super::values::{Name, Tokens};
use crate::import::lines::BadLine;
use crate::import::model::Recording;
use crate::import::time::elapsed;

/// A run of an agent.
#[derive(Debug, Deserialize)]
pub(crate) struct Trace {
    #[serde(rename = "trace_id")]
    pub id: Name,
    pub timestamp_utc: Option<String>,
    pub model: Option<String>,
    pub dataset_name: Option<String>,
    pub total_duration_ms: Option<f64>,
    #[serde(default)]
    pub spans: Vec<Span>,
    pub llm_steps: Vec<Step>,
    pub metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize, Default)]
pub(crate) struct Metadata {
    pub collector_version: Option<String>,
    pub context_length: Option<Tokens>,
    pub dataset_name: Option<String>,
}

/// A tool call that ran.
#[derive(Debug, Deserialize)]
pub(crate) struct Span {
    #[serde(rename = "span_id")]
    pub id: Option<String>,
    pub tool_name: Option<String>,
    pub tool_input: Option<String>,
    pub tool_output: Option<String>,
    pub start_ns: Option<f64>,
    pub end_ns: Option<f64>,
    pub duration_ms: Option<f64>,
    pub exit_code: Option<i64>,
    pub telemetry: Option<Telemetry>,
}

/// What a tool call used.
#[derive(Debug, Deserialize, Default)]
pub(crate) struct Telemetry {
    pub user_time_s: Option<f64>,
    pub system_time_s: Option<f64>,
    /// Peak of the whole process.
    pub max_rss_bytes: Option<f64>,
    pub read_bytes: Option<f64>,
    pub write_bytes: Option<f64>,
}

/// A model call.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    #[serde(rename = "step_id")]
    pub id: Option<String>,
    #[serde(rename = "step_number")]
    pub number: Option<i64>,
    pub model_output: Option<String>,
    pub reasoning_content: Option<String>,
    pub tool_calls: Option<Vec<ToolCall>>,
    pub duration_ms: Option<f64>,
    pub input_tokens: Option<Tokens>,
    pub output_tokens: Option<Tokens>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ToolCall {
    pub name: Option<String>,
    pub arguments: Option<serde_json::Value>,
}

pub(super) fn is_view(head: &Head) -> bool {
    ["spans_json", "llm_steps_json"].iter().all(|name| head.columns.iter().any(|column| column == name))
}

/// Gives each trace of a file to a function, its steps in order.
pub(crate) fn read_traces(path: &Path, recording: &mut Recording, mut each: impl FnMut(Trace)) -> Result<()> {
    let mut each = |mut trace: Trace| {
        trace.llm_steps.sort_by_key(|step| step.number);
        each(trace);
    };
    if is_view(&Head::read(path)?) {
        return read_view(path, recording, each);
    }
    read_values(path, recording, |text, _| {
        each(serde_json::from_str(text)?);
        Ok(())
    })
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

fn read_view(path: &Path, recording: &mut Recording, mut each: impl FnMut(Trace)) -> Result<()> {
    let mut row = 0;
    for rows in TextRows::open(path, &COLUMNS)? {
        for columns in rows? {
            row += 1;
            match trace_of(columns) {
                Ok(trace) => each(trace),
                Err(bad) => problem(recording, path, Some(row), bad.reason()),
            }
        }
    }
    Ok(())
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

impl Step {
    /// The span of each tool call. Nothing but the order and the tool's name joins them: a call whose tool did not run has
    /// no span, and a span without a call is passed over.
    pub(crate) fn join<'a>(&self, spans: &mut &'a [Span]) -> Vec<Option<&'a Span>> {
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

impl Span {
    /// How long it took, ms.
    pub(crate) fn ms(&self) -> Option<f64> {
        self.duration_ms.or(elapsed(self.start_ns, self.end_ns).map(|ns| ns / 1e6))
    }
}
