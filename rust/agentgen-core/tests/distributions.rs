//! Draws against their distributions (Kolmogorov-Smirnov) and against stated targets.

use agentgen_core::config::{Config, Overrides, preset};
use agentgen_core::dist::{Lognormal, Zipf};
use agentgen_core::rng::{Purpose, RandomStreams};
use agentgen_core::{ConfigError, DatasetSpec, Layout, Quantity, Session, SessionGenerator, Turn};

/// Critical value of the one-sample statistic at alpha = 0.001, for n draws.
fn critical(n: usize) -> f64 {
    1.949 / (n as f64).sqrt()
}

#[test]
fn lognormal_draws_follow_the_truncated_distribution() {
    let mut stream = RandomStreams::new(7).stream(Purpose::Content, 0);
    for (mu, sigma, min, max) in
        [(8.5, 0.4, 0.0, 10_000.0), (9.0, 1.5, 100.0, 9_000.0), (2.0, 0.3, 1e4, 1e5), (10.0, 1.0, 0.0, f64::INFINITY)]
    {
        let dist = Lognormal::new(mu, sigma, min, max).expect("has mass");
        let n = 100_000;
        let mut draws: Vec<f64> = (0..n).map(|_| dist.quantile(stream.uniform())).collect();
        draws.sort_by(f64::total_cmp);
        // The CDF computed independently, from the error function.
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
    let streams = RandomStreams::new(3);
    let mut counts = vec![0u32; groups as usize];
    for root in 0..n {
        counts[zipf.group(streams.stream(Purpose::Group, root).uniform()) as usize] += 1;
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

/// The turns of a root session.
fn turns(generator: &mut SessionGenerator<'_>, root: u64) -> Vec<Turn> {
    let mut turns = Vec::new();
    let each = &mut |session: &Session<'_>| {
        turns.extend_from_slice(session.turns);
        Ok::<_, ConfigError>(())
    };
    generator.root_bundle(root, 0, each).expect("reset mode never fails");
    turns
}

#[test]
fn the_default_preset_meets_every_target_within_one_percent() {
    let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
    let sessions = 100_000;
    let spec = DatasetSpec::new(&config, Overrides::default(), 42, sessions, Layout::Incremental).expect("feasible");
    let mut generator = SessionGenerator::new(&spec);
    let (mut first, mut input, mut output, mut delay) = ([0.0; 2], [0.0; 2], [0.0; 2], [0.0; 2]);
    let add = |sum: &mut [f64; 2], value: f64| {
        sum[0] += value;
        sum[1] += 1.0;
    };
    for root in 0..sessions {
        let turns = turns(&mut generator, root);
        add(&mut first, f64::from(turns[0].context));
        for turn in &turns {
            add(&mut output, f64::from(turn.output));
        }
        for turn in &turns[1..] {
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
        let error = sum / count / target - 1.0;
        assert!(error.abs() < 0.01, "{name}: {:.0} for {target:.0} ({:+.2} %)", sum / count, error * 100.0);
    }
}

#[test]
fn poisson_arrivals_have_the_stated_rate_from_any_start() {
    let mut config = Config::from_json(preset("default").expect("bundled")).expect("valid");
    config.arrival = agentgen_core::config::Arrival::Poisson { rate: 4.0 };
    let spec = DatasetSpec::new(&config, Overrides::default(), 1, 50_000, Layout::Incremental).expect("feasible");
    let mut clock = agentgen_core::ArrivalClock::default();
    assert_eq!(clock.arrival_tenths(&spec, 0), 0);
    let times: Vec<u64> = (0..50_000).map(|root| clock.arrival_tenths(&spec, root)).collect();
    assert!(times.is_sorted());
    let mean_gap_ms = times[49_999] as f64 / 10.0 / 49_999.0;
    assert!((mean_gap_ms / 250.0 - 1.0).abs() < 0.02, "{mean_gap_ms}");
    // A clock that starts later gives the same time.
    assert_eq!(agentgen_core::ArrivalClock::default().arrival_tenths(&spec, 31_234), times[31_234]);
}

#[test]
fn share_below_matches_the_draws() {
    let config = Config::from_json(preset("default").expect("bundled")).expect("valid");
    let sessions = 20_000;
    let spec = DatasetSpec::new(&config, Overrides::default(), 5, sessions, Layout::Incremental).expect("feasible");
    let mut generator = SessionGenerator::new(&spec);
    let (mut first, mut output, mut delay) = (Vec::new(), Vec::new(), Vec::new());
    for root in 0..sessions {
        let turns = turns(&mut generator, root);
        first.push(f64::from(turns[0].context));
        output.extend(turns.iter().map(|turn| f64::from(turn.output)));
        delay.extend(turns[1..].iter().map(|turn| turn.delay_tenths as f64 / 10.0));
    }
    let near = |name: &str, values: &[f64], value: f64, expected: f64| {
        let share = values.iter().filter(|v| **v < value).count() as f64 / values.len() as f64;
        let tolerance = 4.5 * (expected * (1.0 - expected) / values.len() as f64).sqrt() + 1e-9;
        assert!((share - expected).abs() <= tolerance, "{name} below {value}: {share} for {expected}");
    };
    let share = |quantity, value| spec.share_below(quantity, value).expect("closed form");
    for value in [32_257.0, 40_000.0, 47_000.0, 60_000.0, 62_257.0] {
        near("first prompt", &first, value, share(Quantity::FirstPrompt, value));
    }
    for value in [31.0, 500.0, 991.0, 1_400.0, 1_501.0] {
        near("output", &output, value, share(Quantity::Output, value));
    }
    for value in [100.0, 1_800.0, 10_000.0, 40_000.0, 120_001.0] {
        let mixed = 0.7 * share(Quantity::AgenticDelay, value) + 0.3 * share(Quantity::HumanDelay, value);
        near("delay", &delay, value, mixed);
    }
    assert_eq!(spec.share_below(Quantity::Turns, 5.0), None);
}
