//! Calls of a human turn: a lognormal rounded up, whose median is a session's own. Maximum likelihood.

use agentgen_core::dist::normal;
use serde_json::{Value, json};

use super::round::{four_digits, significant};
use crate::distance::{Calls, Trigger};

/// Turns of a session that count.
const MOST_TURNS: usize = 60;
/// Nodes of the integral over the medians of sessions, in standard deviations, and steps between them.
const NODES: i32 = 10;
const NODE_STEP: f64 = 0.4;
/// Ranges of the parameters.
const RANGES: [(f64, f64); 7] =
    [(-2.0, 7.0), (-3.0, 3.0), (-3.0, 3.0), (-3.0, 1.5), (-3.0, 1.5), (-6.0, 3.0), (-2.0, 2.0)];
/// Rounds of the search.
const ROUNDS: usize = 60;

/// A human turn.
#[derive(Debug, Clone, Copy)]
struct Turn {
    calls: f64,
    is_first: bool,
    /// The session ended in it: it has at least these calls.
    is_cut: bool,
}

struct Session {
    is_resumed: bool,
    turns: Vec<Turn>,
}

/// Logarithm of the median, offsets of first turns of new sessions and of resumed sessions, logarithms of both standard
/// deviations, logit of the share of chats, logarithm of the median of chats.
type Parameters = [f64; 7];

pub(super) fn calls_per_human_turn(calls: &Calls, fresh_below: Option<f64>) -> Value {
    let sessions = sessions(calls, fresh_below);
    let mut best: Parameters = [1.0, 0.3, 0.0, 0.3, 0.3, -3.0, 0.1];
    let mut score = likelihood(&sessions, &best);
    let mut steps: Parameters = [0.5, 0.4, 0.3, 0.3, 0.3, 0.8, 0.2];
    for _ in 0..ROUNDS {
        let mut has_improved = false;
        for at in 0..best.len() {
            if at == 2 && fresh_below.is_none() {
                continue;
            }
            for sign in [1.0, -1.0] {
                let mut tried = best;
                tried[at] = (tried[at] + sign * steps[at]).clamp(RANGES[at].0, RANGES[at].1);
                let found = likelihood(&sessions, &tried);
                if found > score + 1e-6 {
                    (best, score, has_improved) = (tried, found, true);
                    break;
                }
            }
        }
        if !has_improved {
            steps = steps.map(|step| 0.5 * step);
            if steps[0] < 0.01 {
                break;
            }
        }
    }
    stated(&best, fresh_below)
}

fn stated(best: &Parameters, fresh_below: Option<f64>) -> Value {
    let [mu, first, resumed, within, between, chats, chat] = *best;
    let by_first = |fresh: f64, later: f64| match fresh_below {
        Some(split) => json!([[split.round(), significant(fresh)], [split.round(), significant(later)]]),
        None => significant(fresh),
    };
    json!({
        "median": by_first(mu.exp(), (mu + resumed).exp()),
        "first_turn_factor": by_first(first.exp(), 1.0),
        "sigma": four_digits(within.exp()),
        "session_sigma": four_digits(between.exp()),
        "chat_probability": four_digits(logistic(chats)),
        "chat_median": significant(chat.exp()),
    })
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn sessions(calls: &Calls, fresh_below: Option<f64>) -> Vec<Session> {
    let of = |conversation: &crate::distance::Conversation| {
        let first = conversation.calls.first()?;
        let is_resumed = fresh_below.is_some_and(|split| f64::from(first.prompt) >= split);
        let mut turns: Vec<Turn> = Vec::new();
        for (index, call) in conversation.calls.iter().enumerate() {
            if index == 0 || call.trigger == Some(Trigger::Human) {
                turns.push(Turn { calls: 0.0, is_first: index == 0, is_cut: false });
            }
            if let Some(turn) = turns.last_mut() {
                turn.calls += 1.0;
            }
        }
        if let Some(last) = turns.last_mut() {
            last.is_cut = true;
        }
        turns.truncate(MOST_TURNS);
        Some(Session { is_resumed, turns })
    };
    calls.conversations.iter().filter_map(of).collect()
}

fn likelihood(sessions: &[Session], parameters: &Parameters) -> f64 {
    let [mu, first, resumed, within, between, chats, chat] = *parameters;
    let (within, between, chats) = (within.exp(), between.exp(), logistic(chats));
    let of_turn = |turn: &Turn, mean: f64| {
        let below = if turn.calls > 1.0 { normal::cdf(((turn.calls - 1.0).ln() - mean) / within) } else { 0.0 };
        let upto = if turn.is_cut { 1.0 } else { normal::cdf((turn.calls.ln() - mean) / within) };
        (upto - below).max(1e-12).ln()
    };
    let weights: Vec<f64> = (-NODES..=NODES).map(|i| (-0.5 * (f64::from(i) * NODE_STEP).powi(2)).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mut sum = 0.0;
    for session in sessions {
        let center = mu + if session.is_resumed { resumed } else { 0.0 };
        let at = |own: f64| {
            let mean = |turn: &Turn| own + if turn.is_first && !session.is_resumed { first } else { 0.0 };
            session.turns.iter().map(|turn| of_turn(turn, mean(turn))).sum::<f64>()
        };
        let mut mixed = chats * session.turns.iter().map(|turn| of_turn(turn, chat)).sum::<f64>().exp();
        for (node, weight) in (-NODES..=NODES).zip(&weights) {
            mixed += (1.0 - chats) * weight / total * at(center + between * f64::from(node) * NODE_STEP).exp();
        }
        sum += mixed.max(1e-300).ln();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::{Call, Conversation};

    #[test]
    fn medians_and_spreads_are_found_again() {
        let normal = |u: f64, v: f64| (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos();
        let uniform = |seed: u64| (hash_of(seed) >> 11) as f64 / 9_007_199_254_740_992.0 + 1e-16;
        let mut seed = 0;
        let mut score = || {
            seed += 2;
            normal(uniform(seed), uniform(seed + 1))
        };
        let call = |trigger| Call {
            trigger: Some(trigger),
            prompt: 1_000,
            output: 10,
            kept: None,
            returned: None,
            break_kind: None,
            wait_ms: None,
        };
        let conversations = (0..400).map(|hash| {
            let own = 1.5 + 0.8 * score();
            let mut calls = Vec::new();
            for _ in 0..12 {
                let count = (own + 0.5 * score()).exp().ceil() as usize;
                calls.push(call(Trigger::Human));
                calls.extend((1..count).map(|_| call(Trigger::Tool)));
            }
            Conversation { hash, arrival_ms: None, calls }
        });
        let calls = Calls { conversations: conversations.collect(), ..Calls::default() };
        let found = calls_per_human_turn(&calls, None);
        let at = |name: &str| found[name].as_f64().expect("a number");
        assert!((at("median").ln() - 1.5).abs() < 0.15, "{found}");
        assert!((at("sigma") - 0.5).abs() < 0.05, "{found}");
        assert!((at("session_sigma") - 0.8).abs() < 0.1, "{found}");
        assert!(at("chat_probability") < 0.1, "{found}");
    }

    fn hash_of(seed: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes())
    }
}
