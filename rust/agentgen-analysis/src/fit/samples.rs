//! The values that distributions are estimated from.

use serde_json::{Value, json};

use super::choose::{Choice, Values, choose};
use super::curve::Rates;
use crate::distance::{Call, Calls, Trigger, is_broken, quantile};

/// Values of a session after tools that count, spread over it. Sessions whose prompts grow fast end early: if all values counted, slow ones
/// would count for more than their share of the sessions.
const MOST_OF_SESSION: usize = 40;
/// Contexts at which the growth of prompts changes, tokens.
const CONTEXTS: [u32; 2] = [20_000, 50_000];
/// Fewer values in a band join the next one.
const LEAST_IN_BAND: usize = 100;
/// Outputs at which the probability changes that the next prompt does not hold all of them.
const OUTPUTS: [f64; 6] = [100.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0];

/// What happened from one call to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    /// The prompt continues the one before with the whole output, and this many tokens after it.
    Appended(f64),
    /// The prompt lacks this share of the output.
    Short(f64),
    /// The prompt does not begin with the one before.
    Broken,
}

impl Step {
    pub(super) fn new(before: &Call, call: &Call) -> Self {
        if is_broken(before, call) {
            return Self::Broken;
        }
        let growth = f64::from(call.prompt) - f64::from(before.prompt) - f64::from(before.output);
        if growth >= 0.0 || before.output == 0 {
            return Self::Appended(growth.max(1.0));
        }
        Self::Short((-growth / f64::from(before.output)).clamp(0.0, 1.0))
    }
}

/// All values.
pub(super) struct Samples {
    pub first_prompts: Values,
    pub outputs: Values,
    /// By context: see [`CONTEXTS`].
    pub growth_tool: [Values; 3],
    pub growth_human: [Values; 3],
    pub wait_tool: Values,
    pub wait_human: Values,
    /// Shares of outputs that a prompt lacks.
    pub missing: Values,
    pub short_probability: Rates,
    /// Tokens that breaks keep, ascending; without those that keep nothing, or most.
    pub kept: Vec<f64>,
    /// Smaller first prompts are those of new sessions, others resume one; `None` if there are not two kinds.
    pub fresh_below: Option<f64>,
}

/// The values of one session: the first of each pair after a tool's result, the second after a person's text.
#[derive(Default)]
struct Own {
    outputs: Values,
    growth: [[Values; 3]; 2],
    wait: [Values; 2],
}

impl Samples {
    pub(super) fn new(calls: &Calls) -> Self {
        let mut samples = Self {
            first_prompts: Values::default(),
            outputs: Values::default(),
            growth_tool: Default::default(),
            growth_human: Default::default(),
            wait_tool: Values::default(),
            wait_human: Values::default(),
            missing: Values::default(),
            short_probability: Rates::new(&OUTPUTS, 20.0),
            kept: Vec::new(),
            fresh_below: None,
        };
        let least_wait = if calls.whole_seconds { 500.0 } else { 1.0 };
        for conversation in &calls.conversations {
            let odd = conversation.hash & 2 == 2;
            if let Some(first) = conversation.calls.first() {
                samples.first_prompts.add(f64::from(first.prompt), 1.0, odd);
            }
            let mut own = Own::default();
            conversation.calls.iter().for_each(|call| own.outputs.add(f64::from(call.output), 1.0, odd));
            for pair in conversation.calls.windows(2) {
                samples.step(&mut own, &pair[0], &pair[1], least_wait, odd);
            }
            samples.outputs.extend_thinned(&own.outputs, MOST_OF_SESSION);
            for (all, own) in samples.growth_tool.iter_mut().zip(&own.growth[0]) {
                all.extend_thinned(own, MOST_OF_SESSION);
            }
            for (all, own) in samples.growth_human.iter_mut().zip(&own.growth[1]) {
                all.extend(own);
            }
            samples.wait_tool.extend_thinned(&own.wait[0], MOST_OF_SESSION);
            samples.wait_human.extend(&own.wait[1]);
        }
        samples.kept.sort_by(f64::total_cmp);
        let first = samples.first_prompts.sorted(None);
        let split = quantile(&first, 0.25).map(|quarter| 2.0 * quarter);
        samples.fresh_below = split.filter(|split| quantile(&first, 0.75).is_some_and(|upper| upper > *split));
        samples
    }

    fn step(&mut self, own: &mut Own, before: &Call, call: &Call, least_wait: f64, odd: bool) {
        let cause = usize::from(call.trigger == Some(Trigger::Human));
        let (growth, wait) = (&mut own.growth[cause], &mut own.wait[cause]);
        let step = Step::new(before, call);
        if let Some(ms) = call.wait_ms.filter(|_| step != Step::Broken) {
            wait.add(ms, least_wait, odd);
        }
        match step {
            Step::Appended(tokens) => {
                let band = CONTEXTS.partition_point(|context| *context <= before.prompt);
                growth[band].add(tokens, 1.0, odd);
            }
            Step::Short(share) => self.missing.add(share, 1e-4, odd),
            Step::Broken => {
                let kept = call.kept.unwrap_or(0);
                if kept > 0 && f64::from(kept) < 0.5 * f64::from(before.prompt) {
                    self.kept.push(f64::from(kept));
                }
                return;
            }
        }
        self.short_probability.add(f64::from(before.output), matches!(step, Step::Short(_)));
    }
}

/// The growth by context; bands with few values join the next one.
pub(super) fn bands(field: &str, growth: &[Values; 3], choices: &mut Vec<Choice>) -> Value {
    let mut bands = Vec::new();
    let mut joined = Values::default();
    for (band, values) in growth.iter().enumerate() {
        joined.extend(values);
        let rest: usize = growth[band + 1..].iter().map(Values::len).sum();
        let context = CONTEXTS.get(band);
        if context.is_some() && (joined.len() < LEAST_IN_BAND || rest < LEAST_IN_BAND) {
            continue;
        }
        if joined.is_empty() {
            bands.push(json!({"tokens": {"median": 1, "sigma": 0}}));
            break;
        }
        let tokens = choose(&format!("{field}[{}]", bands.len()), &joined, choices);
        bands.push(match context {
            Some(context) => json!({"context_below": context, "tokens": tokens}),
            None => json!({"tokens": tokens}),
        });
        joined = Values::default();
    }
    Value::Array(bands)
}
