//! Token counts of prompts and outputs.

use super::discrete::Discrete;
use super::lognormal::Lognormal;
use super::moments;
use crate::config::MAX_TOKENS;
use crate::rng::RandomStream;

/// Up to this many distinct token counts, the probabilities are tabulated.
const TABLE_SIZE: u32 = 65_536;

/// A truncated lognormal rounded down to whole tokens and clamped to `low ..= cap`.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenCountDist {
    lognormal: Lognormal,
    low: u32,
    cap: u32,
    /// Exact probabilities of the counts from `smallest` on: a draw needs neither a logarithm nor an exponential. None
    /// where there are too many counts, or only one.
    table: Option<Discrete>,
}

impl TokenCountDist {
    pub(crate) fn new(lognormal: Lognormal, low: u32, cap: u32) -> Self {
        let cap = cap.min(MAX_TOKENS);
        let mut dist = Self { lognormal, low: low.min(cap), cap, table: None };
        let (smallest, largest) = (dist.smallest(), dist.rounded(dist.lognormal.bounds().1));
        if dist.lognormal.sigma() > 0.0 && largest - smallest < TABLE_SIZE {
            // P(X <= k) is P(Y < k + 1) of the lognormal Y.
            let share = |k: u32| if k == largest { 1.0 } else { 1.0 - dist.lognormal.survival(f64::from(k) + 1.0) };
            dist.table = Some(Discrete::new((smallest..=largest).map(share).collect()));
        }
        dist
    }

    /// The same rounding and clamping of a lognormal whose median before truncation is `factor` times this one's.
    /// `None` where that lognormal has no probability between its bounds.
    pub(crate) fn with_median_scaled(&self, factor: f64) -> Option<Self> {
        if factor == 1.0 {
            return Some(self.clone());
        }
        let (min, max) = self.lognormal.bounds();
        let lognormal = Lognormal::new(self.lognormal.mu() + libm::log(factor), self.lognormal.sigma(), min, max)?;
        Some(Self::new(lognormal, self.low, self.cap))
    }

    /// One draw, in tokens.
    #[inline]
    pub fn draw(&self, stream: &mut RandomStream) -> u32 {
        let u = stream.uniform();
        match &self.table {
            Some(table) => self.smallest() + table.at(u),
            None => self.rounded(self.lognormal.quantile(u)),
        }
    }

    /// Whole tokens within the clamp. The cast saturates floats beyond `u32`.
    #[inline]
    fn rounded(&self, tokens: f64) -> u32 {
        (tokens as u32).clamp(self.low, self.cap)
    }

    /// The smallest possible draw, in tokens.
    #[inline]
    #[must_use]
    pub fn smallest(&self) -> u32 {
        self.rounded(self.lognormal.bounds().0)
    }

    /// Mean of the draws, in tokens.
    #[must_use]
    pub fn mean(&self) -> f64 {
        moments::mean_of_floor(&self.lognormal, self.low, self.cap)
    }

    /// Median of the draws, in tokens.
    #[must_use]
    pub fn median(&self) -> f64 {
        f64::from(self.rounded(self.lognormal.median()))
    }

    /// Share of the draws below `tokens`, a whole number.
    #[must_use]
    pub fn share_below(&self, tokens: f64) -> f64 {
        if tokens <= f64::from(self.low) {
            return 0.0;
        }
        if tokens > f64::from(self.cap) { 1.0 } else { 1.0 - self.lognormal.survival(tokens) }
    }

    /// Share of the draws that clamping raises to the smallest, and lowers to the largest.
    pub(crate) fn clamped(&self) -> (f64, f64) {
        let (raised, lowered) = (f64::from(self.low), f64::from(self.cap) + 1.0);
        (1.0 - self.lognormal.survival(raised), self.lognormal.survival(lowered))
    }

    /// The lognormal before rounding and clamping.
    #[must_use]
    pub fn lognormal(&self) -> &Lognormal {
        &self.lognormal
    }
}
