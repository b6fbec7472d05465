//! A configuration of the generator, estimated from the calls of a trace.

mod breaks;
mod choose;
mod curve;
mod effects;
mod families;
mod human_turns;
mod round;
mod samples;
mod subagents;
mod windows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::meta::PROGRAM;
use agentgen_trace::{Cancel, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

pub use choose::Choice;
use choose::{Values, choose};
use samples::Samples;

use crate::analyze::Options;
use crate::distance::{Calls, quantile};

/// Version of the JSON form of [`Fit`].
const SCHEMA_VERSION: u32 = 1;
/// Fewer conversations say too little about how they differ.
const LEAST_CONVERSATIONS: usize = 10;

/// A fitted configuration.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Fit {
    /// Version of this JSON form.
    pub schema_version: u32,
    /// Program and version that wrote it.
    pub program: String,
    /// Conversations that it was estimated from.
    pub conversations: u64,
    /// Calls that it was estimated from.
    pub calls: u64,
    /// The configuration.
    pub config: Map<String, Value>,
    /// Where each section of the configuration comes from.
    pub origins: BTreeMap<String, String>,
    /// How the families were chosen.
    pub choices: Vec<Choice>,
}

/// Estimates a configuration from traces. `odd`: from that half of the conversations alone, by the hash of their names.
pub fn fit(runs: &[PathBuf], odd: Option<bool>, options: &Options, cancel: &Cancel) -> Result<Fit> {
    let whole = Calls::read_all(runs, options, cancel)?;
    let half = odd.map(|odd| whole.half(odd));
    let calls = half.as_ref().unwrap_or(&whole);
    let found = calls.conversations.len();
    if found < LEAST_CONVERSATIONS {
        let found = format!("{found} sessions of main agents");
        let expected = "at least 10, to estimate how they differ";
        let first = runs.first().map_or(Path::new(""), PathBuf::as_path);
        return Err(Diagnostic::new("few-sessions", found, expected).in_file(first).into());
    }
    Ok(Fit::new(&whole, calls))
}

impl Fit {
    /// `whole`: with sub-agents, which `calls` may lack.
    fn new(whole: &Calls, calls: &Calls) -> Self {
        let mut fit = Self {
            schema_version: SCHEMA_VERSION,
            program: PROGRAM.to_owned(),
            conversations: calls.conversations.len() as u64,
            calls: calls.conversations.iter().map(|conversation| conversation.calls.len() as u64).sum(),
            config: Map::new(),
            origins: BTreeMap::new(),
            choices: Vec::new(),
        };
        let samples = Samples::new(calls);
        let windows = windows::windows(calls, &samples);
        fit.set("max_prompt_tokens", json!(windows.largest), "the largest context window of a session");
        fit.set("block_size", json!(calls.block_size), "the block size of the trace");
        let prefix = prefix(calls, &samples);
        let first_prompt = choose("cache.first_prompt", &samples.first_prompts, &mut fit.choices);
        let groups = json!({"num_groups": 1, "zipf_alpha": 0});
        let cache = json!({
            "layer1_tokens": prefix, "layer1_5_tokens": 0, "layer1_5_groups": groups, "layer2": null,
            "first_prompt": first_prompt
        });
        fit.set("cache", cache, "layer1_tokens: what most breaks keep, at most the smallest first prompts");
        let output = choose("generation_length", &samples.outputs, &mut fit.choices);
        fit.set("generation_length", smallest_one(output), "outputs of all calls");
        let triggers = triggers(calls, &samples, &mut fit.choices);
        fit.set("triggers", triggers, "growth beyond previous prompt and output, and waits, by what caused the call");
        fit.set(
            "session_effects",
            effects::effects(calls),
            "shares of the variance between sessions, by analysis of variance",
        );
        if let Some(kept) = output_kept(&samples) {
            fit.set("output_kept", kept, "prompts shorter than the previous prompt and output");
        }
        fit.set(
            "context_windows",
            windows.stated,
            "ends of sessions by context; windows by the largest prompt of a session",
        );
        if let Some(breaks) = breaks::breaks(calls, prefix) {
            fit.set("breaks", breaks, "sessions after a break: rates by trigger and context, kept tokens, new prompts");
        }
        if let Some(subagents) = subagents::subagents(whole, prefix) {
            fit.set("subagents", subagents, "sessions of sub-agents, by kind");
        }
        fit.set("restart_initial_probability", json!(0), "resumed sessions are large first prompts");
        let (arrival, origin) = arrival(calls);
        fit.set("arrival", arrival, origin);
        fit.set("calibrate", json!(false), "parameters are estimates of what was measured");
        fit
    }

    fn set(&mut self, section: &str, value: Value, origin: &str) {
        self.config.insert(section.to_owned(), value);
        self.origins.insert(section.to_owned(), origin.to_owned());
    }
}

/// Outputs may be shorter than the smallest length that the generator assumes.
fn smallest_one(mut stated: Value) -> Value {
    stated["min"] = json!(1);
    stated
}

/// Tokens that all sessions share, in whole blocks: what most breaks keep; at most the smallest first prompts.
fn prefix(calls: &Calls, samples: &Samples) -> u32 {
    let first = samples.first_prompts.sorted(None);
    let smallest = quantile(&first, 0.02).unwrap_or(0.0);
    let kept = quantile(&samples.kept, 0.5).unwrap_or(0.5 * smallest);
    let block = calls.block_size.max(1);
    (kept.min(smallest) as u32 / block).saturating_sub(1) * block
}

fn triggers(calls: &Calls, samples: &Samples, choices: &mut Vec<Choice>) -> Value {
    let mut caused = |name: &str, growth: &[Values; 3], wait: &Values| {
        let field = format!("triggers.{name}");
        let delay = if wait.is_empty() {
            json!({"median": 1000, "sigma": 0})
        } else {
            choose(&format!("{field}.delay_ms"), wait, choices)
        };
        json!({"new_tokens": samples::bands(&format!("{field}.new_tokens"), growth, choices), "delay_ms": delay})
    };
    let human = caused("human", &samples.growth_human, &samples.wait_human);
    let tool = caused("tool", &samples.growth_tool, &samples.wait_tool);
    json!({"human": human, "tool": tool, "calls_per_human_turn": human_turns::calls_per_human_turn(calls, samples.fresh_below)})
}

fn output_kept(samples: &Samples) -> Option<Value> {
    (!samples.missing.is_empty()).then(|| {
        json!({
            "short_probability": samples.short_probability.stated(),
            "missing_share": breaks::table(&samples.missing),
            "short_new_tokens": {"median": 1, "sigma": 0}
        })
    })
}

/// Arrivals at random, if sessions have different times of arrival.
fn arrival(calls: &Calls) -> (Value, &'static str) {
    let mut times: Vec<f64> = calls.conversations.iter().filter_map(|conversation| conversation.arrival_ms).collect();
    times.sort_by(f64::total_cmp);
    let span_s = times.last().zip(times.first()).map_or(0.0, |(last, first)| (last - first) / 1_000.0);
    if times.len() < calls.conversations.len() || span_s <= 0.0 {
        return (json!("closed"), "sessions have no different times of arrival");
    }
    let rate = (times.len() as f64 / span_s).clamp(1e-6, 1e9);
    (
        json!({"poisson": {"rate": round::significant(rate)}}),
        "sessions per second between the first and the last arrival",
    )
}
