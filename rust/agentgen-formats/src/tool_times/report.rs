//! The figures: by model and data set, and in these by tool.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::import::ShownProblem;

/// Version of the JSON.
const SCHEMA_VERSION: u32 = 1;

/// Quantiles of a distribution: 0 %, 5 %, and so on to 100 %.
const QUANTILES: usize = 21;

/// Time in tools and in the model.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ToolTimes {
    /// Version of this document.
    pub schema_version: u32,
    /// By model and data set, in order of their names.
    pub groups: Vec<Group>,
    /// Rows that could not be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(skip)]
    pub problems: Vec<ShownProblem>,
}

/// The traces of one model and data set.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Group {
    /// The model, if it is known.
    pub model: Option<String>,
    /// The data set, if it is known.
    pub dataset: Option<String>,
    /// Traces: runs of an agent; of an imported run, root sessions with their sub-agents.
    pub traces: u64,
    /// Model calls.
    pub steps: u64,
    /// Tool calls.
    pub tool_calls: u64,
    /// Time of the traces for which it is known.
    pub time: TimeSplit,
    /// Model calls of a trace.
    pub steps_per_trace: Option<Distribution>,
    /// Prompt tokens of a model call.
    pub input_tokens: Option<Distribution>,
    /// Output tokens of a model call.
    pub output_tokens: Option<Distribution>,
    /// Reasoning beside output tokens.
    pub reasoning: Option<Reasoning>,
    /// By tool, in order of their names.
    pub tools: Vec<Tool>,
}

/// Time in tools and in the model.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct TimeSplit {
    /// Traces whose time in the model is known, too.
    pub traces: u64,
    /// Time in tools in these, ms.
    pub tools_ms: f64,
    /// Time in the model in these, ms.
    pub model_ms: f64,
    /// Share of tools in the time of a trace.
    pub tool_share: Option<Distribution>,
}

/// Reasoning of model calls that have one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reasoning {
    /// Model calls with reasoning.
    pub steps: u64,
    /// Its length: characters, or tokens where only these are known.
    pub length: Distribution,
    /// `characters` or `tokens`.
    pub unit: &'static str,
    /// Length per output token, over all of these calls.
    pub per_output_token: Option<f64>,
    /// Pearson's correlation of length and output tokens.
    pub correlation: Option<f64>,
}

/// Calls of one tool.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Calls, also those without a time.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls by exit code.
    pub exit_codes: BTreeMap<i64, u64>,
    /// Duration, ms.
    pub latency_ms: Option<Distribution>,
    /// User and system time, s.
    pub cpu_s: Option<Distribution>,
    /// Peak memory of the process that ran it, bytes.
    pub max_rss_bytes: Option<Distribution>,
    /// Bytes read from the disk.
    pub read_bytes: Option<Distribution>,
    /// Bytes written to the disk.
    pub write_bytes: Option<Distribution>,
}

/// Values, with percentiles by linear interpolation.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Distribution {
    /// Number of values.
    pub count: u64,
    /// Mean.
    pub mean: f64,
    /// Least value.
    pub min: f64,
    /// 50th percentile.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Greatest value.
    pub max: f64,
    /// Percentiles 0, 5, 10, and so on to 100.
    pub quantiles: Vec<f64>,
}

impl Distribution {
    /// `None` without a value.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let at = |share: f64| {
            let place = share * (values.len() - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Some(Self {
            count: values.len() as u64,
            mean: values.iter().sum::<f64>() / values.len() as f64,
            min,
            median: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            max,
            quantiles: (0..QUANTILES).map(|step| at(step as f64 / (QUANTILES - 1) as f64)).collect(),
        })
    }
}

/// A trace whose figures are added.
#[derive(Debug, Default)]
pub(super) struct OneTrace {
    pub model: Option<String>,
    pub dataset: Option<String>,
    pub tools_ms: f64,
    pub model_ms: Option<f64>,
    pub steps: Vec<OneStep>,
    pub tools: Vec<OneTool>,
}

/// A model call.
#[derive(Debug, Default)]
pub(super) struct OneStep {
    pub input_tokens: Option<f64>,
    pub output_tokens: Option<f64>,
    /// Length of its reasoning.
    pub reasoning: Option<f64>,
}

/// A tool call.
#[derive(Debug, Default)]
pub(super) struct OneTool {
    pub name: String,
    pub ms: Option<f64>,
    pub exit_code: Option<i64>,
    pub is_error: bool,
    pub cpu_s: Option<f64>,
    pub max_rss_bytes: Option<f64>,
    pub read_bytes: Option<f64>,
    pub write_bytes: Option<f64>,
}

/// Collects the figures of traces.
#[derive(Debug)]
pub(super) struct Collector {
    groups: BTreeMap<(Option<String>, Option<String>), GroupValues>,
    /// What the length of reasoning counts.
    reasoning_unit: &'static str,
}

#[derive(Debug, Default)]
struct GroupValues {
    traces: u64,
    time: TimeSplit,
    shares: Vec<f64>,
    steps_per_trace: Vec<f64>,
    steps: Vec<OneStep>,
    tools: BTreeMap<String, Vec<OneTool>>,
}

