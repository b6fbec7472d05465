//! Delays between turns, in milliseconds.

use super::lognormal::Lognormal;
use super::moments;
use crate::rng::RandomStream;

/// A truncated lognormal in milliseconds; draws above `clip` become `clip`.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayDist {
    lognormal: Lognormal,
    clip: f64,
}

impl DelayDist {
    pub(crate) fn new(lognormal: Lognormal, clip: f64) -> Self {
        Self { lognormal, clip }
    }

    /// One draw in milliseconds, not rounded.
    #[inline]
    pub fn draw(&self, stream: &mut RandomStream) -> f64 {
        self.lognormal.quantile(stream.uniform()).min(self.clip)
    }

    /// Mean of the draws, ms.
    #[must_use]
    pub fn mean(&self) -> f64 {
        moments::mean_of_clipped(&self.lognormal, self.clip)
    }

    /// Median of the draws, ms.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.lognormal.median().min(self.clip)
    }

    /// Share of the draws below `ms`.
    #[must_use]
    pub fn share_below(&self, ms: f64) -> f64 {
        if ms > self.clip { 1.0 } else { 1.0 - self.lognormal.survival(ms) }
    }
}

/// Tenths of a millisecond, rounded half-even. Delays saturate at 2^31 - 1 ms, like token counts at 2^31 - 1 tokens.
#[inline]
pub(crate) fn tenths(delay_ms: f64) -> u64 {
    (delay_ms.min(f64::from(i32::MAX)) * 10.0).round_ties_even() as u64
}
