//! Sub-agents: how often they are started, and what they do.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::breaks::table;
use super::choose::Values;
use super::round::{four_digits, significant};
use super::samples::Step;
use crate::distance::{Calls, SubAgent, Trigger};

/// Levels of sub-agents that are generated.
const DEPTH: u32 = 1;

pub(super) fn subagents(calls: &Calls, prefix: u32) -> Option<Value> {
    let mut kinds: BTreeMap<&str, Vec<&SubAgent>> = BTreeMap::new();
    for agent in &calls.sub_agents {
        kinds.entry(&agent.kind).or_default().push(agent);
    }
    if kinds.is_empty() {
        return None;
    }
    let all = calls.conversations.iter().flat_map(|conversation| &conversation.calls);
    let tools = all.filter(|call| call.trigger != Some(Trigger::Human)).count().max(1) as f64;
    let conversations = calls.conversations.len().max(1);
    let most = (8 * calls.sub_agents.len()).div_ceil(conversations).clamp(4, 64);
    let stated = kinds.into_iter().map(|(name, agents)| kind(name, &agents, tools, calls.block_size.max(1), prefix));
    Some(json!({
        "max_per_bundle": most, "max_breaks_per_line": 0, "depth": DEPTH, "kinds": stated.collect::<Vec<_>>()
    }))
}

fn kind(name: &str, agents: &[&SubAgent], tools: f64, block: u32, prefix: u32) -> Value {
    let mut together: HashMap<(u64, u32), f64> = HashMap::new();
    let mut values: [Values; 6] = Default::default();
    for agent in agents {
        *together.entry(agent.started_by).or_default() += 1.0;
        let [first, count, growth, output, delay, start] = &mut values;
        count.add(agent.calls.len() as f64, 1.0, false);
        if let Some(call) = agent.calls.first() {
            first.add(f64::from(call.prompt), 1.0, false);
            start.add(call.wait_ms.unwrap_or(0.0), 1.0, false);
        }
        agent.calls.iter().for_each(|call| output.add(f64::from(call.output), 1.0, false));
        for pair in agent.calls.windows(2) {
            if let Step::Appended(tokens) = Step::new(&pair[0], &pair[1]) {
                growth.add(tokens, 1.0, false);
            }
            if let Some(ms) = pair[1].wait_ms {
                delay.add(ms, 1.0, false);
            }
        }
    }
    let mut fan_out = Values::default();
    for count in together.values() {
        fan_out.add(*count, 1.0, false);
    }
    let [first, count, growth, output, delay, start] = &values;
    // Half of the smallest first prompt, if nothing says what agents of a kind share.
    let smallest = first.sorted(None).first().copied().unwrap_or(0.0);
    let shared = (0.5 * smallest).min(f64::from(prefix.max(block))) as u32 / block * block;
    let background = agents.iter().filter(|agent| !agent.is_joined).count() as f64 / agents.len() as f64;
    json!({
        "name": name, "prefix_tokens": shared, "spawn_probability": significant(together.len() as f64 / tools),
        "fan_out": table(&fan_out), "background_share": four_digits(background), "first_prompt": table(first),
        "calls": table(count), "new_tokens": table(growth), "output": table(output), "delay_ms": table(delay),
        "start_delay_ms": table(start)
    })
}
