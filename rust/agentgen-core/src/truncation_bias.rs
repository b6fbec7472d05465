//! Truncation bias: how much the context limit lowers the mean of new tokens per turn.
//!
//! A candidate turn that exceeds the context limit is dropped, and large turns exceed it more often than small ones, so
//! accepted turns have a smaller mean than candidates. A small fixed simulation measures the ratio of the two means on
//! the same draws, which takes few sessions; the mean of the candidates is known exactly.

use crate::dist::TokenCountDist;
use crate::rng::{Purpose, RandomStreams};
use crate::turns::{EndReason, Turn, TurnSampler};

/// Seed of the simulation; fixed, so that calibration depends on the configuration alone.
const SEED: u64 = 0x0A6E_4769_6C6F_7421;
const MAX_SESSIONS: u64 = 2_048;
const MAX_TURNS: u32 = 40_000;
/// With a larger factor the context limit, not the distribution, would determine the turns.
const MAX_BIAS: f64 = 2.0;
const TOLERANCE: f64 = 1e-5;

/// The factor on the median of `dist` for which accepted turns have the mean of `dist`. The error names the largest
/// mean that fits.
pub(crate) fn solve_bias(sampler: &TurnSampler, dist: &TokenCountDist) -> Result<f64, String> {
    let goal = dist.mean();
    let relative_error = |log_bias: f64| {
        let biased = dist.with_median_scaled(libm::exp(log_bias))?;
        Some(accepted_mean_ratio(sampler, &biased) * biased.mean() / goal - 1.0)
    };
    let (mut low, mut high) = (0.0, libm::log(MAX_BIAS));
    let (Some(mut at_low), Some(mut at_high)) = (relative_error(low), relative_error(high)) else {
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
    // Regula falsi (Illinois variant): the error is nearly linear in the logarithm, so few iterations suffice.
    for _ in 0..30 {
        let middle = low - at_low * (high - low) / (at_high - at_low);
        let Some(at_middle) = relative_error(middle) else { break };
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

/// Running mean of token counts.
#[derive(Default)]
struct Mean {
    count: u64,
    tokens: u64,
}

impl Mean {
    fn add(&mut self, counts: impl Iterator<Item = u32>) {
        for tokens in counts {
            self.count += 1;
            self.tokens += u64::from(tokens);
        }
    }

    fn value(&self) -> f64 {
        self.tokens as f64 / self.count as f64
    }
}

/// Mean of the new tokens of accepted turns over the mean of all candidate turns.
fn accepted_mean_ratio(sampler: &TurnSampler, new_tokens: &TokenCountDist) -> f64 {
    let sampler = sampler.with_new_tokens(new_tokens.clone());
    let streams = RandomStreams::new(SEED);
    let (mut drawn, mut kept) = (Mean::default(), Mean::default());
    let mut turns: Vec<Turn> = Vec::new();
    'sessions: for root in 0..MAX_SESSIONS {
        let mut stream = streams.stream(Purpose::Content, root);
        let target = sampler.turn_count().map(|t| t.draw(&mut streams.stream(Purpose::Target, root)));
        // Bounds the length of a session that never ends.
        let limit = target.unwrap_or(MAX_TURNS).min(MAX_TURNS);
        for _ in 0..sampler.attempts {
            turns.clear();
            turns.push(sampler.first_turn(&mut stream));
            let ended = sampler.extend(&mut stream, None, Some(limit), &mut turns);
            let accepted = turns[1..].iter().map(|t| t.input);
            drawn.add(accepted.clone().chain(ended.dropped));
            let retried = target.is_some() && !sampler.allow_truncation && ended.reason == EndReason::ForcedRetire;
            if !retried {
                kept.add(accepted);
            }
            if drawn.count >= u64::from(MAX_TURNS) {
                break 'sessions;
            }
            if !retried {
                break;
            }
        }
    }
    match (drawn.count, kept.count) {
        (0, _) => 1.0,
        (_, 0) => 0.0,
        _ => kept.value() / drawn.value(),
    }
}
