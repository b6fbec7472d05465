//! How much sessions differ: shares of the variance between sessions, of normal scores.

use agentgen_core::dist::normal;
use serde_json::{Value, json};

use super::round::four_digits;
use super::samples::Step;
use crate::distance::{Call, Calls, Conversation, Trigger};

const NAMES: [&str; 5] = ["tool_new_tokens", "human_new_tokens", "output", "tool_delay", "human_delay"];
/// Values of a session from which it has a mean.
const LEAST_VALUES: usize = 3;
/// Weaker correlations are left out.
const LEAST_CORRELATION: f64 = 0.15;
/// Fewer sessions say nothing about a correlation.
const LEAST_SESSIONS: usize = 30;

pub(super) fn effects(calls: &Calls) -> Value {
    let scored = NAMES.iter().enumerate().map(|(quantity, _)| Scored::new(calls, quantity)).collect::<Vec<_>>();
    let mut stated = serde_json::Map::new();
    for (name, scored) in NAMES.iter().zip(&scored) {
        stated.insert((*name).to_owned(), four_digits(scored.share));
    }
    stated.insert("correlations".to_owned(), correlations(&scored));
    Value::Object(stated)
}

/// The values of one quantity in a session.
fn values(conversation: &Conversation, quantity: usize) -> Vec<f64> {
    let pairs = conversation.calls.windows(2);
    let caused =
        |trigger: Trigger| move |call: &Call| (call.trigger == Some(Trigger::Human)) == (trigger == Trigger::Human);
    let growth = |trigger: Trigger| {
        let of = caused(trigger);
        pairs.clone().filter(move |pair| of(&pair[1])).filter_map(|pair| match Step::new(&pair[0], &pair[1]) {
            Step::Appended(tokens) => Some(tokens),
            _ => None,
        })
    };
    let wait = |trigger: Trigger| {
        let of = caused(trigger);
        pairs.clone().filter(move |pair| of(&pair[1])).filter_map(|pair| pair[1].wait_ms)
    };
    match quantity {
        0 => growth(Trigger::Tool).collect(),
        1 => growth(Trigger::Human).collect(),
        2 => conversation.calls.iter().map(|call| f64::from(call.output)).collect(),
        3 => wait(Trigger::Tool).collect(),
        _ => wait(Trigger::Human).collect(),
    }
}

/// A quantity's normal scores by session.
struct Scored {
    /// Sum and count of each session.
    sums: Vec<(f64, f64)>,
    /// Share of the variance between sessions.
    share: f64,
}

impl Scored {
    fn new(calls: &Calls, quantity: usize) -> Self {
        let sessions: Vec<Vec<f64>> = calls.conversations.iter().map(|c| values(c, quantity)).collect();
        let mut sorted: Vec<f64> = sessions.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let score = |value: &f64| {
            let below = sorted.partition_point(|other| other < value);
            let upto = sorted.partition_point(|other| other <= value);
            normal::quantile((below + upto) as f64 / (2.0 * sorted.len() as f64))
        };
        let (mut sums, mut squares) = (Vec::with_capacity(sessions.len()), 0.0);
        for session in &sessions {
            let scores: Vec<f64> = session.iter().map(score).collect();
            squares += scores.iter().map(|z| z * z).sum::<f64>();
            sums.push((scores.iter().sum::<f64>(), scores.len() as f64));
        }
        let share = share_between(&sums, squares);
        Self { sums, share }
    }

    fn mean(&self, session: usize) -> Option<f64> {
        let (sum, count) = self.sums[session];
        (count >= LEAST_VALUES as f64).then(|| sum / count)
    }
}

