//! A data set before it is made: every session of it can be asked for, alone and in any order.

use std::ops::Range;

use serde::Serialize;

use crate::config::{Arrival, Config, Overrides};
use crate::dist::Zipf;
use crate::error::ConfigError;
use crate::ids::{IdSpace, MAX_RUNS, SessionNames};
use crate::laws::{Laws, Resolved, least_growth};
use crate::layout::Layout;
use crate::rng::{Purpose, Streams};
use crate::rules::{Drawn, Rules};

/// Rows and ids that a chunk of sessions aims at, so that memory does not depend on the configuration.
const CHUNK_ROWS: f64 = 131_072.0;
const CHUNK_IDS: f64 = 2_097_152.0;
const CHUNK_SESSIONS: f64 = 4_096.0;

/// Share of the sessions over which restarts decay, and least share of them between a session and its continuation.
const RESTART_SPAN: f64 = 0.75;
const RESTART_GAP: u64 = 4;

/// Configuration, seed and number of sessions, resolved.
#[derive(Debug, Clone)]
pub struct Plan {
    config: Config,
    sessions: u64,
    layout: Layout,
    resolved: Vec<Resolved>,
    warnings: Vec<String>,
    ids: IdSpace,
    names: SessionNames,
    zipf: Zipf,
    chunk_sessions: u64,
    pub(crate) rules: Rules,
    pub(crate) streams: Streams,
}

impl Plan {
    /// Resolves a configuration: overrides, calibration, id space. Everything that can be refused is refused here.
    pub fn new(
        stated: &Config,
        overrides: Overrides,
        seed: u64,
        sessions: u64,
        layout: Layout,
    ) -> Result<Self, ConfigError> {
        if !(1..=MAX_RUNS).contains(&sessions) {
            let expected = "1 to 140737488355328";
            return Err(ConfigError::new("sessions", format!("found {sessions}, expected {expected}")));
        }
        let config = stated.overridden(overrides)?;
        check_turns(&config)?;
        let laws = Laws::resolve(&config, !overrides.is_empty())?;
        check_arrivals(&config, sessions)?;
        let streams = Streams::new(seed);
        let groups = &config.cache.layer1_5_groups;
        Ok(Self {
            ids: IdSpace::new(&config, sessions)?,
            names: SessionNames::new(&streams),
            zipf: Zipf::new(groups.num_groups, groups.zipf_alpha),
            chunk_sessions: chunk_sessions(&config, &laws, layout),
            rules: Rules::new(&config, &laws),
            resolved: laws.resolved,
            warnings: laws.warnings,
            config,
            sessions,
            layout,
            streams,
        })
    }

    /// The configuration, after overrides.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Primary sessions.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// What rows mean.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How each distribution was resolved.
    #[must_use]
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }

    /// Share of a quantity's draws below a value, before the context limit drops turns; `None` where no law says.
    #[must_use]
    pub fn share_below(&self, drawn: Drawn, value: f64) -> Option<f64> {
        self.rules.share_below(drawn, value)
    }

    /// Targets given up because of an override.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The id space.
    #[must_use]
    pub fn ids(&self) -> &IdSpace {
        &self.ids
    }

    /// The session names.
    #[must_use]
    pub fn names(&self) -> &SessionNames {
        &self.names
    }

    /// Primaries that are made, encoded and written together.
    #[must_use]
    pub fn chunk_sessions(&self) -> u64 {
        self.chunk_sessions
    }

    /// Primaries of shard `index` of `count`.
    #[must_use]
    pub fn shard(&self, index: u64, count: u64) -> Range<u64> {
        let bound = |i: u64| (u128::from(i) * u128::from(self.sessions) / u128::from(count)) as u64;
        bound(index)..bound(index + 1)
    }

    /// The group of a run.
    #[must_use]
    pub fn group(&self, run: u64) -> u32 {
        self.zipf.group(self.streams.stream(Purpose::Group, run).uniform())
    }

    /// The turn index at which a restart splits a run, if one does. (The run may end earlier.)
    #[must_use]
    pub fn split(&self, run: u64) -> Option<u32> {
        if self.config.restart_initial_probability == 0.0 || self.sessions == 1 {
            return None;
        }
        let progress = run as f64 / (self.sessions - 1) as f64;
        if progress >= RESTART_SPAN {
            return None;
        }
        let probability = self.config.restart_initial_probability * (1.0 - progress / RESTART_SPAN);
        if self.streams.stream(Purpose::Restart, run).uniform() >= probability {
            return None;
        }
        let [first, end] = self.config.restart_turn_range;
        Some(first + self.streams.stream(Purpose::Split, run).below(u64::from(end - first)) as u32)
    }

    /// The primary after which a split run's continuation is written.
    fn slot(&self, run: u64) -> u64 {
        let first = run + (self.sessions / RESTART_GAP).max(1);
        first + self.streams.stream(Purpose::Slot, run).below(self.sessions - first)
    }

    /// Of the runs in `origins`, those whose continuations are written after primaries of `slots`: 16 bytes each, not
    /// yet in order.
    #[must_use]
    pub fn continuations(&self, origins: Range<u64>, slots: &Range<u64>) -> Vec<Continuation> {
        let split = origins.filter(|run| self.split(*run).is_some());
        split.map(|run| Continuation { slot: self.slot(run), run }).filter(|c| slots.contains(&c.slot)).collect()
    }

    /// The runs that may have a continuation after primaries before `slot`: it comes at least a quarter later.
    #[must_use]
    pub fn origins_before(&self, slot: u64) -> Range<u64> {
        if self.config.restart_initial_probability == 0.0 {
            return 0..0;
        }
        0..slot.saturating_sub((self.sessions / RESTART_GAP).max(1))
    }
}

