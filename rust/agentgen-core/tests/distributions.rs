//! Draws against the laws they are drawn from (Kolmogorov-Smirnov), and against stated targets.

use agentgen_core::config::{Config, Overrides, preset};
use agentgen_core::dist::{Lognormal, Zipf};
use agentgen_core::rng::{Purpose, Streams};
use agentgen_core::{Drawn, Layout, Plan, SessionGenerator};

/// Critical value of the one-sample statistic at alpha = 0.001, for n draws.
fn critical(n: usize) -> f64 {
    1.949 / (n as f64).sqrt()
}

#[test]
fn lognormal_draws_follow_the_truncated_law() {
    let mut stream = Streams::new(7).stream(Purpose::Content, 0);
    for (mu, sigma, min, max) in
        [(8.5, 0.4, 0.0, 10_000.0), (9.0, 1.5, 100.0, 9_000.0), (2.0, 0.3, 1e4, 1e5), (10.0, 1.0, 0.0, f64::INFINITY)]
    {
        let law = Lognormal::new(mu, sigma, min, max).expect("has mass");
        let n = 100_000;
        let mut draws: Vec<f64> = (0..n).map(|_| law.quantile(stream.uniform())).collect();
        draws.sort_by(f64::total_cmp);
        // The law written out again, from the error function.
        let phi = |x: f64| 0.5 * libm::erfc(-(x.ln() - mu) / sigma / std::f64::consts::SQRT_2);
        let tail = |x: f64| 0.5 * libm::erfc((x.ln() - mu) / sigma / std::f64::consts::SQRT_2);
        let (upper, low, high) = (phi(min) > 0.5, phi(min), phi(max));
        let cdf = |x: f64| {
            if upper { (tail(min) - tail(x)) / (tail(min) - tail(max)) } else { (phi(x) - low) / (high - low) }
        };
        let gap = |(i, x): (usize, &f64)| {
            let share = cdf(*x);
            (share - i as f64 / n as f64).abs().max(((i + 1) as f64 / n as f64 - share).abs())
        };
        let distance = draws.iter().enumerate().map(gap).fold(0.0, f64::max);
        assert!(distance < critical(n), "mu {mu} sigma {sigma}: {distance}");
    }
}

#[test]
fn groups_follow_their_weights() {
    let (groups, alpha, n) = (100u32, 0.6, 200_000);
    let zipf = Zipf::new(groups, alpha);
    let streams = Streams::new(3);
    let mut counts = vec![0u32; groups as usize];
    for run in 0..n {
        counts[zipf.group(streams.stream(Purpose::Group, run).uniform()) as usize] += 1;
    }
    let total: f64 = (1..=groups).map(|k| f64::from(k).powf(-alpha)).sum();
    let chi_square: f64 = (1..=groups)
        .zip(&counts)
        .map(|(k, seen)| {
            let expected = f64::from(k).powf(-alpha) / total * n as f64;
            (f64::from(*seen) - expected).powi(2) / expected
        })
        .sum();
    // 99 degrees of freedom, alpha = 0.001.
    assert!(chi_square < 148.2, "{chi_square}");
}

#[test]
fn the_default_preset_meets_every_target_within_one_percent() {
    let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
    let sessions = 100_000;
    let plan = Plan::new(&config, Overrides::default(), 42, sessions, Layout::Incremental).expect("feasible");
    let mut simulator = SessionGenerator::new(&plan);
    let (mut first, mut input, mut output, mut delay) = ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
    let add = |sum: &mut [f64; 2], value: f64| {
        sum[0] += value;
        sum[1] += 1.0;
    };
    for run in 0..sessions {
        let session = simulator.root(run, 0).expect("reset mode never fails");
        add(&mut first, f64::from(session.turns[0].context));
        for turn in session.turns {
            add(&mut output, f64::from(turn.output));
        }
        for turn in &session.turns[1..] {
            add(&mut input, f64::from(turn.input));
            add(&mut delay, turn.delay_tenths as f64 / 10.0);
        }
    }
    for (name, [sum, count], target) in [
        ("initial context", first, 32_256.0 + 15_000.0),
        ("new tokens", input, 6_000.0),
        ("outputs", output, 1_000.0),
        ("delay", delay, 0.7 * 2_500.0 + 0.3 * 40_000.0),
    ] {
        let miss = sum / count / target - 1.0;
        assert!(miss.abs() < 0.01, "{name}: {:.0} for {target:.0} ({:+.2} %)", sum / count, miss * 100.0);
    }
}

#[test]
fn poisson_arrivals_have_their_rate_and_start_anywhere() {
    let mut config = Config::from_json(preset("default").expect("bundled")).expect("valid");
    config.arrival = agentgen_core::config::Arrival::Poisson { rate: 4.0 };
    let plan = Plan::new(&config, Overrides::default(), 1, 50_000, Layout::Incremental).expect("feasible");
    let mut clock = agentgen_core::ArrivalClock::default();
    assert_eq!(clock.arrival_tenths(&plan, 0), 0);
    let times: Vec<u64> = (0..50_000).map(|run| clock.arrival_tenths(&plan, run)).collect();
    assert!(times.is_sorted());
    let mean_gap_ms = times[49_999] as f64 / 10.0 / 49_999.0;
    assert!((mean_gap_ms / 250.0 - 1.0).abs() < 0.02, "{mean_gap_ms}");
    // A clock that starts late shows the same time.
    assert_eq!(agentgen_core::ArrivalClock::default().arrival_tenths(&plan, 31_234), times[31_234]);
}

#[test]
fn shares_below_are_those_of_the_draws() {
    let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
    let sessions = 20_000;
    let plan = Plan::new(&config, Overrides::default(), 5, sessions, Layout::Incremental).expect("feasible");
    let mut simulator = SessionGenerator::new(&plan);
    let (mut first, mut output, mut delay) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..sessions {
        let session = simulator.root(run, 0).expect("reset mode never fails");
        first.push(f64::from(session.turns[0].context));
        output.extend(session.turns.iter().map(|turn| f64::from(turn.output)));
        delay.extend(session.turns[1..].iter().map(|turn| turn.delay_tenths as f64 / 10.0));
    }
    let near = |name: &str, values: &[f64], value: f64, expected: f64| {
        let share = values.iter().filter(|v| **v < value).count() as f64 / values.len() as f64;
        let tolerance = 4.5 * (expected * (1.0 - expected) / values.len() as f64).sqrt() + 1e-9;
        assert!((share - expected).abs() <= tolerance, "{name} below {value}: {share} for {expected}");
    };
    let share = |drawn, value| plan.share_below(drawn, value).expect("a law");
    for value in [32_257.0, 40_000.0, 47_000.0, 60_000.0, 62_257.0] {
        near("first prompt", &first, value, share(Drawn::FirstPrompt, value));
    }
    for value in [31.0, 500.0, 991.0, 1_400.0, 1_501.0] {
        near("output", &output, value, share(Drawn::Output, value));
    }
    for value in [100.0, 1_800.0, 10_000.0, 40_000.0, 120_001.0] {
        let mixed = 0.7 * share(Drawn::AgenticDelay, value) + 0.3 * share(Drawn::HumanDelay, value);
        near("delay", &delay, value, mixed);
    }
    assert_eq!(plan.share_below(Drawn::Turns, 5.0), None);
}
