//! The specification of a data set: everything that determines its rows, resolved and checked.

use std::ops::Range;

use serde::Serialize;

use crate::config::{Arrival, Config, Overrides};
use crate::dist::{Quantiles, Zipf};
use crate::distributions::Resolved;
use crate::error::ConfigError;
use crate::ids::{IdSpace, MAX_SESSIONS, SessionNames};
use crate::layout::Layout;
use crate::rng::{Purpose, RandomStreams};
use crate::sampler::{Drawn, Sampler};
use crate::turns::Quantity;

/// Target size of a chunk of sessions in rows, ids and sessions: bounds memory for any configuration.
const CHUNK_ROWS: f64 = 131_072.0;
const CHUNK_IDS: f64 = 2_097_152.0;
const CHUNK_SESSIONS: f64 = 4_096.0;

/// Normal score of the 90th percentile.
const SCORE_P90: f64 = 1.281_551_565_544_600_4;

/// The share of root sessions, from the first on, over which the restart probability falls to 0.
const RESTART_SPAN: f64 = 0.75;
/// At least one in this many root sessions lies between a session and its continuation.
const RESTART_GAP: u64 = 4;

/// Configuration, seed, layout and number of root sessions of a data set. Each session can be made alone, in any order.
#[derive(Debug, Clone)]
pub struct DatasetSpec {
    config: Config,
    sessions: u64,
    layout: Layout,
    resolved: Vec<Resolved>,
    warnings: Vec<String>,
    ids: IdSpace,
    names: SessionNames,
    zipf: Zipf,
    chunk_sessions: u64,
    pub(crate) sampler: Sampler,
    pub(crate) streams: RandomStreams,
}

