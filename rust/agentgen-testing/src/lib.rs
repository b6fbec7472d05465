//! Random valid configurations including edge cases, and run directories of them. Only for tests.
#![forbid(unsafe_code)]

pub mod files;
mod run;

pub mod linked;

pub use run::{Blind, run_options};

use agentgen_core::config::{
    Arrival, Auto, Bias, Cache, Config, ContextSpeedup, Distribution, Groups, InterTurnDelay, Overrides, Reset, Turns,
};
use agentgen_core::{DatasetSpec, Layout};
use proptest::prelude::*;

/// Configuration, seed and size of a small data set.
#[derive(Debug, Clone)]
pub struct Case {
    /// A valid configuration.
    pub config: Config,
    /// Seed.
    pub seed: u64,
    /// Number of root sessions.
    pub sessions: u64,
}

impl Case {
    /// The specification of this data set.
    ///
    /// # Panics
    /// If the configuration is refused: the strategy only makes valid ones.
    #[must_use]
    pub fn spec(&self, layout: Layout) -> DatasetSpec {
        DatasetSpec::new(&self.config, Overrides::default(), self.seed, self.sessions, layout)
            .expect("a valid configuration")
    }
}

/// Data sets of 1 to 40 sessions whose prompts hold at most about 3,000 blocks.
pub fn cases() -> impl Strategy<Value = Case> {
    let sessions = prop_oneof![3 => 1..=5u64, 2 => 6..=40u64];
    (configs(), any::<u64>(), sessions).prop_map(|(config, seed, sessions)| Case { config, seed, sessions })
}

/// A lognormal around `scale` tokens or milliseconds, in each form of stating it.
fn distribution(scale: f64) -> impl Strategy<Value = Distribution> {
    let form = (0.3..3.0f64, 1.0..3.0f64, 0.0..1.5f64, 0..4u8).prop_map(move |(factor, ratio, sigma, form)| {
        let median = (scale * factor).max(1.0);
        match form {
            0 => Distribution { mean: Some(median * ratio), median: Some(median), ..Distribution::default() },
            1 => Distribution { mean: Some(median), median: Some(median), ..Distribution::default() },
            2 => Distribution { mean: Some(median), sigma: Some(sigma), ..Distribution::default() },
            _ => Distribution { mu: Some(median.ln()), sigma: Some(sigma), ..Distribution::default() },
        }
    });
    (form, proptest::option::of(0.0..1.0f64), proptest::option::of(1.0..5.0f64)).prop_map(move |(d, min, max)| {
        let min = min.map(|share| (scale * share).floor());
        let max = max.map(|times| (scale * times).ceil() + 1.0);
        Distribution { min, max, ..d }
    })
}

