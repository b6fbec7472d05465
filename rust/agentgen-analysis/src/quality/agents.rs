//! What generated sessions of agents are like: by link, agent, trigger and kind of break, and which caps were reached.

use std::collections::BTreeMap;

use agentgen_core::DatasetSpec;
use agentgen_core::ids::Cap;
use agentgen_trace::Result;
use agentgen_trace::schema::Column;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{Array as _, PrimitiveArray, RecordBatch, StringViewArray};
use serde::{Deserialize, Serialize};

use crate::histogram::{Counts, Observed, Times};

/// Statistics of linked rows. Merging is exact in any order.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct AgentStatistics {
    /// First prompts by link; root sessions have none.
    first_prompts: BTreeMap<String, Counts>,
    /// Outputs of calls by agent.
    outputs: BTreeMap<String, Counts>,
    /// Calls of the main agent by trigger.
    triggers: BTreeMap<String, Caused>,
    /// Breaks by kind.
    breaks: BTreeMap<String, Broken>,
    /// Numbers of the sessions of breaks and sub-agents in their trees.
    numbers: Counts,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Caused {
    new_tokens: Counts,
    delays: Times,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Broken {
    kept: Counts,
    new_prompts: Counts,
}

/// The name of the main agent in traces.
const MAIN: &str = "main";
/// What stands for the link of root sessions.
const ROOT: &str = "root";

/// The value of a map at a name, made if missing.
fn at<'a, V: Default>(map: &'a mut BTreeMap<String, V>, name: &str) -> &'a mut V {
    // No name is copied where it is there, as it is for all rows but a few.
    if !map.contains_key(name) {
        map.insert(name.to_owned(), V::default());
    }
    map.get_mut(name).expect("inserted above")
}

fn text(array: &StringViewArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

impl AgentStatistics {
    /// Adds a batch with the columns of links.
    pub(super) fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let strings = |column: Column| column.required(batch).map(AsArray::as_string_view);
        let numbers = |column: Column| column.required(batch).map(AsArray::as_primitive::<UInt32Type>);
        let (session, link, agent) = (strings(Column::SessionId)?, strings(Column::Link)?, strings(Column::Agent)?);
        let (trigger, kind) = (strings(Column::Trigger)?, strings(Column::BreakKind)?);
        let (turn, input) = (numbers(Column::TurnIndex)?.values(), numbers(Column::InputLength)?.values());
        let (output, kept) = (numbers(Column::OutputLength)?.values(), numbers(Column::KeptLength)?);
        let delay: &PrimitiveArray<Float64Type> = Column::DelayMs.required(batch)?.as_primitive();
        for row in 0..batch.num_rows() {
            let agent = text(agent, row).unwrap_or(MAIN);
            at(&mut self.outputs, agent).add(u64::from(output[row]), 1);
            if turn[row] == 0 {
                let tokens = u64::from(input[row]);
                at(&mut self.first_prompts, text(link, row).unwrap_or(ROOT)).add(tokens, 1);
                if let Some(kind) = text(kind, row) {
                    let broken = at(&mut self.breaks, kind);
                    broken.new_prompts.add(tokens, 1);
                    broken.kept.add(u64::from(kept.value(row)), 1);
                }
                if let Some((_, number)) = text(session, row).and_then(|name| name.rsplit_once('.')) {
                    self.numbers.add(number.parse().unwrap_or(0), 1);
                }
            } else if let (MAIN, Some(trigger)) = (agent, text(trigger, row)) {
                let caused = at(&mut self.triggers, trigger);
                caused.new_tokens.add(u64::from(input[row]), 1);
                caused.delays.add((delay.value(row) * 10.0).round() as u64);
            }
        }
        Ok(())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let counts = |ours: &mut BTreeMap<String, Counts>, theirs: &BTreeMap<String, Counts>| {
            for (name, counts) in theirs {
                at(ours, name).merge(counts);
            }
        };
        counts(&mut self.first_prompts, &other.first_prompts);
        counts(&mut self.outputs, &other.outputs);
        for (name, caused) in &other.triggers {
            let ours = at(&mut self.triggers, name);
            ours.new_tokens.merge(&caused.new_tokens);
            ours.delays.merge(&caused.delays);
        }
        for (name, broken) in &other.breaks {
            let ours = at(&mut self.breaks, name);
            ours.kept.merge(&broken.kept);
            ours.new_prompts.merge(&broken.new_prompts);
        }
        self.numbers.merge(&other.numbers);
    }
}

