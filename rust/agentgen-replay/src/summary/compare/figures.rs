//! The figures that are compared, computed for a run with weighted sessions.

use crate::records::{Outcome, Phase};
use crate::summary::run::{Run, Sent};
use crate::summary::statistics::rank;

/// A figure that is compared.
pub(super) struct Figure {
    pub name: &'static str,
    pub more_is_better: bool,
}

const fn more(name: &'static str) -> Figure {
    Figure { name, more_is_better: true }
}

const fn less(name: &'static str) -> Figure {
    Figure { name, more_is_better: false }
}

/// In the order of the output.
pub(super) const FIGURES: [Figure; 12] = [
    more("requests_per_second"),
    more("output_tokens_per_second"),
    less("ttft_p50_ms"),
    less("ttft_p99_ms"),
    less("tpot_p50_ms"),
    less("tpot_p99_ms"),
    less("e2e_p50_ms"),
    less("e2e_p99_ms"),
    less("lag_p50_ms"),
    less("lag_p99_ms"),
    more("success_share"),
    more("cache_hit_rate"),
];

/// How many of the first figures are rates.
pub(super) const RATES: usize = 2;

/// A value of each figure.
pub(super) type Figures = [Option<f64>; FIGURES.len()];

/// What the figures need of a run.
pub(super) struct Sample {
    seconds: Option<f64>,
    sums: Vec<Sums>,
    /// Ascending times, each with the index of its session: first token, per token, end to end, lag.
    times: [Vec<(f64, u32)>; 4],
    pub succeeded: u64,
    pub failed: u64,
}

/// Sums of one session.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    succeeded: u64,
    failed: u64,
    output_tokens: u64,
    prompt_tokens: u64,
    cached_tokens: u64,
}

impl Sample {
    /// The sample of a run's measured phase.
    pub fn of(run: &Run) -> Self {
        let sent = || run.requests.iter().filter(|sent| sent.phase == Phase::Run);
        let mut numbers = std::collections::HashMap::new();
        let mut sums: Vec<Sums> = Vec::new();
        let mut times: [Vec<(f64, u32)>; 4] = Default::default();
        let reporting = sent().any(|sent| sent.succeeded() && sent.measured().cached_tokens.is_some());
        for sent in sent() {
            let number = *numbers.entry(sent.key).or_insert_with(|| {
                sums.push(Sums::default());
                sums.len() - 1
            });
            times[3].extend(sent.lag_ms().map(|lag| (lag, number as u32)));
            let of = &mut sums[number];
            if !sent.succeeded() {
                of.failed += u64::from(sent.outcome != Outcome::Cancelled);
                continue;
            }
            of.succeeded += 1;
            of.output_tokens += sent.output_reported().unwrap_or(0);
            if let (true, Some(prompt)) = (reporting, sent.measured().prompt_tokens) {
                of.prompt_tokens += prompt;
                of.cached_tokens += sent.measured().cached_tokens.unwrap_or(0);
            }
            let figures: [fn(&Sent) -> Option<f64>; 3] = [Sent::ttft_ms, Sent::tpot_ms, Sent::e2e_ms];
            for (times, figure) in times.iter_mut().zip(figures) {
                times.extend(figure(sent).map(|value| (value, number as u32)));
            }
        }
        for times in &mut times {
            times.sort_unstable_by(|one, two| one.0.total_cmp(&two.0));
        }
        let first = sent().filter_map(|sent| sent.sent_ns).min();
        let last = sent().filter_map(|sent| sent.measured().last_byte_ns).max();
        let total = |figure: fn(&Sums) -> u64| sums.iter().map(figure).sum();
        Self {
            seconds: first.zip(last).map(|(first, last)| (last - first) as f64 / 1e9).filter(|&length| length > 0.0),
            succeeded: total(|of| of.succeeded),
            failed: total(|of| of.failed),
            sums,
            times,
        }
    }

    /// Number of sessions that sent a request.
    pub fn sessions(&self) -> usize {
        self.sums.len()
    }

    /// The figures as measured: each session once.
    pub fn figures(&self) -> Figures {
        self.weighted(&vec![1; self.sums.len()])
    }

    /// The figures with each session repeated by its weight. The length of the window does not change.
    pub fn weighted(&self, weights: &[u32]) -> Figures {
        let total = |figure: fn(&Sums) -> u64| -> f64 {
            self.sums.iter().zip(weights).map(|(of, &weight)| figure(of) * u64::from(weight)).sum::<u64>() as f64
        };
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        let succeeded = total(|of| of.succeeded);
        let per_second = |count: f64| self.seconds.map(|seconds| count / seconds);
        let [ttft, tpot, e2e, lag] = &self.times;
        let [ttft, tpot, e2e, lag] = [ttft, tpot, e2e, lag].map(|times| percentiles(times, weights));
        [
            per_second(succeeded),
            per_second(total(|of| of.output_tokens)),
            ttft.map(|of| of.0),
            ttft.map(|of| of.1),
            tpot.map(|of| of.0),
            tpot.map(|of| of.1),
            e2e.map(|of| of.0),
            e2e.map(|of| of.1),
            lag.map(|of| of.0),
            lag.map(|of| of.1),
            share(succeeded, succeeded + total(|of| of.failed)),
            share(total(|of| of.cached_tokens), total(|of| of.prompt_tokens)),
        ]
    }
}

/// The 50th and 99th percentile of weighted values.
fn percentiles(times: &[(f64, u32)], weights: &[u32]) -> Option<(f64, f64)> {
    let weight = |&(_, session): &(f64, u32)| u64::from(weights[session as usize]);
    let count = times.iter().map(weight).sum::<u64>();
    if count == 0 {
        return None;
    }
    let mut below = 0;
    let mut values = times.iter().map(|time| {
        below += weight(time);
        (below, time.0)
    });
    let p50 = values.find(|&(below, _)| below >= rank(500, count))?;
    let p99 = if p50.0 >= rank(990, count) { p50 } else { values.find(|&(below, _)| below >= rank(990, count))? };
    Some((p50.1, p99.1))
}