/// Valid configurations.
fn configs() -> impl Strategy<Value = Config> {
    let block_size = prop_oneof![Just(1u32), Just(2), 3..64u32, Just(512), Just(4_096)];
    (block_size, 1..3_000u32, 0..4u8)
        .prop_flat_map(|(block_size, blocks, corner)| {
            // Prompts of a few tokens, of a few thousand blocks, or of ten million tokens.
            let max_prompt_tokens = match corner {
                0 => blocks.min(40) + 3,
                1 if block_size >= 4_096 => 10_000_000,
                _ => blocks.saturating_mul(block_size).saturating_add(3),
            };
            let room = f64::from(max_prompt_tokens);
            let groups = prop_oneof![Just(1u32), 2..50u32, Just(100_000)];
            let layers = (0..=2u32, 0..=2u32, groups, 0.0..2.0f64);
            let lengths = (distribution(room / 4.0), distribution(room / 12.0), distribution(room / 40.0));
            let delays = (distribution(2_000.0), distribution(40_000.0), 0.0..=1.0f64);
            let delay_rules =
                (proptest::option::of(0.0..60_000.0f64), proptest::option::of((0.0..2.0f64, 0.0..=1.0f64)));
            let restarts = (prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0f64], 1..4u32, 1..8u32);
            let arrival =
                prop_oneof![Just(Arrival::Closed), (0.01..100.0f64).prop_map(|rate| Arrival::Poisson { rate })];
            let ends = (proptest::option::weighted(0.25, (1..6u32, 0..10u32, any::<bool>())), 0.0..0.3f64, 1.0..4.0f64);
            (layers, lengths, delays, delay_rules, restarts, (arrival, ends, proptest::option::of(0.5..1.5f64)))
                .prop_map(move |(layers, lengths, delays, delay_rules, restarts, (arrival, ends, bias))| {
                    let fits = |blocks: u32| blocks.min((max_prompt_tokens - 2) / block_size / 2) * block_size;
                    let (turns, base_probability, context_scaling) = ends;
                    let turns = turns.map(|(min, more, _)| Turns {
                        mean: Some(f64::from(min + more / 2)),
                        median: Some(f64::from(min + more / 2)),
                        sigma: None,
                        min,
                        max: min + more,
                        // Whether every session fits below the context limit is not known here.
                        allow_truncation: true,
                        max_session_attempts: None,
                    });
                    Config {
                        max_prompt_tokens,
                        block_size,
                        cache: Cache {
                            layer1_tokens: fits(layers.0).saturating_sub(u32::from(layers.0 == 2)),
                            layer1_5_tokens: fits(layers.1),
                            layer1_5_groups: Groups { num_groups: layers.2, zipf_alpha: layers.3 },
                            layer2: Some(lengths.0),
                            first_prompt: None,
                        },
                        new_tokens_per_turn: Some(Distribution { bias: bias.map(Bias::Factor), ..lengths.1 }),
                        generation_length: lengths.2,
                        inter_turn_delay: Some(InterTurnDelay {
                            agentic_fraction: delays.2,
                            agentic_delay: delays.0,
                            human_delay: delays.1,
                            max: delay_rules.0,
                            context_speedup: delay_rules.1.map(|(slope, floor)| ContextSpeedup { slope, floor }),
                        }),
                        reset: turns.is_none().then_some(Reset { base_probability, context_scaling }),
                        restart_initial_probability: if turns.is_none() { restarts.0 } else { 0.0 },
                        restart_turn_range: [restarts.1, restarts.1 + restarts.2],
                        turns,
                        arrival,
                        calibrate: false,
                        triggers: None,
                        session_effects: None,
                        output_kept: None,
                        context_windows: None,
                        breaks: None,
                        subagents: None,
                        service_time: None,
                    }
                })
        })
        .prop_filter("truncation leaves no value to draw", |config| {
            DatasetSpec::new(config, Overrides::default(), 0, 1, Layout::Incremental).is_ok()
        })
}

/// One configuration for each mode of the generator, for golden digests.
///
/// # Panics
/// Never: presets are valid.
#[must_use]
pub fn modes() -> Vec<(&'static str, Case)> {
    let preset = |name| Config::from_json(agentgen_core::config::preset(name).expect("bundled")).expect("valid");
    let case = |config| Case { config, seed: 42, sessions: 100 };
    let mut turns = preset("default");
    turns.reset = None;
    turns.turns = Some(Turns {
        mean: Some(8.0),
        median: Some(6.0),
        sigma: None,
        min: 2,
        max: 12,
        allow_truncation: false,
        max_session_attempts: None,
    });
    let new_tokens = turns.new_tokens_per_turn.take().expect("stated");
    turns.new_tokens_per_turn = Some(Distribution { bias: Some(Bias::Auto(Auto::Auto)), ..new_tokens });
    turns.arrival = Arrival::Poisson { rate: 2.0 };
    let mut restarts = preset("aiperf-1k-200k");
    restarts.restart_initial_probability = 1.0;
    vec![
        ("default", case(preset("default"))),
        ("aiperf-0.13-default", case(preset("aiperf-0.13-default"))),
        ("aiperf-1k-200k", case(preset("aiperf-1k-200k"))),
        ("restarts", case(restarts)),
        ("turns", case(turns)),
    ]
}
