//! Prometheus histograms of durations.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of lags, seconds.
const LAGS: [f64; 12] = [0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 1.0];
/// Upper bounds of request times, seconds.
const TIMES: [f64; 16] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Counts by bucket, and the sum of all durations.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<AtomicU64>,
    sum_nanoseconds: AtomicU64,
}

impl Histogram {
    /// A histogram of lags.
    pub fn of_lags() -> Self {
        Self::new(&LAGS)
    }

    /// A histogram of request times.
    pub fn of_times() -> Self {
        Self::new(&TIMES)
    }

    fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counts, sum_nanoseconds: AtomicU64::new(0) }
    }

    /// Adds a duration.
    pub fn add(&self, nanoseconds: u64) {
        let seconds = nanoseconds as f64 * 1e-9;
        let bucket = self.bounds.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Number of durations.
    #[cfg(test)]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Writes the metric to the `/metrics` page.
    pub fn write(&self, page: &mut String, name: &str, help: &str, labels: &str) {
        let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut below = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            below += count.load(Ordering::Relaxed);
            let bound = self.bounds.get(bucket).map_or("+Inf".to_owned(), f64::to_string);
            let _ = writeln!(page, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
        }
        let sum = self.sum_nanoseconds.load(Ordering::Relaxed) as f64 * 1e-9;
        let _ = writeln!(page, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {below}");
    }
}
