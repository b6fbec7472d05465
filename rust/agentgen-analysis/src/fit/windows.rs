//! Context windows, and where sessions end.

use serde_json::{Value, json};

use super::curve::Rates;
use super::round::four_digits;
use super::samples::Samples;
use crate::distance::{Calls, Conversation};

/// Context windows of models, tokens.
const WINDOWS: [u32; 8] = [32_768, 65_536, 131_072, 200_000, 262_144, 400_000, 1_000_000, 2_000_000];
/// Share of the sessions that fit in the smaller of two windows.
const MOST_SESSIONS: f64 = 0.7;
/// First prompts at which the share of the larger window changes, relative to the smaller window.
const FIRST_PROMPTS: [f64; 5] = [0.15, 0.3, 0.5, 0.825, 1.0];
/// Contexts at which the probability of an end changes, relative to the window.
const CONTEXTS: [f64; 8] = [0.06, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875];
/// From this share of the smaller window on, it is known which window a session has.
const NEAR: f64 = 0.7;

/// The windows of a trace.
pub(super) struct Windows {
    /// Tokens of the largest.
    pub largest: u32,
    /// As a configuration states them.
    pub stated: Value,
}

fn largest_prompt(conversation: &Conversation) -> u32 {
    conversation.calls.iter().map(|call| call.prompt).max().unwrap_or(0)
}

/// The smallest window above a prompt; beyond all, the prompt itself.
fn window_of(prompt: u32) -> u32 {
    WINDOWS.into_iter().find(|window| *window > prompt).unwrap_or(prompt + 1)
}

pub(super) fn windows(calls: &Calls, samples: &Samples) -> Windows {
    let mut prompts: Vec<u32> = calls.conversations.iter().map(largest_prompt).collect();
    prompts.sort_unstable();
    let largest = window_of(prompts.last().copied().unwrap_or(0));
    let common = window_of(prompts[(MOST_SESSIONS * (prompts.len() - 1) as f64) as usize]);
    let is_large = |conversation: &Conversation| largest_prompt(conversation) >= common;
    let end = |large: bool, window: u32| {
        let edges = CONTEXTS.map(|share| (share * f64::from(window)).round());
        let mut rates = Rates::new(&edges, 40.0);
        for conversation in calls.conversations.iter().filter(|c| is_large(c) == large) {
            for (index, call) in conversation.calls.iter().enumerate() {
                rates.add(f64::from(call.prompt), index + 1 == conversation.calls.len());
            }
        }
        rates
    };
    let window = |name: &str, tokens: u32, weight: Value, large: bool| {
        let rates = end(large, tokens);
        let factor = end_factor(calls, &rates, samples.fresh_below, |c| is_large(c) == large);
        json!({
            "name": name, "max_prompt_tokens": tokens, "weight": weight, "end_probability": rates.stated(),
            "end_factor": factor
        })
    };
    if common == largest {
        return Windows { largest, stated: json!([window("all", largest, json!(1), false)]) };
    }
    let edges = FIRST_PROMPTS.map(|share| (share * f64::from(common)).round());
    let (mut known, mut all) = (Rates::new(&edges, 0.0), Rates::new(&edges, 0.0));
    for conversation in &calls.conversations {
        let Some(first) = conversation.calls.first() else { continue };
        let large = is_large(conversation);
        all.add(f64::from(first.prompt), large);
        if f64::from(largest_prompt(conversation)) >= NEAR * f64::from(common) {
            known.add(f64::from(first.prompt), large);
        }
    }
    let centers = [0.0].into_iter().chain(edges).collect::<Vec<_>>();
    let share = |size: f64| known.at(size).max(all.at(size)).min(1.0);
    let curve = |of: &dyn Fn(f64) -> f64| {
        let steps = edges.iter().zip(&centers);
        let points = steps
            .flat_map(|(edge, below)| [json!([edge, four_digits(of(*below))]), json!([edge, four_digits(of(*edge))])]);
        Value::Array(points.collect())
    };
    let small = window("small", common, curve(&|size| 1.0 - share(size)), false);
    let large = window("large", largest, curve(&|size| share(size)), true);
    Windows { largest, stated: json!([small, large]) }
}

/// Ends of new and of resumed sessions, relative to the rates of all.
fn end_factor(calls: &Calls, rates: &Rates, fresh_below: Option<f64>, has: impl Fn(&Conversation) -> bool) -> Value {
    let Some(split) = fresh_below else { return json!(1) };
    let (mut seen, mut expected) = ([0.0; 2], [0.0; 2]);
    for conversation in calls.conversations.iter().filter(|c| has(c)) {
        let Some(first) = conversation.calls.first() else { continue };
        let kind = usize::from(f64::from(first.prompt) >= split);
        seen[kind] += 1.0;
        expected[kind] += conversation.calls.iter().map(|call| rates.at(f64::from(call.prompt))).sum::<f64>();
    }
    let factor = |kind: usize| four_digits((seen[kind] + 10.0) / (expected[kind] + 10.0));
    json!([[split.round(), factor(0)], [split.round(), factor(1)]])
}
