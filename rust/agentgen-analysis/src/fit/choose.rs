//! The choice of a family: by the likelihood of values that the estimate has not seen.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::families::Law;
use super::round::significant;

/// Fewer values do not decide between families: they become a table of quantiles.
const LEAST_VALUES: usize = 200;
/// How much better a family with more parameters must be, in logarithms of the likelihood a value.
const WORTHWHILE: f64 = 0.002;

/// How the family of a quantity was chosen.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Choice {
    /// The field of the configuration.
    pub field: String,
    /// Values it was estimated from.
    pub values: usize,
    /// The chosen family.
    pub chosen: String,
    /// Mean logarithm of the likelihood of values that the estimate has not seen, by family; empty if there were too few.
    pub scores: Vec<(String, f64)>,
}

/// Values of a quantity, each with the half of the sessions that it comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(Vec<(f64, bool)>);

impl Values {
    /// Adds a value; anything below `least` counts as `least`.
    pub(super) fn add(&mut self, value: f64, least: f64, odd: bool) {
        self.0.push((value.max(least), odd));
    }

    /// Adds the values of another list.
    pub(super) fn extend(&mut self, others: &Self) {
        self.0.extend(&others.0);
    }

    /// Adds at most `most` values of another list, spread evenly over it.
    pub(super) fn extend_thinned(&mut self, others: &Self, most: usize) {
        let count = others.0.len();
        let taken = count.min(most);
        self.0.extend((0..taken).map(|index| others.0[index * count / taken]));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn sorted(&self, half: Option<bool>) -> Vec<f64> {
        let chosen = self.0.iter().filter(|(_, odd)| half.is_none_or(|half| half == *odd));
        let mut values: Vec<f64> = chosen.map(|(value, _)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// The distribution of `values` as a configuration states it, truncated to their range.
pub(super) fn choose(field: &str, values: &Values, choices: &mut Vec<Choice>) -> Value {
    let all = values.sorted(None);
    let (scores, law) = if all.len() < LEAST_VALUES { (Vec::new(), Law::table(&all)) } else { held_out(values, &all) };
    let (smallest, largest) = (all.first().copied().unwrap_or(1.0), all.last().copied().unwrap_or(1.0));
    choices.push(Choice { field: field.to_owned(), values: all.len(), chosen: law.name(), scores });
    if smallest == largest {
        return json!({"median": significant(largest), "sigma": 0});
    }
    let mut stated = law.stated();
    if !matches!(law, Law::Table(_)) {
        stated["max"] = significant(largest);
    }
    stated
}

/// The scores of all families, and the best one estimated from all values.
fn held_out(values: &Values, all: &[f64]) -> (Vec<(String, f64)>, Law) {
    let halves = [false, true].map(|odd| values.sorted(Some(odd)));
    let laws = Law::all(all);
    let mut totals = vec![0.0; laws.len()];
    let mut counted = 0;
    for (seen, unseen) in [(&halves[0], &halves[1]), (&halves[1], &halves[0])] {
        if seen.len() < LEAST_VALUES / 4 {
            continue;
        }
        counted += unseen.len();
        for (total, law) in totals.iter_mut().zip(Law::all(seen)) {
            *total += unseen.iter().map(|x| law.log_density(*x).max(-50.0)).sum::<f64>();
        }
    }
    let score = |total: f64| total / counted.max(1) as f64;
    let scores: Vec<(String, f64)> =
        laws.iter().zip(&totals).map(|(law, total)| (law.name(), (score(*total) * 1e4).round() / 1e4)).collect();
    // Families come in the order of their number of parameters.
    let mut best = 0;
    for (index, (_, score)) in scores.iter().enumerate() {
        if *score > scores[best].1 + WORTHWHILE {
            best = index;
        }
    }
    (scores, laws.into_iter().nth(best).unwrap_or_else(|| Law::table(all)))
}
