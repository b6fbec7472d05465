//! A trajectory as it is written. What calls are not made of is skipped.
#![allow(clippy::struct_field_names)] // the names of the format

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::json::{Content, Flag, Maybe, Number, Str};
use crate::import::time::epoch_ms;

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Trajectory<'a> {
    #[serde(borrow)]
    pub session_id: Str<'a>,
    pub trajectory_id: Str<'a>,
    pub agent: Maybe<Agent<'a>>,
    pub steps: Vec<Maybe<Step<'a>>>,
    pub subagent_trajectories: Option<Vec<Maybe<Trajectory<'a>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Agent<'a> {
    #[serde(borrow)]
    pub name: Str<'a>,
    pub version: Str<'a>,
    pub model_name: Str<'a>,
    pub tool_definitions: Option<&'a RawValue>,
    pub extra: Maybe<AgentExtra<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct AgentExtra<'a> {
    #[serde(borrow)]
    pub cwd: Str<'a>,
    pub project_path: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Step<'a> {
    pub step_id: Number,
    #[serde(borrow)]
    pub timestamp: Str<'a>,
    pub source: Str<'a>,
    pub message: Content<'a, Block<'a>>,
    pub model_name: Str<'a>,
    pub reasoning_content: Option<&'a RawValue>,
    pub tool_calls: Option<Vec<Maybe<ToolCall<'a>>>>,
    pub observation: Maybe<Observation<'a>>,
    pub metrics: Maybe<Metrics>,
    pub is_copied_context: Flag,
    pub llm_call_count: Number,
    pub extra: Maybe<Extra>,
}

/// A part of a message: text; other parts have no text.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Block<'a> {
    #[serde(borrow)]
    pub text: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct ToolCall<'a> {
    #[serde(borrow)]
    pub tool_call_id: Str<'a>,
    pub function_name: Str<'a>,
    pub arguments: Option<&'a RawValue>,
    pub extra: Maybe<Extra>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Observation<'a> {
    #[serde(borrow)]
    pub results: Vec<Maybe<Outcome<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Outcome<'a> {
    #[serde(borrow)]
    pub source_call_id: Str<'a>,
    pub content: Option<Content<'a, Block<'a>>>,
    pub subagent_trajectory_ref: Option<Vec<Maybe<Reference<'a>>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Reference<'a> {
    #[serde(borrow)]
    pub trajectory_id: Str<'a>,
    pub session_id: Str<'a>,
    pub trajectory_path: Str<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Metrics {
    pub prompt_tokens: Number,
    pub completion_tokens: Number,
    pub cached_tokens: Number,
    pub extra: Maybe<MetricsExtra>,
}

/// What Harbor's converters of other agents add.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct MetricsExtra {
    pub reasoning_tokens: Number,
    pub reasoning_output_tokens: Number,
    pub cache_creation_input_tokens: Number,
}

/// What the Agent Toolkit of NVIDIA adds: real times.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Extra {
    pub invocation: Maybe<Invocation>,
}

/// In seconds since the Unix epoch.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Invocation {
    pub start_timestamp: Number,
    pub end_timestamp: Number,
}

impl Extra {
    /// Start and end, in ms.
    pub fn times(extra: &Maybe<Self>) -> (Option<f64>, Option<f64>) {
        let invocation = extra.0.as_ref().and_then(|extra| extra.invocation.0.as_ref());
        let ms = |of: fn(&Invocation) -> Number| epoch_ms(invocation.and_then(|i| of(i).0).map(|s| s * 1000.0));
        (ms(|i| i.start_timestamp), ms(|i| i.end_timestamp))
    }
}