impl Collector {
    /// Reasoning is measured in `characters` or `tokens`.
    pub fn new(reasoning_unit: &'static str) -> Self {
        Self { groups: BTreeMap::new(), reasoning_unit }
    }

    pub fn add(&mut self, trace: OneTrace) {
        let group = self.groups.entry((trace.model, trace.dataset)).or_default();
        group.traces += 1;
        group.steps_per_trace.push(trace.steps.len() as f64);
        if let Some(model_ms) = trace.model_ms {
            group.time.traces += 1;
            group.time.tools_ms += trace.tools_ms;
            group.time.model_ms += model_ms;
            let total = trace.tools_ms + model_ms;
            group.shares.extend((total > 0.0).then(|| trace.tools_ms / total));
        }
        group.steps.extend(trace.steps);
        for tool in trace.tools {
            group.tools.entry(tool.name.clone()).or_default().push(tool);
        }
    }

    pub fn finish(self, problems: Vec<ShownProblem>) -> ToolTimes {
        let unit = self.reasoning_unit;
        let groups = self.groups.into_iter().map(|((model, dataset), values)| values.finish(model, dataset, unit));
        ToolTimes { schema_version: SCHEMA_VERSION, groups: groups.collect(), problems }
    }
}

impl GroupValues {
    fn finish(self, model: Option<String>, dataset: Option<String>, unit: &'static str) -> Group {
        let of = |value: fn(&OneStep) -> Option<f64>| Distribution::of(self.steps.iter().filter_map(value).collect());
        Group {
            model,
            dataset,
            traces: self.traces,
            steps: self.steps.len() as u64,
            tool_calls: self.tools.values().map(|calls| calls.len() as u64).sum(),
            time: TimeSplit { tool_share: Distribution::of(self.shares), ..self.time },
            steps_per_trace: Distribution::of(self.steps_per_trace),
            input_tokens: of(|step| step.input_tokens),
            output_tokens: of(|step| step.output_tokens),
            reasoning: reasoning(&self.steps, unit),
            tools: self.tools.into_iter().map(|(name, calls)| tool(name, &calls)).collect(),
        }
    }
}

fn tool(name: String, calls: &[OneTool]) -> Tool {
    let of = |value: fn(&OneTool) -> Option<f64>| Distribution::of(calls.iter().filter_map(value).collect());
    let mut exit_codes = BTreeMap::new();
    for code in calls.iter().filter_map(|call| call.exit_code) {
        *exit_codes.entry(code).or_default() += 1;
    }
    Tool {
        name,
        calls: calls.len() as u64,
        errors: calls.iter().filter(|call| call.is_error).count() as u64,
        exit_codes,
        latency_ms: of(|call| call.ms),
        cpu_s: of(|call| call.cpu_s),
        max_rss_bytes: of(|call| call.max_rss_bytes),
        read_bytes: of(|call| call.read_bytes),
        write_bytes: of(|call| call.write_bytes),
    }
}

fn reasoning(steps: &[OneStep], unit: &'static str) -> Option<Reasoning> {
    let lengths: Vec<f64> = steps.iter().filter_map(|step| step.reasoning).collect();
    let pairs: Vec<(f64, f64)> = steps.iter().filter_map(|step| step.reasoning.zip(step.output_tokens)).collect();
    let tokens: f64 = pairs.iter().map(|(_, tokens)| tokens).sum();
    Some(Reasoning {
        steps: lengths.len() as u64,
        length: Distribution::of(lengths)?,
        unit,
        per_output_token: (tokens > 0.0).then(|| pairs.iter().map(|(length, _)| length).sum::<f64>() / tokens),
        correlation: correlation(&pairs),
    })
}

/// Pearson's correlation; `None` if one side does not vary.
fn correlation(pairs: &[(f64, f64)]) -> Option<f64> {
    let count = pairs.len() as f64;
    let (x_mean, y_mean) =
        (pairs.iter().map(|(x, _)| x).sum::<f64>() / count, pairs.iter().map(|(_, y)| y).sum::<f64>() / count);
    let sum = |of: fn(f64, f64) -> f64| pairs.iter().map(|(x, y)| of(x - x_mean, y - y_mean)).sum::<f64>();
    let spread = (sum(|x, _| x * x) * sum(|_, y| y * y)).sqrt();
    (spread > 0.0).then(|| sum(|x, y| x * y) / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_interpolated() {
        let of = Distribution::of(vec![4.0, 1.0, 3.0, 2.0, f64::NAN]).expect("values");
        assert_eq!((of.count, of.min, of.median, of.p90, of.max), (4, 1.0, 2.5, 3.7, 4.0));
        assert_eq!(of.quantiles.len(), QUANTILES);
        assert_eq!(Distribution::of(Vec::new()), None);
    }

    #[test]
    fn a_correlation_needs_values_that_vary() {
        assert_eq!(correlation(&[(1.0, 2.0), (2.0, 4.0), (3.0, 6.0)]), Some(1.0));
        assert_eq!(correlation(&[(1.0, 2.0), (1.0, 4.0)]), None);
        assert_eq!(correlation(&[]), None);
    }
}
