//! A small fixed simulation that tells how the context limit censors large turns.
//!
//! A candidate turn that does not fit is dropped, and large turns do not fit more often than small ones: what is
//! written is smaller on average than what is drawn. The pilot measures the ratio of the two on the same draws, which
//! needs few sessions; the mean of what is drawn is known exactly.

use crate::dist::TokenCountDist;
use crate::laws::biased;
use crate::rng::{Purpose, Streams};
use crate::rules::{EndReason, Rules, Turn};

/// The pilot's own seed: calibration depends on the configuration alone.
const SEED: u64 = 0x0A6E_4769_6C6F_7421;
const RUNS: u64 = 2_048;
const TURNS: u32 = 40_000;
/// A larger factor than this means that the limit, not the distribution, decides the turns.
const MOST_BIAS: f64 = 2.0;
const TOLERANCE: f64 = 1e-5;

/// The factor on the median for which accepted turns have the law's own mean.
pub(crate) fn solve_bias(rules: &Rules, law: &TokenCountDist) -> Result<f64, String> {
    let goal = law.mean();
    let miss = |log_bias: f64| {
        biased(law, libm::exp(log_bias)).map(|law| accepted_share(rules, &law) * law.mean() / goal - 1.0)
    };
    let (mut low, mut high) = (0.0, libm::log(MOST_BIAS));
    let (Some(mut at_low), Some(mut at_high)) = (miss(low), miss(high)) else {
        return Ok(1.0);
    };
    if at_low >= -TOLERANCE {
        return Ok(1.0);
    }
    if at_high < 0.0 {
        return Err(format!(
            "mean {goal:.0} cannot be met below max_prompt_tokens: the largest mean of turns that fit is about {:.0}",
            goal * (1.0 + at_high)
        ));
    }
    // Regula falsi (Illinois): the miss is nearly linear in the logarithm, so a few rounds do.
    for _ in 0..30 {
        let middle = low - at_low * (high - low) / (at_high - at_low);
        let Some(at_middle) = miss(middle) else { break };
        if at_middle.abs() <= TOLERANCE {
            return Ok(libm::exp(middle));
        }
        if at_middle < 0.0 {
            (low, at_low) = (middle, at_middle);
            at_high /= 2.0;
        } else {
            (high, at_high) = (middle, at_middle);
            at_low /= 2.0;
        }
    }
    Ok(libm::exp(0.5 * (low + high)))
}

/// A number of lengths and their sum.
#[derive(Default)]
struct Tally {
    count: u64,
    tokens: u64,
}

impl Tally {
    fn add(&mut self, lengths: impl Iterator<Item = u32>) {
        for tokens in lengths {
            self.count += 1;
            self.tokens += u64::from(tokens);
        }
    }

    fn mean(&self) -> f64 {
        self.tokens as f64 / self.count as f64
    }
}

/// Mean of the accepted turns over the mean of all candidates.
fn accepted_share(rules: &Rules, law: &TokenCountDist) -> f64 {
    let mut rules = rules.clone();
    rules.new_tokens = law.clone();
    let streams = Streams::new(SEED);
    let (mut drawn, mut kept) = (Tally::default(), Tally::default());
    let mut turns: Vec<Turn> = Vec::new();
    'runs: for run in 0..RUNS {
        let mut stream = streams.stream(Purpose::Content, run);
        let target = rules.target.as_ref().map(|t| t.draw(&mut streams.stream(Purpose::Target, run)));
        // One endless session must not outlast the budget; where it ends inside, its end does not matter.
        let limit = target.unwrap_or(TURNS).min(TURNS);
        for _ in 0..rules.attempts {
            turns.clear();
            turns.push(rules.first(&mut stream));
            let ended = rules.proceed(&mut stream, None, Some(limit), &mut turns);
            let accepted = turns[1..].iter().map(|t| t.input);
            drawn.add(accepted.clone().chain(ended.dropped));
            let retried = target.is_some() && !rules.allow_truncation && ended.reason == EndReason::ForcedRetire;
            if !retried {
                kept.add(accepted);
            }
            if drawn.count >= u64::from(TURNS) {
                break 'runs;
            }
            if !retried {
                break;
            }
        }
    }
    match (drawn.count, kept.count) {
        (0, _) => 1.0,
        (_, 0) => 0.0,
        _ => kept.mean() / drawn.mean(),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, preset};
    use crate::laws::Laws;

    #[test]
    fn the_default_preset_needs_a_small_shift() {
        let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
        let laws = Laws::resolve(&config, false).expect("feasible");
        let bias = laws.resolved.last().and_then(|f| f.solved.bias).expect("solved");
        assert!((1.005..1.2).contains(&bias), "{bias}");
    }

    #[test]
    fn a_limit_that_decides_everything_is_refused_with_the_mean_that_fits() {
        let mut config = Config::from_json(preset("default").expect("bundled")).expect("valid");
        config.max_prompt_tokens = 40_000;
        config.cache.layer2.mean = Some(2_000.0);
        let error = Laws::resolve(&config, false).expect_err("infeasible").to_string();
        assert!(error.starts_with("new_tokens_per_turn: mean 6000 cannot be met below max_prompt_tokens"), "{error}");
        let laws = Laws::resolve(&config, true).expect("given up with a warning");
        assert_eq!(laws.warnings.len(), 1);
        assert!(laws.resolved.last().is_some_and(|f| f.overridden));
    }
}
