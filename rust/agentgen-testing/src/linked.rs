//! Random configurations of agents.

use agentgen_core::Config;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::Case;

/// Random cases with links.
pub fn linked_cases() -> impl Strategy<Value = Case> {
    parameters().prop_map(|p| Case { config: config(&p), seed: p.seed, sessions: 6 })
}

/// A configuration with breaks, sub-agents and outputs that come back in part.
///
/// # Panics
/// Never: it is valid.
#[must_use]
pub fn config(p: &Parameters) -> Config {
    let lengths = |median: u32| json!({"median": median, "sigma": 1.0, "max": median * 20});
    let delay = json!({"median": 500, "sigma": 1.0});
    let caused = |median: u32| {
        json!({"new_tokens": [
        {"context_below": p.limit / 3, "tokens": lengths(median)}, {"tokens": lengths(median * 2)}], "delay_ms": delay})
    };
    let kind = |name: &str, keeps: Value, size: Value, at_limit: bool| {
        json!({"name": name, "tool_probability": p.breaks, "human_probability": [[0, p.breaks], [p.limit, 0.0]],
            "at_limit": at_limit, "keeps": keeps, "new_prompt": size, "delay_ms": delay})
    };
    let share = json!({"share": {"quantiles": [[0, 0.2], [1, 1.0]]}});
    let kinds = json!([
        kind(
            "compaction",
            json!([{"weight": 2, "part": "prefix"}, {"weight": 1, "part": "nothing"}]),
            json!({"tokens": lengths(p.limit / 6)}),
            true
        ),
        kind(
            "edit",
            json!([{"weight": 1, "part": share}, {"weight": 1, "part": {"turn": 1}}]),
            json!({"ratio": {"median": 1.0, "sigma": 0.3}}),
            false
        ),
    ]);
    let agent = |name: &str, prefix: u32| {
        json!({"name": name, "prefix_tokens": prefix, "spawn_probability": p.spawns, "fan_out": {"median": 1.5, "sigma": 0.5},
            "background_share": 0.3, "first_prompt": lengths(prefix + 10), "calls": {"median": 4, "sigma": 0.5, "max": 12},
            "new_tokens": lengths(5), "output": lengths(4), "delay_ms": delay, "start_delay_ms": delay, "breaks": kinds})
    };
    let mut config = json!({
        "max_prompt_tokens": p.limit, "block_size": p.block_size,
        "cache": {"layer1_tokens": p.block_size, "layer1_5_tokens": 1, "layer1_5_groups": {"num_groups": 3, "zipf_alpha": 0.5},
            "layer2": null, "first_prompt": lengths(p.limit / 5)},
        "new_tokens_per_turn": null, "generation_length": lengths(6), "inter_turn_delay": null,
        "reset": {"base_probability": 0.03, "context_scaling": 2.0}, "turns": null,
        "restart_initial_probability": p.restarts, "restart_turn_range": [2, 6], "arrival": "closed", "calibrate": false,
        "triggers": {"human": caused(8), "tool": caused(5), "calls_per_human_turn": {"median": 3, "first_turn_factor": 2,
            "sigma": 1.0, "session_sigma": 0.5, "chat_probability": 0.1, "chat_median": 1.0}},
        "session_effects": {"output": 0.3, "tool_delay": 0.2, "correlations": [{"between": ["output", "tool_delay"], "value": 0.5}]},
        "output_kept": {"short_probability": 0.4, "missing_share": {"quantiles": [[0, 0], [1, 1]]}, "short_new_tokens": lengths(1)},
        "breaks": {"max_per_line": p.most_breaks, "kinds": kinds},
        "subagents": {"max_per_bundle": p.most_agents, "max_breaks_per_line": 2, "depth": 2,
            "kinds": [agent("explore", 2 * p.block_size), agent("plan", 0)]},
    });
    let sections = config.as_object_mut().expect("an object");
    for (bit, name) in SECTIONS.iter().enumerate() {
        if p.without & (1 << bit) != 0 {
            sections.remove(*name);
        }
    }
    if !sections.contains_key("triggers") {
        sections.insert("new_tokens_per_turn".to_owned(), lengths(6));
        let delays = json!({"agentic_fraction": 0.7, "agentic_delay": delay, "human_delay": delay,
            "max": null, "context_speedup": null});
        sections.insert("inter_turn_delay".to_owned(), delays);
    }
    Config::from_json(&config.to_string()).expect("valid")
}

/// Sections that a configuration may lack, each by itself.
const SECTIONS: [&str; 5] = ["triggers", "session_effects", "output_kept", "breaks", "subagents"];

/// What random configurations differ in.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // fields of the configuration
pub struct Parameters {
    pub limit: u32,
    pub block_size: u32,
    pub breaks: f64,
    pub spawns: f64,
    pub restarts: f64,
    pub most_breaks: u32,
    pub most_agents: u32,
    /// Bits of the sections that it lacks.
    pub without: u8,
    pub seed: u64,
}

/// Random parameters.
pub fn parameters() -> impl Strategy<Value = Parameters> {
    let numbers = (120..900_u32, prop_oneof![Just(1_u32), Just(4), 2..20_u32], 0.0..0.3_f64, 0.0..0.3_f64);
    let without = prop_oneof![2 => Just(0_u8), 1 => 0..31_u8];
    (numbers, prop_oneof![Just(0.0), Just(1.0)], 0..5_u32, 0..6_u32, without, any::<u64>()).prop_map(
        |((limit, block_size, breaks, spawns), restarts, most_breaks, most_agents, without, seed)| Parameters {
            limit,
            block_size,
            breaks,
            spawns,
            restarts,
            most_breaks,
            most_agents,
            without,
            seed,
        },
    )
}
