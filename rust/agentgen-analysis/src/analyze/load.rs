//! Whether a simulated system keeps up with what it is asked for, and with how many sessions it would.

use agentgen_trace::session::TraceTiming;
use schemars::JsonSchema;
use serde::Serialize;

use crate::histogram::Observed;
use crate::simulate::{Figures, Settings};

/// Simulations, at most, that look for the sessions that fit.
const SETTLING: u32 = 8;

/// What the prefill units are asked for, against what they can do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Load {
    /// Offered prefill work over capacity: above 1, waiting times grow with every session. In a closed loop, the work that
    /// `concurrency` sessions would offer if none waited; else the share of the time that the prefill units are busy.
    pub prefill: f64,
    /// The most sessions at once whose prefill work fits; null unless the clock is `closed`.
    pub sessions: Option<u64>,
}

impl Load {
    pub(super) fn of(figures: &Figures, settings: &Settings) -> Option<Self> {
        let replicas = f64::from(settings.replicas);
        let prefilled = (figures.prompt_tokens - figures.hit_tokens) as f64;
        let work_ms = prefilled / settings.timeline.prefill_tokens_per_second * 1000.0 / replicas;
        if work_ms <= 0.0 || figures.duration_ms <= 0.0 {
            return None;
        }
        if figures.clock != TraceTiming::Closed {
            return Some(Self { prefill: work_ms / figures.duration_ms, sessions: None });
        }
        let ends = figures.series.iter().skip(1).map(|part| part.time_ms).chain([figures.duration_ms]);
        let open_ms: f64 =
            figures.series.iter().zip(ends).map(|(part, end)| part.open_sessions * (end - part.time_ms)).sum();
        let waited_ms = figures.times.queueing.map_or(0.0, |times| times.mean * times.count as f64);
        // What all sessions last if none waits.
        let alone_ms = open_ms - waited_ms;
        let at_once = settings.timeline.concurrency.min(figures.occupancy.peak_open_sessions as usize);
        let fit = alone_ms / work_ms;
        (fit > 0.0).then(|| Self { prefill: at_once as f64 / fit, sessions: Some(fit as u64) })
    }
}

impl Load {
    /// With the sessions that fit when only they are open: an overloaded run finds less in the cache, and restart sessions
    /// wait in it for their parents.
    pub(super) fn settled<E>(mut self, with: impl Fn(u64) -> Result<(Figures, Settings), E>) -> Result<Self, E> {
        let Some(mut fit) = self.sessions.filter(|_| self.prefill > 1.0) else { return Ok(self) };
        for _ in 0..SETTLING {
            let (figures, settings) = with(fit)?;
            let now = Self::of(&figures, &settings).and_then(|load| load.sessions).unwrap_or(fit);
            if now == fit {
                break;
            }
            fit = now;
        }
        self.sessions = Some(fit);
        Ok(self)
    }
}

/// A limit on a statistic of the requests' times.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Target {
    /// `ttft`, or `e2e` (from sending to the last token).
    pub metric: Metric,
    /// The statistic.
    pub statistic: Statistic,
    /// Its largest value, ms.
    pub limit_ms: f64,
}

/// A time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Time to first token.
    Ttft,
    /// From sending to the last token.
    E2e,
}

/// A statistic of these times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// Mean.
    Mean,
    /// Median.
    P50,
    /// 75th percentile.
    P75,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
}

impl Target {
    /// A target by the names of its metric and statistic; `None` if one of them is unknown.
    #[must_use]
    pub fn named(metric: &str, statistic: &str, limit_ms: f64) -> Option<Self> {
        let metric = match metric {
            "ttft" => Metric::Ttft,
            "e2e" => Metric::E2e,
            _ => return None,
        };
        let statistic = match statistic {
            "mean" => Statistic::Mean,
            "p50" => Statistic::P50,
            "p75" => Statistic::P75,
            "p95" => Statistic::P95,
            "p99" => Statistic::P99,
            _ => return None,
        };
        Some(Self { metric, statistic, limit_ms })
    }

    pub(super) fn is_met(&self, figures: &Figures) -> bool {
        let times = match self.metric {
            Metric::Ttft => figures.times.ttft,
            Metric::E2e => figures.times.latency,
        };
        times.is_some_and(|times| self.value(&times) <= self.limit_ms)
    }

    fn value(&self, times: &Observed) -> f64 {
        match self.statistic {
            Statistic::Mean => times.mean,
            Statistic::P50 => times.median,
            Statistic::P75 => times.p75,
            Statistic::P95 => times.p95,
            Statistic::P99 => times.p99,
        }
    }
}

/// The largest number from 1 to `most` that fits, if everything below it fits, too; 0 if not even 1 does.
pub(super) fn largest<E>(most: u64, mut fits: impl FnMut(u64) -> Result<bool, E>) -> Result<u64, E> {
    let (mut low, mut high) = (0, 1.min(most));
    while low < high && fits(high)? {
        low = high;
        if high == most {
            return Ok(most);
        }
        high = high.saturating_mul(2).min(most);
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(middle)? { low = middle } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_number_that_fits_is_found() {
        for most in [0, 1, 2, 7, 64, 1000] {
            for limit in [0, 1, 2, 3, 7, 8, 63, 64, 999, 1000, 2000] {
                let found = largest(most, |number| Ok::<_, ()>(number <= limit));
                assert_eq!(found, Ok(limit.min(most)), "{most} {limit}");
            }
        }
    }
}