/// The intraclass correlation of a one-way analysis of variance, 0 to 0.95.
fn share_between(sums: &[(f64, f64)], squares: f64) -> f64 {
    let groups: Vec<(f64, f64)> = sums.iter().copied().filter(|(_, count)| *count > 0.0).collect();
    let (k, n) = (groups.len() as f64, groups.iter().map(|(_, count)| count).sum::<f64>());
    if k < 2.0 || n <= k {
        return 0.0;
    }
    let grand = groups.iter().map(|(sum, _)| sum).sum::<f64>() / n;
    let between = groups.iter().map(|(sum, count)| count * (sum / count - grand) * (sum / count - grand)).sum::<f64>();
    let within = squares - groups.iter().map(|(sum, count)| sum * sum / count).sum::<f64>();
    let (between, within) = (between / (k - 1.0), within / (n - k));
    let size = (n - groups.iter().map(|(_, count)| count * count).sum::<f64>() / n) / (k - 1.0);
    ((between - within) / (between + (size - 1.0) * within)).clamp(0.0, 0.95)
}

/// Correlations between the means of sessions, weakened until they are possible together.
fn correlations(scored: &[Scored]) -> Value {
    let mut matrix = [[0.0; NAMES.len()]; NAMES.len()];
    for a in 0..NAMES.len() {
        for b in 0..a {
            let found = correlation(&scored[a], &scored[b]);
            matrix[a][b] = if found.abs() < LEAST_CORRELATION { 0.0 } else { found };
        }
    }
    while !is_positive_definite(&matrix) {
        matrix.iter_mut().flatten().for_each(|value| *value *= 0.9);
    }
    let mut stated = Vec::new();
    for a in 0..NAMES.len() {
        for b in 0..a {
            if matrix[a][b] != 0.0 {
                stated.push(json!({"between": [NAMES[b], NAMES[a]], "value": four_digits(matrix[a][b])}));
            }
        }
    }
    Value::Array(stated)
}

fn correlation(a: &Scored, b: &Scored) -> f64 {
    let means: Vec<(f64, f64)> = (0..a.sums.len()).filter_map(|at| Some((a.mean(at)?, b.mean(at)?))).collect();
    if means.len() < LEAST_SESSIONS {
        return 0.0;
    }
    let count = means.len() as f64;
    let (x, y) = (means.iter().map(|m| m.0).sum::<f64>() / count, means.iter().map(|m| m.1).sum::<f64>() / count);
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| means.iter().map(of).sum::<f64>();
    let (xx, yy) = (sum(&|m| (m.0 - x) * (m.0 - x)), sum(&|m| (m.1 - y) * (m.1 - y)));
    (sum(&|m| (m.0 - x) * (m.1 - y)) / (xx * yy).sqrt().max(1e-12)).clamp(-0.95, 0.95)
}

/// Whether a matrix with ones on its diagonal has a Cholesky factor; only the part below the diagonal is read.
fn is_positive_definite(matrix: &[[f64; NAMES.len()]; NAMES.len()]) -> bool {
    let mut factor = [[0.0; NAMES.len()]; NAMES.len()];
    for a in 0..NAMES.len() {
        for b in 0..=a {
            let value = if a == b { 1.0 } else { matrix[a][b] };
            let rest = value - (0..b).map(|c| factor[a][c] * factor[b][c]).sum::<f64>();
            if a == b && rest <= 0.01 {
                return false;
            }
            factor[a][b] = if a == b { rest.sqrt() } else { rest / factor[b][b] };
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_between_sessions_is_found_again() {
        // Sessions of two values each: means -1 and 1, and 0.5 around them.
        let sums = [(-2.0, 2.0), (2.0, 2.0), (-2.0, 2.0), (2.0, 2.0)];
        let squares = 4.0 * (0.5_f64.powi(2) + 1.5_f64.powi(2));
        // Between: 8 / 3; within: 2 / 4.
        let expected = (8.0 / 3.0 - 0.5) / (8.0 / 3.0 + 0.5);
        assert!((share_between(&sums, squares) - expected).abs() < 1e-12);
        assert_eq!(share_between(&[(0.0, 2.0), (0.0, 2.0)], 4.0), 0.0);
    }
}
