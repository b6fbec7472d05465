//! The session state machine: draws the turns of a session until the session ends.

use serde::{Deserialize, Serialize};

use crate::config::{Config, ContextSpeedup, InterTurnDelay, Reset};
use crate::dist::{DelayDist, TokenCountDist, TurnCountDist, tenths};
use crate::rng::RandomStream;

/// Stands for "the whole output before" in [`Turn::returned`].
pub const ALL: u32 = u32::MAX;

/// A turn: one request of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Tokens of the whole prompt.
    pub context: u32,
    /// New tokens of the prompt.
    pub input: u32,
    /// Output tokens.
    pub output: u32,
    /// Tokens of the output before that the prompt holds; [`ALL`] if it holds all of them, and on turn 0.
    pub returned: u32,
    /// Delay before the turn, in tenths of a millisecond; 0 on turn 0.
    pub delay_tenths: u64,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The next prompt would reach `max_prompt_tokens`.
    ForcedRetire,
    /// A random reset (`reset` in the configuration).
    ProbabilisticReset,
    /// A restart: a continuation follows.
    RestartSplit,
    /// The session has its number of turns (`turns` in the configuration), or of texts of a person.
    TargetTurnCount,
    /// Its history breaks: another session follows. Only in traces with links.
    Break,
}

impl EndReason {
    /// All reasons; the last occurs in traces with links alone.
    pub const ALL: [Self; 5] =
        [Self::ForcedRetire, Self::ProbabilisticReset, Self::RestartSplit, Self::TargetTurnCount, Self::Break];

    /// Those of traces without links.
    pub const WITHOUT_LINKS: &[Self] =
        &[Self::ForcedRetire, Self::ProbabilisticReset, Self::RestartSplit, Self::TargetTurnCount];

    /// The value of `end_reason` in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ForcedRetire => "forced_retire",
            Self::ProbabilisticReset => "probabilistic_reset",
            Self::RestartSplit => "restart_split",
            Self::TargetTurnCount => "target_turn_count",
            Self::Break => "break",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// The end of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    pub reason: EndReason,
    /// New tokens of the candidate turn that ended the session, if one was drawn.
    pub dropped: Option<u32>,
}

/// A random quantity of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// First prompt including the shared layers, tokens.
    FirstPrompt,
    /// New tokens of a turn after the first.
    NewTokens,
    /// Output, tokens.
    Output,
    /// Delay before a tool result, ms.
    AgenticDelay,
    /// Delay before a person's request, ms.
    HumanDelay,
    /// Turns of a session.
    Turns,
}

/// The calibrated distributions of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Distributions {
    /// First prompt: what is added to `prefix`, which is 0 if the configuration states the prompt as a whole.
    pub first_prompt: TokenCountDist,
    pub new_tokens: TokenCountDist,
    pub output: TokenCountDist,
    pub agentic_delay: DelayDist,
    pub human_delay: DelayDist,
    pub turns: Option<TurnCountDist>,
}

/// Draws the turns of sessions.
#[derive(Debug, Clone)]
pub(crate) struct TurnSampler {
    /// Tokens added to the draw of a first prompt.
    prefix: u32,
    max_prompt: u32,
    dists: Distributions,
    agentic_fraction: f64,
    speedup: Option<ContextSpeedup>,
    reset: Option<Reset>,
    pub allow_truncation: bool,
    pub attempts: u32,
}

/// Default of `turns.max_session_attempts`.
const ATTEMPTS: u32 = 100;

impl TurnSampler {
    pub(crate) fn new(config: &Config, delay: &InterTurnDelay, prefix: u32, dists: Distributions) -> Self {
        let turns = config.turns.as_ref();
        Self {
            prefix,
            max_prompt: config.max_prompt_tokens,
            dists,
            agentic_fraction: delay.agentic_fraction,
            speedup: delay.context_speedup,
            reset: config.reset,
            allow_truncation: turns.is_some_and(|t| t.allow_truncation),
            attempts: turns.and_then(|t| t.max_session_attempts).unwrap_or(ATTEMPTS),
        }
    }

    /// Number of turns of a session, where the configuration states it.
    pub(crate) fn turn_count(&self) -> Option<&TurnCountDist> {
        self.dists.turns.as_ref()
    }

    /// Mean growth of the context from turn to turn, tokens.
    pub(crate) fn growth(&self) -> f64 {
        self.dists.new_tokens.mean() + self.dists.output.mean()
    }