/// Sessions of agents, in `quality.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agents {
    /// First prompts of sessions, tokens, by link: `root`, `restart`, `break`, `subagent`.
    pub first_prompt_by_link: BTreeMap<String, Option<Observed>>,
    /// Output tokens of calls, by agent.
    pub output_by_agent: BTreeMap<String, Option<Observed>>,
    /// Calls of the main agent after the first of a session, by what caused them.
    pub by_trigger: BTreeMap<String, ByTrigger>,
    /// Breaks of all agents, by kind.
    pub breaks: BTreeMap<String, ByKind>,
    /// How often drawing stopped because a cap was reached.
    pub caps_reached: CapsReached,
}

/// Calls with one trigger.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByTrigger {
    /// New tokens of the prompt.
    pub new_tokens: Option<Observed>,
    /// Delay before the call, ms.
    pub delay_ms: Option<Observed>,
}

/// Breaks of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ByKind {
    /// Breaks for each 100 calls of all agents.
    pub per_100_calls: f64,
    /// Tokens of the last prompt that are kept.
    pub kept_tokens: Option<Observed>,
    /// Tokens of the new prompt.
    pub new_prompt: Option<Observed>,
}

/// Caps that were reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct CapsReached {
    /// Lines of main agents with `breaks.max_per_line` breaks.
    pub breaks_of_lines: u64,
    /// Bundles with `subagents.max_per_bundle` sub-agents.
    pub subagents_of_bundles: u64,
    /// Sub-agents with `subagents.max_breaks_per_line` breaks.
    pub breaks_of_subagents: u64,
}

impl Agents {
    pub(super) fn new(statistics: &AgentStatistics, spec: &DatasetSpec) -> Self {
        let observed = |map: &BTreeMap<String, Counts>| {
            map.iter().map(|(name, counts)| (name.clone(), counts.observed(1.0))).collect()
        };
        let calls: u64 = statistics.outputs.values().flat_map(Counts::iter).map(|(_, calls)| calls).sum();
        let by_trigger = |caused: &Caused| ByTrigger {
            new_tokens: caused.new_tokens.observed(1.0),
            delay_ms: caused.delays.observed_ms(),
        };
        let by_kind = |broken: &Broken| {
            let new_prompt = broken.new_prompts.observed(1.0);
            let count = new_prompt.map_or(0, |observed| observed.count);
            let per_100_calls = 100.0 * count as f64 / calls.max(1) as f64;
            ByKind { per_100_calls, kept_tokens: broken.kept.observed(1.0), new_prompt }
        };
        let mut caps = CapsReached::default();
        for (number, times) in statistics.numbers.iter() {
            match spec.ids().cap_reached(number) {
                Some(Cap::BreaksOfLine) => caps.breaks_of_lines += times,
                Some(Cap::SubagentsOfBundle) => caps.subagents_of_bundles += times,
                Some(Cap::BreaksOfSubagent) => caps.breaks_of_subagents += times,
                None => {}
            }
        }
        Self {
            first_prompt_by_link: observed(&statistics.first_prompts),
            output_by_agent: observed(&statistics.outputs),
            by_trigger: statistics.triggers.iter().map(|(name, caused)| (name.clone(), by_trigger(caused))).collect(),
            breaks: statistics.breaks.iter().map(|(name, broken)| (name.clone(), by_kind(broken))).collect(),
            caps_reached: caps,
        }
    }
}