impl DatasetSpec {
    /// Applies overrides, calibrates the distributions and lays out the id space. Reports every error of the
    /// configuration except [`crate::SessionGenerator::root`]'s.
    pub fn new(
        stated: &Config,
        overrides: Overrides,
        seed: u64,
        sessions: u64,
        layout: Layout,
    ) -> Result<Self, ConfigError> {
        if !(1..=MAX_SESSIONS).contains(&sessions) {
            let expected = "1 to 140737488355328";
            return Err(ConfigError::new("sessions", format!("found {sessions}, expected {expected}")));
        }
        let config = stated.overridden(overrides)?;
        check_turns(&config)?;
        let Drawn { sampler, resolved, warnings } = Drawn::new(&config, !overrides.is_empty())?;
        check_arrivals(&config, sessions)?;
        let streams = RandomStreams::new(seed);
        let groups = &config.cache.layer1_5_groups;
        Ok(Self {
            ids: IdSpace::new(&config, sessions)?,
            names: SessionNames::new(&streams),
            zipf: Zipf::new(groups.num_groups, groups.zipf_alpha),
            chunk_sessions: chunk_sessions(&config, &sampler, layout),
            sampler,
            resolved,
            warnings,
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

    /// Number of root sessions.
    #[must_use]
    pub fn sessions(&self) -> u64 {
        self.sessions
    }

    /// Layout of the rows.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// How each distribution was resolved.
    #[must_use]
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }

    /// How each distribution is drawn that is not calibrated: those of configurations that describe agents.
    #[must_use]
    pub fn drawn_as_stated(&self) -> Vec<DrawnAsStated> {
        if !self.is_linked() {
            return Vec::new();
        }
        let drawn = self.config.distributions().into_iter().filter_map(|(path, stated)| {
            let drawn = Quantiles::new(stated).ok()?;
            Some(DrawnAsStated { path, mean: drawn.mean(), median: drawn.median(), p90: drawn.at(SCORE_P90) })
        });
        drawn.collect()
    }

    /// Share of the draws of a quantity below `value`, before turns are dropped at the context limit; `None` without a
    /// closed form.
    #[must_use]
    pub fn share_below(&self, quantity: Quantity, value: f64) -> Option<f64> {
        match &self.sampler {
            Sampler::Turns(turns) => turns.share_below(quantity, value),
            // The end of a session depends on what was drawn, so what is written has no closed form.
            Sampler::Agents(_) => None,
        }
    }

    /// Whether sessions may be linked as breaks and sub-agents.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        matches!(self.sampler, Sampler::Agents(_))
    }

    /// Warnings about stated values given up because of an override.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The hash ids.
    #[must_use]
    pub fn ids(&self) -> &IdSpace {
        &self.ids
    }

    /// The session ids.
    #[must_use]
    pub fn names(&self) -> &SessionNames {
        &self.names
    }

    /// Number of root sessions that are made, encoded and written together.
    #[must_use]
    pub fn chunk_sessions(&self) -> u64 {
        self.chunk_sessions
    }

    /// Root sessions of shard `index` of `count`.
    #[must_use]
    pub fn shard(&self, index: u64, count: u64) -> Range<u64> {
        let bound = |i: u64| (u128::from(i) * u128::from(self.sessions) / u128::from(count)) as u64;
        bound(index)..bound(index + 1)
    }

    /// L1.5 group of root session `root`, 0-based.
    #[must_use]
    pub fn group(&self, root: u64) -> u32 {
        self.zipf.group(self.streams.stream(Purpose::Group, root).uniform())
    }

    /// The turn index at which a restart splits root session `root`, if one does. (The session may end earlier.)
    #[must_use]
    pub fn split(&self, root: u64) -> Option<u32> {
        if self.config.restart_initial_probability == 0.0 || self.sessions == 1 {
            return None;
        }
        let progress = root as f64 / (self.sessions - 1) as f64;
        if progress >= RESTART_SPAN {
            return None;
        }
        let probability = self.config.restart_initial_probability * (1.0 - progress / RESTART_SPAN);
        if self.streams.stream(Purpose::Restart, root).uniform() >= probability {
            return None;
        }
        let [first, end] = self.config.restart_turn_range;
        Some(first + self.streams.stream(Purpose::Split, root).below(u64::from(end - first)) as u32)
    }

    /// The root session after which the continuation of `root` is written.
    fn slot(&self, root: u64) -> u64 {
        let first = root + (self.sessions / RESTART_GAP).max(1);
        first + self.streams.stream(Purpose::Slot, root).below(self.sessions - first)
    }

    /// Places of the continuations of `origins` that are written after a root session in `slots`, unsorted; 16 bytes
    /// each.
    #[must_use]
    pub fn continuations(&self, origins: Range<u64>, slots: &Range<u64>) -> Vec<Continuation> {
        let split = origins.filter(|root| self.split(*root).is_some());
        split.map(|root| Continuation { slot: self.slot(root), root }).filter(|c| slots.contains(&c.slot)).collect()
    }

    /// The root sessions whose continuation may be written before root session `slot`.
    #[must_use]
    pub fn origins_before(&self, slot: u64) -> Range<u64> {
        if self.config.restart_initial_probability == 0.0 {
            return 0..0;
        }
        0..slot.saturating_sub((self.sessions / RESTART_GAP).max(1))
    }
}

/// A distribution that is drawn as it is stated, in the field's unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DrawnAsStated {
    /// The field.
    pub path: String,
    /// Mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
}

/// Where a continuation is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Continuation {
    /// The root session after which it is written.
    pub slot: u64,
    /// The root session that it continues.
    pub root: u64,
}

/// The smallest session with `turns.min` turns must fit below the context limit.
fn check_turns(config: &Config) -> Result<(), ConfigError> {
    let Some(turns) = config.turns.as_ref().filter(|t| !t.allow_truncation) else { return Ok(()) };
    let first = config.first_prompt()?;
    let drawn = first.stated.min.map_or(0, |min| min as u64).max(first.low.into());
    let least = u64::from(first.added) + drawn + u64::from(turns.min - 1).saturating_mul(config.smallest_growth());
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

/// The last arrival must be exact in tenths of a millisecond as an `f64`.
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

/// Root sessions per chunk, from the expected rows and ids of a session.
fn chunk_sessions(config: &Config, sampler: &Sampler, layout: Layout) -> u64 {
    let turns = sampler.expected_turns(config);
    let prompt_blocks = f64::from(config.max_prompt_tokens) / f64::from(config.block_size);
    let ids = match layout {
        Layout::Incremental => prompt_blocks + turns,
        Layout::Cumulative => turns * (prompt_blocks + 1.0),
    };
    (CHUNK_ROWS / turns).min(CHUNK_IDS / ids).clamp(1.0, CHUNK_SESSIONS) as u64
}
