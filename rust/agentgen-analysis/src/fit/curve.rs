//! Rates by a size, as the points of a curve.

use serde_json::{Value, json};

use super::round::significant;

/// Counts of events and trials by bands of a size.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    /// Upper ends of all bands but the last.
    edges: Vec<f64>,
    events: Vec<f64>,
    trials: Vec<f64>,
    /// Trials at the mean rate that each band has beside its own: keeps rates of rare events stable.
    prior: f64,
}

impl Rates {
    pub(super) fn new(edges: &[f64], prior: f64) -> Self {
        let bands = edges.len() + 1;
        Self { edges: edges.to_vec(), events: vec![0.0; bands], trials: vec![0.0; bands], prior }
    }

    pub(super) fn add(&mut self, size: f64, is_event: bool) {
        let band = self.edges.partition_point(|edge| *edge <= size);
        self.trials[band] += 1.0;
        self.events[band] += f64::from(u8::from(is_event));
    }

    pub(super) fn events(&self) -> f64 {
        self.events.iter().sum()
    }

    /// The rate over all bands.
    pub(super) fn mean(&self) -> f64 {
        self.events() / self.trials.iter().sum::<f64>().max(1.0)
    }

    fn rate(&self, band: usize) -> f64 {
        (self.events[band] + self.prior * self.mean()) / (self.trials[band] + self.prior).max(1.0)
    }

    /// The rate in the band of a size.
    pub(super) fn at(&self, size: f64) -> f64 {
        self.rate(self.edges.partition_point(|edge| *edge <= size))
    }

    /// A curve: constant in each band, with a step at each edge.
    pub(super) fn stated(&self) -> Value {
        if self.edges.is_empty() || self.events() == 0.0 {
            return significant(self.rate(0));
        }
        let steps = self.edges.iter().enumerate().flat_map(|(band, edge)| {
            [json!([edge, significant(self.rate(band))]), json!([edge, significant(self.rate(band + 1))])]
        });
        Value::Array(steps.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_constant_in_bands() {
        let mut rates = Rates::new(&[10.0, 20.0], 0.0);
        for (size, is_event) in [(5.0, true), (5.0, false), (10.0, false), (30.0, true)] {
            rates.add(size, is_event);
        }
        assert_eq!(rates.stated(), json!([[10.0, 0.5], [10.0, 0], [20.0, 0], [20.0, 1]]));
        assert_eq!((rates.at(9.9), rates.at(15.0), rates.at(20.0), rates.mean()), (0.5, 0.0, 1.0, 0.5));
    }
}