/// A continuation's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Continuation {
    /// The primary after which it is written.
    pub slot: u64,
    /// The run it continues.
    pub run: u64,
}

/// Arrival times in index order: each gap is a draw of its own, in whole nanoseconds, so that their sum does not
/// depend on where adding starts. The first session arrives at 0.
#[derive(Debug, Clone, Default)]
pub struct ArrivalClock {
    run: u64,
    nanoseconds: u128,
}

impl ArrivalClock {
    /// The primary the clock stands at.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// The arrival of primary `run`, in tenths of a millisecond, rounded half-even. The clock only moves forward.
    pub fn arrival_tenths(&mut self, plan: &Plan, run: u64) -> u64 {
        const TENTH: u128 = 100_000;
        let Arrival::Poisson { rate } = plan.config.arrival else { return 0 };
        while self.run < run {
            self.run += 1;
            let gap_s = -libm::log(plan.streams.stream(Purpose::Arrival, self.run).uniform()) / rate;
            self.nanoseconds += (gap_s * 1e9).round_ties_even() as u128;
        }
        let (whole, rest) = (self.nanoseconds / TENTH, self.nanoseconds % TENTH);
        let up = rest > TENTH / 2 || (rest == TENTH / 2 && whole % 2 == 1);
        (whole + u128::from(up)) as u64
    }
}

/// The shortest session asked for must fit.
fn check_turns(config: &Config) -> Result<(), ConfigError> {
    let Some(turns) = config.turns.as_ref().filter(|t| !t.allow_truncation) else { return Ok(()) };
    let (new_tokens, output) = least_growth(config);
    let layer2 = config.cache.layer2.min.map_or(1, |min| (min as u64).max(1));
    let least = config.prefix_tokens() + layer2 + u64::from(turns.min - 1).saturating_mul(new_tokens + output);
    if least < u64::from(config.max_prompt_tokens) {
        return Ok(());
    }
    Err(ConfigError::new(
        "turns.min",
        format!(
            "found {}, expected fewer: even the smallest draws make a prompt of {least} tokens, and max_prompt_tokens \
             is {} (lower turns.min, or set allow_truncation)",
            turns.min, config.max_prompt_tokens
        ),
    ))
}

/// Arrival times must stay exact in tenths of a millisecond.
fn check_arrivals(config: &Config, sessions: u64) -> Result<(), ConfigError> {
    let Arrival::Poisson { rate } = config.arrival else { return Ok(()) };
    let seconds = sessions as f64 / rate;
    if seconds <= 1e11 {
        return Ok(());
    }
    Err(ConfigError::new(
        "arrival.poisson.rate",
        format!("found {rate}, expected more: {sessions} sessions would take {seconds:.0} s, beyond 100000000000 s"),
    ))
}

fn chunk_sessions(config: &Config, laws: &Laws, layout: Layout) -> u64 {
    let room = f64::from(config.max_prompt_tokens) - config.prefix_tokens() as f64;
    let mut turns = 1.0 + room / (laws.new_tokens.mean() + laws.output.mean());
    if let Some(reset) = config.reset.filter(|r| r.base_probability > 0.0) {
        turns = turns.min(1.0 + 1.0 / reset.base_probability);
    }
    if let Some(explicit) = &config.turns {
        turns = turns.min(explicit.mean);
    }
    let prompt_blocks = f64::from(config.max_prompt_tokens) / f64::from(config.block_size);
    let ids = match layout {
        Layout::Incremental => prompt_blocks + turns,
        Layout::Cumulative => turns * (prompt_blocks + 1.0),
    };
    (CHUNK_ROWS / turns).min(CHUNK_IDS / ids).clamp(1.0, CHUNK_SESSIONS) as u64
}
