//! What the session loop draws from: whole tokens, and milliseconds in tenths.

use serde::Serialize;

use super::discrete::Discrete;
use super::lognormal::Lognormal;
use super::moments;
use crate::config::MAX_TOKENS;
use crate::rng::Stream;

/// Up to this many different lengths, their probabilities are kept as a table.
const TABLE: u32 = 65_536;

/// Whole tokens: a truncated lognormal rounded down, never below `low`, never above `cap`.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenCountDist {
    law: Lognormal,
    low: u32,
    cap: u32,
    /// The same law as exact probabilities from `smallest` on: drawn without a logarithm or an exponential. None
    /// where the lengths are too many, or all one.
    table: Option<Discrete>,
}

impl TokenCountDist {
    pub(crate) fn new(law: Lognormal, low: u32, cap: u32) -> Self {
        let cap = cap.min(MAX_TOKENS);
        let mut lengths = Self { law, low: low.min(cap), cap, table: None };
        let (smallest, largest) = (lengths.smallest(), lengths.whole(lengths.law.bounds().1));
        if lengths.law.sigma() > 0.0 && largest - smallest < TABLE {
            // P(X <= k) is P(Y < k + 1) of the lognormal Y.
            let share = |k: u32| if k == largest { 1.0 } else { 1.0 - lengths.law.survival(f64::from(k) + 1.0) };
            lengths.table = Some(Discrete::new((smallest..=largest).map(share).collect()));
        }
        lengths
    }

    /// The same rounding, floor and cap on another lognormal.
    pub(crate) fn with_lognormal(&self, law: Lognormal) -> Self {
        Self::new(law, self.low, self.cap)
    }

    /// One draw, in tokens.
    #[inline]
    pub fn draw(&self, stream: &mut Stream) -> u32 {
        let u = stream.uniform();
        match &self.table {
            Some(table) => self.smallest() + table.at(u),
            None => self.whole(self.law.quantile(u)),
        }
    }

    /// A length as it is written. A float beyond u32 saturates in the cast.
    #[inline]
    fn whole(&self, tokens: f64) -> u32 {
        (tokens as u32).clamp(self.low, self.cap)
    }

    /// The smallest draw possible.
    #[inline]
    #[must_use]
    pub fn smallest(&self) -> u32 {
        self.whole(self.law.bounds().0)
    }

    /// Mean of the draws.
    #[must_use]
    pub fn mean(&self) -> f64 {
        moments::mean_of_floor(&self.law, self.low, self.cap)
    }

    /// Median of the draws.
    #[must_use]
    pub fn median(&self) -> f64 {
        f64::from(self.whole(self.law.median()))
    }

    /// Share of the draws below `tokens`, a whole number.
    #[must_use]
    pub fn share_below(&self, tokens: f64) -> f64 {
        if tokens <= f64::from(self.low) {
            return 0.0;
        }
        if tokens > f64::from(self.cap) { 1.0 } else { 1.0 - self.law.survival(tokens) }
    }

    /// The law before rounding.
    #[must_use]
    pub fn lognormal(&self) -> &Lognormal {
        &self.law
    }
}

/// A pause: a truncated lognormal in milliseconds, clipped at `clip`.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayDist {
    law: Lognormal,
    clip: f64,
}

impl DelayDist {
    pub(crate) fn new(law: Lognormal, clip: f64) -> Self {
        Self { law, clip }
    }

    /// One draw, in milliseconds, not yet rounded.
    #[inline]
    pub fn draw(&self, stream: &mut Stream) -> f64 {
        self.law.quantile(stream.uniform()).min(self.clip)
    }

    /// Mean of the draws, ms.
    #[must_use]
    pub fn mean(&self) -> f64 {
        moments::mean_of_clipped(&self.law, self.clip)
    }

    /// Median of the draws, ms.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.law.median().min(self.clip)
    }

    /// Share of the draws below `ms`.
    #[must_use]
    pub fn share_below(&self, ms: f64) -> f64 {
        if ms > self.clip { 1.0 } else { 1.0 - self.law.survival(ms) }
    }

    /// The law before the clip.
    #[must_use]
    pub fn lognormal(&self) -> &Lognormal {
        &self.law
    }
}

/// Mean and median that draws have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effective {
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
}