    /// The same sampler with another distribution of new tokens.
    pub(crate) fn with_new_tokens(&self, new_tokens: TokenCountDist) -> Self {
        let mut sampler = self.clone();
        sampler.dists.new_tokens = new_tokens;
        sampler
    }

    /// Share of the draws below `value`, before turns are dropped at the context limit; `None` without a closed form.
    pub(crate) fn share_below(&self, quantity: Quantity, value: f64) -> Option<f64> {
        // Delays are rounded to tenths of a millisecond.
        let rounded = value - 0.05;
        match quantity {
            Quantity::FirstPrompt if value >= f64::from(self.max_prompt) => Some(1.0),
            Quantity::FirstPrompt => Some(self.dists.first_prompt.share_below(value - f64::from(self.prefix))),
            Quantity::NewTokens => Some(self.dists.new_tokens.share_below(value)),
            Quantity::Output => Some(self.dists.output.share_below(value)),
            Quantity::AgenticDelay | Quantity::HumanDelay if self.speedup.is_some() => None,
            Quantity::AgenticDelay => Some(self.dists.agentic_delay.share_below(rounded)),
            Quantity::HumanDelay => Some(self.dists.human_delay.share_below(rounded)),
            Quantity::Turns => self.turn_count().map(|turns| turns.share_below(value)),
        }
    }

    /// Turn 0 of a root session.
    #[inline]
    pub(crate) fn first_turn(&self, stream: &mut RandomStream) -> Turn {
        let context = (self.prefix.saturating_add(self.dists.first_prompt.draw(stream))).min(self.max_prompt - 1);
        Turn { context, input: context, output: self.dists.output.draw(stream), returned: ALL, delay_tenths: 0 }
    }

    /// Turn 0 of the continuation of a session whose last turn is `last`.
    pub(crate) fn first_turn_after_restart(&self, last: Turn, stream: &mut RandomStream) -> Turn {
        let context = last.context.saturating_add(last.output).min(self.max_prompt - 1);
        Turn { context, input: context, output: self.dists.output.draw(stream), returned: ALL, delay_tenths: 0 }
    }

    /// Appends the turns after the first until the session ends. `split`: the turn index of a restart; `target`: the
    /// number of turns.
    ///
    /// The order of the draws of a turn is part of the format: new tokens, reset, kind of delay, delay, output. A
    /// candidate turn that ends the session makes no further draws.
    pub(crate) fn extend(
        &self,
        stream: &mut RandomStream,
        split: Option<u32>,
        target: Option<u32>,
        turns: &mut Vec<Turn>,
    ) -> Ending {
        let ended = |reason, dropped| Ending { reason, dropped };
        let Some(mut last) = turns.last().copied() else { return ended(EndReason::ForcedRetire, None) };
        let (split, target) = (split.unwrap_or(u32::MAX), target.unwrap_or(u32::MAX));
        loop {
            let index = turns.len() as u32;
            if index >= target {
                return ended(EndReason::TargetTurnCount, None);
            }
            if index == split {
                return ended(EndReason::RestartSplit, None);
            }
            let input = self.dists.new_tokens.draw(stream);
            let context = u64::from(last.context) + u64::from(last.output) + u64::from(input);
            if context >= u64::from(self.max_prompt) {
                return ended(EndReason::ForcedRetire, Some(input));
            }
            let context = context as u32;
            if let Some(reset) = self.reset {
                let share = f64::from(context) / f64::from(self.max_prompt);
                if stream.uniform() < reset.base_probability * (1.0 + (reset.context_scaling - 1.0) * share) {
                    return ended(EndReason::ProbabilisticReset, Some(input));
                }
            }
            let delay_tenths = self.delay(last.context, stream);
            last = Turn { context, input, output: self.dists.output.draw(stream), returned: ALL, delay_tenths };
            turns.push(last);
        }
    }

    /// A delay in tenths of a millisecond, rounded half-even.
    #[inline]
    fn delay(&self, previous_context: u32, stream: &mut RandomStream) -> u64 {
        let dist =
            if stream.uniform() < self.agentic_fraction { &self.dists.agentic_delay } else { &self.dists.human_delay };
        let mut delay_ms = dist.draw(stream);
        if let Some(ContextSpeedup { slope, floor }) = self.speedup {
            delay_ms *= (1.0 - slope * f64::from(previous_context) / f64::from(self.max_prompt)).max(floor);
        }
        tenths(delay_ms)
    }
}
