//! Runs side by side.

mod bootstrap;
mod figures;
mod stated;

use std::path::{Path, PathBuf};

use agentgen_trace::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bootstrap::{Resampled, resample};
use figures::{FIGURES, Figures, Sample};
use stated::Stated;

pub use stated::{Found, Warning};

use super::run::Run;

/// What is asked beside the directories.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The directories in order, in groups of repeats; without any, each stands alone.
    pub groups: Vec<Group>,
    /// How often is drawn.
    pub resamples: u32,
    /// What draws begin with.
    pub seed: u64,
    /// The share of draws that an interval holds.
    pub confidence: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self { groups: Vec::new(), resamples: 1000, seed: 0, confidence: 0.95 }
    }
}

/// Repeats of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Group {
    /// What they are called.
    pub label: String,
    /// How many of the directories they are.
    pub runs: usize,
}

/// Runs side by side; the first group is what others are divided by.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Comparison {
    /// Share of draws that an interval holds.
    pub confidence: f64,
    /// Draws.
    pub resamples: u32,
    /// What they began with.
    pub seed: u64,
    /// What is compared.
    pub groups: Vec<Compared>,
    /// What makes it hard to compare: settings that differ, runs that did not go well.
    pub warnings: Vec<Warning>,
    /// Its figures, all over the full window and of requests that succeeded.
    pub figures: Vec<Row>,
}

/// What is drawn for an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Runs: a figure is the mean over repeats.
    Runs,
    /// Sessions: there is one run only, and nothing is known of how it varies from run to run.
    Sessions,
}

/// A run, or its repeats.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Compared {
    /// What it is called.
    pub label: String,
    /// Where it is.
    pub directories: Vec<PathBuf>,
    /// What is drawn.
    pub resampled: Unit,
    /// Sessions of all repeats.
    pub sessions: u64,
    /// Requests of all repeats that succeeded.
    pub succeeded: u64,
    /// Requests that did not.
    pub failed: u64,
}

/// A figure of each group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Row {
    /// Its name; the unit is its end.
    pub name: String,
    /// Whether more is better.
    pub more_is_better: bool,
    /// In the order of the groups; nothing where it cannot be told.
    pub values: Vec<Option<Value>>,
}

/// A figure with its interval, which is missing where there is one thing to draw only, and of rates of a single run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Value {
    /// The figure.
    pub value: f64,
    /// Least and greatest of the interval.
    pub interval: Option<(f64, f64)>,
    /// Divided by that of the first group.
    pub ratio: Option<f64>,
    /// Least and greatest of the interval of that.
    pub ratio_interval: Option<(f64, f64)>,
}

/// Reads the records of all runs and compares their measured phases.
///
/// # Errors
///
/// A directory that is no run, or one that is there twice.
pub fn compare(directories: &[PathBuf], options: &Options) -> Result<Comparison> {
    let alone = |directory: &PathBuf| Group { label: directory.display().to_string(), runs: 1 };
    let groups =
        if options.groups.is_empty() { directories.iter().map(alone).collect() } else { options.groups.clone() };
    let runs = directories.iter().map(|directory| Stated::read(directory)).collect::<Result<Vec<_>>>()?;
    stated::refuse_twice(&runs)?;
    let samples = directories.iter().map(|directory| sample(directory)).collect::<Result<Vec<_>>>()?;
    let (mut from, mut compared, mut drawn) = (0, Vec::new(), Vec::new());
    for (number, group) in (0..).zip(groups) {
        let until = directories.len().min(from + group.runs);
        let (own, samples) = (&directories[from..until], &samples[from..until]);
        from = until;
        let told: Vec<Figures> = samples.iter().map(Sample::figures).collect();
        compared.push(Compared {
            label: group.label,
            directories: own.to_vec(),
            resampled: if own.len() > 1 { Unit::Runs } else { Unit::Sessions },
            sessions: samples.iter().map(|sample| sample.sessions() as u64).sum(),
            succeeded: samples.iter().map(|sample| sample.succeeded).sum(),
            failed: samples.iter().map(|sample| sample.failed).sum(),
        });
        drawn.push(resample(samples, &told, options.resamples, options.seed, number));
    }
    let rows = FIGURES.iter().enumerate().map(|(at, figure)| Row {
        name: figure.name.to_owned(),
        more_is_better: figure.more_is_better,
        values: drawn.iter().map(|of| of.value(at, &drawn[0], options.confidence)).collect(),
    });
    Ok(Comparison {
        confidence: options.confidence,
        resamples: options.resamples,
        seed: options.seed,
        warnings: stated::warnings(&compared, &runs, &samples),
        groups: compared,
        figures: rows.collect(),
    })
}

fn sample(directory: &Path) -> Result<Sample> {
    Run::read(directory).map(|run| Sample::of(&run))
}

impl Resampled {
    fn value(&self, figure: usize, first: &Self, confidence: f64) -> Option<Value> {
        let value = self.figures[figure]?;
        let base = first.figures[figure].filter(|&base| base != 0.0);
        let draws = self.draws.iter().map(|draw| draw[figure]);
        let ratios = self.draws.iter().zip(&first.draws).map(|(own, first)| Some(own[figure]? / first[figure]?));
        let is_first = std::ptr::eq(self, first);
        Some(Value {
            value,
            interval: bootstrap::interval(draws, confidence),
            ratio: base.map(|base| value / base),
            ratio_interval: base.filter(|_| !is_first).and_then(|_| bootstrap::interval(ratios, confidence)),
        })
    }
}
