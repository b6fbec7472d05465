//! Where prefixes break: how often, what is kept, and the prompt after it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::choose::Values;
use super::curve::Rates;
use super::families::Law;
use super::round::{four_digits, significant};
use crate::distance::{Call, Calls, Trigger, is_broken};

/// Contexts at which rates change, tokens.
const CONTEXTS: [f64; 8] = [15_000.0, 30_000.0, 50_000.0, 80_000.0, 110_000.0, 135_000.0, 150_000.0, 160_000.0];
/// Calls at the mean rate that each band has beside its own.
const PRIOR: f64 = 300.0;
/// A break keeps the prefix if it keeps up to this many times as many tokens.
const PREFIX: f64 = 1.25;
/// Kinds whose new prompts do not depend on the size of the old one.
const SUMMARIES: [&str; 2] = ["compaction", "clear"];
/// Kind of a break for which the trace states none.
const UNNAMED: &str = "rewrite";

/// Breaks of one kind.
#[derive(Default)]
struct Kind {
    ratios: Values,
    sizes: Values,
    shares: Values,
    waits: Values,
    /// Breaks that keep nothing, the prefix, and more.
    keeps: [f64; 3],
}

pub(super) fn breaks(calls: &Calls, prefix: u32) -> Option<Value> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    let mut most = 0;
    let name = |call: &Call| {
        let stated = call.break_kind.as_deref().filter(|kind| !kind.is_empty());
        stated.unwrap_or(UNNAMED).to_owned()
    };
    for conversation in &calls.conversations {
        let mut count = 0_usize;
        for pair in conversation.calls.windows(2).filter(|pair| is_broken(&pair[0], &pair[1])) {
            kinds.entry(name(&pair[1])).or_default().add(&pair[0], &pair[1], prefix);
            count += 1;
        }
        most = most.max(count);
    }
    if kinds.is_empty() {
        return None;
    }
    let stated = kinds.iter().map(|(kind, found)| {
        let rate = |trigger: Trigger| {
            let mut rates = Rates::new(&CONTEXTS, PRIOR);
            for pair in calls.conversations.iter().flat_map(|conversation| conversation.calls.windows(2)) {
                if (pair[1].trigger == Some(Trigger::Human)) == (trigger == Trigger::Human) {
                    let is_event = is_broken(&pair[0], &pair[1]) && name(&pair[1]) == *kind;
                    rates.add(f64::from(pair[0].prompt), is_event);
                }
            }
            rates.stated()
        };
        found.stated(kind, &rate(Trigger::Tool), &rate(Trigger::Human))
    });
    // Room for sessions that break more often than those that were seen.
    Some(json!({"max_per_line": (most + most / 2).clamp(1, 64), "kinds": stated.collect::<Vec<_>>()}))
}

impl Kind {
    fn add(&mut self, before: &Call, call: &Call, prefix: u32) {
        let (old, kept) = (f64::from(before.prompt.max(1)), f64::from(call.kept.unwrap_or(0)));
        self.ratios.add(f64::from(call.prompt) / old, 1e-4, false);
        self.sizes.add(f64::from(call.prompt), 1.0, false);
        if let Some(ms) = call.wait_ms {
            self.waits.add(ms, 1.0, false);
        }
        if kept == 0.0 {
            self.keeps[0] += 1.0;
        } else if kept <= PREFIX * f64::from(prefix) {
            self.keeps[1] += 1.0;
        } else {
            self.keeps[2] += 1.0;
            self.shares.add(kept / old, 1e-4, false);
        }
    }

    fn stated(&self, name: &str, tool: &Value, human: &Value) -> Value {
        let is_summary = SUMMARIES.contains(&name);
        let new_prompt =
            if is_summary { json!({"tokens": table(&self.sizes)}) } else { json!({"ratio": table(&self.ratios)}) };
        let parts = [json!("nothing"), json!("prefix"), json!({"share": table(&self.shares)})];
        let total: f64 = self.keeps.iter().sum();
        let keeps = parts.into_iter().zip(self.keeps).filter(|(_, count)| *count > 0.0);
        let keeps = keeps.map(|(part, count)| json!({"weight": four_digits(count / total), "part": part}));
        let mut stated = json!({
            "name": name, "tool_probability": tool, "human_probability": human, "at_limit": is_summary,
            "keeps": keeps.collect::<Vec<_>>(), "new_prompt": new_prompt
        });
        if !self.waits.is_empty() {
            stated["delay_ms"] = table(&self.waits);
        }
        stated
    }
}

/// A table of quantiles; a constant for a single value.
pub(super) fn table(values: &Values) -> Value {
    let sorted = values.sorted(None);
    match (sorted.first(), sorted.last()) {
        (Some(first), Some(last)) if first < last => Law::table(&sorted).stated(),
        (Some(only), _) => json!({"median": significant(*only), "sigma": 0}),
        _ => json!({"median": 1, "sigma": 0}),
    }
}
