//! Arrival times of the root sessions.

use crate::config::Arrival;
use crate::rng::Purpose;
use crate::spec::DatasetSpec;

/// Computes arrival times in index order. The first session arrives at 0.
///
/// Gaps are summed in whole nanoseconds, so the sum does not depend on the session at which a shard starts.
#[derive(Debug, Clone, Default)]
pub struct ArrivalClock {
    root: u64,
    nanoseconds: u128,
}

impl ArrivalClock {
    /// Index of the last root session whose arrival was computed.
    #[must_use]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Arrival time of root session `root` in tenths of a millisecond, rounded half-even; 0 without arrivals. Indices
    /// must not decrease from call to call.
    pub fn arrival_tenths(&mut self, spec: &DatasetSpec, root: u64) -> u64 {
        const TENTH: u128 = 100_000;
        let Arrival::Poisson { rate } = spec.config().arrival else { return 0 };
        while self.root < root {
            self.root += 1;
            let gap_s = -libm::log(spec.streams.stream(Purpose::Arrival, self.root).uniform()) / rate;
            self.nanoseconds += (gap_s * 1e9).round_ties_even() as u128;
        }
        let (whole, rest) = (self.nanoseconds / TENTH, self.nanoseconds % TENTH);
        let up = rest > TENTH / 2 || (rest == TENTH / 2 && whole % 2 == 1);
        (whole + u128::from(up)) as u64
    }
}
