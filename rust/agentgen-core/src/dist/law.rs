//! What the session loop draws from: whole tokens, and milliseconds in tenths.

use serde::Serialize;

use super::lognormal::Lognormal;
use super::moments;
use crate::config::MAX_TOKENS;
use crate::rng::Stream;

/// Whole tokens: a truncated lognormal rounded down, never below `low`, never above `cap`.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthLaw {
    law: Lognormal,
    low: u32,
    cap: u32,
}

impl LengthLaw {
    pub(crate) fn new(law: Lognormal, low: u32, cap: u32) -> Self {
        Self { law, low: low.min(cap), cap: cap.min(MAX_TOKENS) }
    }

    /// The same rounding, floor and cap on another lognormal.
    pub(crate) fn with_lognormal(&self, law: Lognormal) -> Self {
        Self { law, ..*self }
    }

    /// One draw, in tokens.
    #[inline]
    pub fn draw(&self, stream: &mut Stream) -> u32 {
        // A float beyond u32 saturates in the cast.
        (self.law.quantile(stream.uniform()) as u32).clamp(self.low, self.cap)
    }

    /// The smallest draw possible.
    #[must_use]
    pub fn smallest(&self) -> u32 {
        (self.law.bounds().0 as u32).clamp(self.low, self.cap)
    }

    /// Mean of the draws.
    #[must_use]
    pub fn mean(&self) -> f64 {
        moments::mean_of_floor(&self.law, self.low, self.cap)
    }

    /// Median of the draws.
    #[must_use]
    pub fn median(&self) -> f64 {
        f64::from((self.law.median() as u32).clamp(self.low, self.cap))
    }

    /// The law before rounding.
    #[must_use]
    pub fn lognormal(&self) -> &Lognormal {
        &self.law
    }
}

/// A pause: a truncated lognormal in milliseconds, clipped at `clip`.
#[derive(Debug, Clone, PartialEq)]
pub struct DelayLaw {
    law: Lognormal,
    clip: f64,
}

impl DelayLaw {
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
