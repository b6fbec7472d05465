//! Figures of `AgentTrace` data sets.

use std::path::Path;

use agentgen_trace::error::Result;

use super::report::{Collector, OneStep, OneTool, OneTrace, ToolTimes};
use crate::import::formats::agenttrace::row::{Span, Step, Trace, read_traces};
use crate::import::formats::values::tokens;
use crate::import::model::Recording;
use crate::import::{ShownProblem, nothing};

/// Reads all files.
pub(super) fn report(paths: &[impl AsRef<Path>]) -> Result<ToolTimes> {
    let mut collector = Collector::new("characters");
    let (mut recording, mut traces) = (Recording::default(), 0);
    for path in paths {
        read_traces(path.as_ref(), &mut recording, |trace| {
            traces += 1;
            collector.add(one(&trace));
        })?;
    }
    if traces == 0 {
        return Err(nothing(paths.len(), &recording.problems));
    }
    Ok(collector.finish(recording.problems.into_iter().map(ShownProblem::from).collect()))
}

/// The model has what the tools leave of the run's time.
fn one(trace: &Trace) -> OneTrace {
    let tools_ms = trace.spans.iter().filter_map(Span::ms).sum();
    let dataset = trace.metadata.as_ref().and_then(|metadata| metadata.dataset_name.clone());
    OneTrace {
        model: trace.model.clone(),
        dataset: trace.dataset_name.clone().or(dataset),
        tools_ms,
        model_ms: trace.total_duration_ms.map(|total| (total - tools_ms).max(0.0)),
        steps: trace.llm_steps.iter().map(step).collect(),
        tools: trace.spans.iter().map(tool).collect(),
    }
}

fn step(step: &Step) -> OneStep {
    let reasoning = step.reasoning_content.as_ref().filter(|text| !text.is_empty());
    OneStep {
        input_tokens: tokens(step.input_tokens).map(|count| count as f64),
        output_tokens: tokens(step.output_tokens).map(|count| count as f64),
        reasoning: reasoning.map(|text| text.chars().count() as f64),
    }
}

fn tool(span: &Span) -> OneTool {
    let used = span.telemetry.as_ref();
    OneTool {
        name: span.tool_name.clone().unwrap_or_default(),
        ms: span.ms(),
        exit_code: span.exit_code,
        is_error: span.exit_code.is_some_and(|code| code != 0),
        cpu_s: used.and_then(|used| Some(used.user_time_s? + used.system_time_s.unwrap_or(0.0))),
        max_rss_bytes: used.and_then(|used| used.max_rss_bytes),
        read_bytes: used.and_then(|used| used.read_bytes),
        write_bytes: used.and_then(|used| used.write_bytes),
    }
}
