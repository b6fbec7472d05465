//! The session state machine: turn by turn, until something ends the session.

use serde::{Deserialize, Serialize};

use crate::config::{Config, ContextSpeedup, Reset};
use crate::dist::{DelayDist, TokenCountDist};
use crate::laws::{Laws, TurnTarget};
use crate::rng::Stream;

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Prompt tokens in all.
    pub context: u32,
    /// The turn's new prompt tokens.
    pub input: u32,
    /// Output tokens.
    pub output: u32,
    /// Pause before the turn, in tenths of a millisecond; 0 on a session's first.
    pub delay_tenths: u64,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The next prompt would reach the limit.
    ForcedRetire,
    /// A random reset.
    ProbabilisticReset,
    /// A restart: another session continues this one.
    RestartSplit,
    /// All turns made.
    TargetTurnCount,
}

impl EndReason {
    /// All reasons.
    pub const ALL: [Self; 4] =
        [Self::ForcedRetire, Self::ProbabilisticReset, Self::RestartSplit, Self::TargetTurnCount];

    /// The word in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ForcedRetire => "forced_retire",
            Self::ProbabilisticReset => "probabilistic_reset",
            Self::RestartSplit => "restart_split",
            Self::TargetTurnCount => "target_turn_count",
        }
    }

    /// The reason with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.name() == name)
    }
}

/// How a session ended, and the new tokens of the candidate turn that was dropped then, if one was drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub reason: EndReason,
    pub dropped: Option<u32>,
}

/// A quantity that sessions draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// First prompts, the shared layers included, tokens.
    FirstPrompt,
    /// New tokens of a turn.
    NewTokens,
    /// Outputs, tokens.
    Output,
    /// Pauses before tool results, ms.
    AgenticDelay,
    /// Pauses before a person's requests, ms.
    HumanDelay,
    /// Turns of a session.
    Turns,
}

/// Everything that decides a session's turns.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    prefix: u32,
    max_prompt: u32,
    layer2: TokenCountDist,
    pub new_tokens: TokenCountDist,
    output: TokenCountDist,
    agentic_fraction: f64,
    agentic: DelayDist,
    human: DelayDist,
    speedup: Option<ContextSpeedup>,
    reset: Option<Reset>,
    pub target: Option<TurnTarget>,
    pub allow_truncation: bool,
    pub attempts: u32,
}

/// Draws of a whole session before giving up, where the configuration does not say.
const ATTEMPTS: u32 = 100;

impl Rules {
    pub(crate) fn new(config: &Config, laws: &Laws) -> Self {
        let turns = config.turns.as_ref();
        Self {
            prefix: config.prefix_tokens() as u32,
            max_prompt: config.max_prompt_tokens,
            layer2: laws.layer2.clone(),
            new_tokens: laws.new_tokens.clone(),
            output: laws.output.clone(),
            agentic_fraction: config.inter_turn_delay.agentic_fraction,
            agentic: laws.agentic.clone(),
            human: laws.human.clone(),
            speedup: config.inter_turn_delay.context_speedup,
            reset: config.reset,
            target: turns.and_then(TurnTarget::new),
            allow_truncation: turns.is_some_and(|t| t.allow_truncation),
            attempts: turns.and_then(|t| t.max_session_attempts).unwrap_or(ATTEMPTS),
        }
    }

    /// Share of the draws below a value, before the context limit drops turns; `None` where no law says.
    pub(crate) fn share_below(&self, drawn: Drawn, value: f64) -> Option<f64> {
        // What is written of a pause is rounded to tenths of a millisecond.
        let rounded = value - 0.05;
        match drawn {
            Drawn::FirstPrompt if value >= f64::from(self.max_prompt) => Some(1.0),
            Drawn::FirstPrompt => Some(self.layer2.share_below(value - f64::from(self.prefix))),
            Drawn::NewTokens => Some(self.new_tokens.share_below(value)),
            Drawn::Output => Some(self.output.share_below(value)),
            Drawn::AgenticDelay | Drawn::HumanDelay if self.speedup.is_some() => None,
            Drawn::AgenticDelay => Some(self.agentic.share_below(rounded)),
            Drawn::HumanDelay => Some(self.human.share_below(rounded)),
            Drawn::Turns => self.target.as_ref().map(|target| target.share_below(value)),
        }
    }

    /// Turn 0 of a run.
    #[inline]
    pub(crate) fn first(&self, stream: &mut Stream) -> Turn {
        let context = (self.prefix.saturating_add(self.layer2.draw(stream))).min(self.max_prompt - 1);
        Turn { context, input: context, output: self.output.draw(stream), delay_tenths: 0 }
    }

    /// Turn 0 of the session that continues another after `last`.
    pub(crate) fn resumed(&self, last: Turn, stream: &mut Stream) -> Turn {
        let context = last.context.saturating_add(last.output).min(self.max_prompt - 1);
        Turn { context, input: context, output: self.output.draw(stream), delay_tenths: 0 }
    }

    /// The turns after the first, until the session ends. `split`: the turn index at which a restart does.
    ///
    /// Draws, in this order: new tokens; reset; kind of pause, pause; output. A candidate that ends the session
    /// draws nothing more.
    pub(crate) fn proceed(
        &self,
        stream: &mut Stream,
        split: Option<u32>,
        target: Option<u32>,
        turns: &mut Vec<Turn>,
    ) -> Ended {
        let ended = |reason, dropped| Ended { reason, dropped };
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
            let input = self.new_tokens.draw(stream);
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
            last = Turn { context, input, output: self.output.draw(stream), delay_tenths };
            turns.push(last);
        }
    }

    /// A pause, rounded half-even to tenths of a millisecond.
    #[inline]
    fn delay(&self, previous_context: u32, stream: &mut Stream) -> u64 {
        let law = if stream.uniform() < self.agentic_fraction { &self.agentic } else { &self.human };
        let mut delay_ms = law.draw(stream);
        if let Some(ContextSpeedup { slope, floor }) = self.speedup {
            delay_ms *= (1.0 - slope * f64::from(previous_context) / f64::from(self.max_prompt)).max(floor);
        }
        // Beyond 2^31 - 1 ms draws saturate, as lengths do.
        (delay_ms.min(f64::from(i32::MAX)) * 10.0).round_ties_even() as u64
    }
}
