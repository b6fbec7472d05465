//! Number of turns of a session, where the configuration states `turns`.

use super::lognormal::Lognormal;
use crate::config::Turns;
use crate::rng::RandomStream;

/// A lognormal rounded half-even to whole turns and clamped to `min ..= max`.
#[derive(Debug, Clone)]
pub(crate) struct TurnCountDist {
    lognormal: Lognormal,
    min: u32,
    max: u32,
}

impl TurnCountDist {
    pub(crate) fn new(turns: &Turns) -> Option<Self> {
        let sigma = (2.0 * libm::log(turns.mean / turns.median)).max(0.0).sqrt();
        let lognormal = Lognormal::new(libm::log(turns.median), sigma, 0.0, f64::INFINITY)?;
        Some(Self { lognormal, min: turns.min, max: turns.max })
    }

    /// Share of the draws below `turns`, a whole number.
    pub(crate) fn share_below(&self, turns: f64) -> f64 {
        if turns <= f64::from(self.min) {
            return 0.0;
        }
        if turns > f64::from(self.max) { 1.0 } else { 1.0 - self.lognormal.survival(turns - 0.5) }
    }

    /// One draw, in turns.
    pub(crate) fn draw(&self, stream: &mut RandomStream) -> u32 {
        (self.lognormal.quantile(stream.uniform()).round_ties_even() as u32).clamp(self.min, self.max)
    }
}
