//! Comparison of runs.

mod bootstrap;
mod figures;
mod provenance;

use std::path::{Path, PathBuf};

use agentgen_trace::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bootstrap::{Resampled, resample};
use figures::{FIGURES, Figures, Sample};
use provenance::Provenance;

pub use provenance::{Found, Warning};

use super::SCHEMA_VERSION;
use super::run::Run;

/// Options of a comparison.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Groups of repeats, which the directories fill in order; if empty, each directory is a group.
    pub groups: Vec<Group>,
    /// Number of bootstrap draws.
    pub resamples: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// Share of the draws that an interval holds.
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
    /// Name of the group.
    pub label: String,
    /// Number of its directories.
    pub runs: usize,
}

/// Compared runs; the first group is the baseline.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Comparison {
    /// Version of this format.
    pub schema_version: u32,
    /// Share of the draws that an interval holds.
    pub confidence: f64,
    /// Number of bootstrap draws.
    pub resamples: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// The groups that are compared.
    pub groups: Vec<Compared>,
    /// What limits the comparison: settings that differ, runs with errors.
    pub warnings: Vec<Warning>,
    /// Figures over the full window, of requests that succeeded.
    pub figures: Vec<Row>,
}

/// What bootstrap draws resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Runs; figures are means over the repeats.
    Runs,
    /// Sessions of the only run; how figures vary from run to run is unknown.
    Sessions,
}

/// A run or its repeats.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Compared {
    /// Its name.
    pub label: String,
    /// Its run directories.
    pub directories: Vec<PathBuf>,
    /// What draws resample.
    pub resampled: Unit,
    /// Sessions of all repeats.
    pub sessions: u64,
    /// Requests of all repeats that succeeded.
    pub succeeded: u64,
    /// Requests of all repeats that failed.
    pub failed: u64,
}

/// A figure of each group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Row {
    /// Its name, ending with its unit.
    pub name: String,
    /// Whether a larger value is better.
    pub more_is_better: bool,
    /// In the order of the groups; null if unknown.
    pub values: Vec<Option<Value>>,
}

/// A figure with its interval. Rates of a single run, and samples of one session, have no interval.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Value {
    /// The figure.
    pub value: f64,
    /// Lower and upper bound of the interval.
    pub interval: Option<(f64, f64)>,
    /// Ratio to the value of the first group.
    pub ratio: Option<f64>,
    /// Lower and upper bound of the ratio's interval.
    pub ratio_interval: Option<(f64, f64)>,
    /// Whether the difference from the first group is more than noise; null for the first group.
    pub verdict: Option<Verdict>,
}

/// What the interval of a ratio says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval lies on the better side of 1.
    Better,
    /// The interval lies on the worse side of 1.
    Worse,
    /// The interval holds 1: repeats alone could differ as much.
    WithinNoise,
    /// There is no interval: how much repeats differ is unknown.
    Unknown,
}

impl Verdict {
    fn of(ratio_interval: Option<(f64, f64)>, more_is_better: bool) -> Self {
        match ratio_interval {
            None => Self::Unknown,
            Some((low, high)) if low <= 1.0 && 1.0 <= high => Self::WithinNoise,
            Some((low, _)) => {
                if (low > 1.0) == more_is_better {
                    Self::Better
                } else {
                    Self::Worse
                }
            }
        }
    }
}

/// Compares the measured phases of runs.
///
/// # Errors
///
/// If a directory is not a run directory, or is given twice.
pub fn compare(directories: &[PathBuf], options: &Options) -> Result<Comparison> {
    let single = |directory: &PathBuf| Group { label: directory.display().to_string(), runs: 1 };
    let groups =
        if options.groups.is_empty() { directories.iter().map(single).collect() } else { options.groups.clone() };
    let runs = directories.iter().map(|directory| Provenance::read(directory)).collect::<Result<Vec<_>>>()?;
    provenance::refuse_repeated(&runs)?;
    let samples = directories.iter().map(|directory| sample(directory)).collect::<Result<Vec<_>>>()?;
    let (mut from, mut compared, mut drawn) = (0, Vec::new(), Vec::new());
    for (number, group) in (0..).zip(groups) {
        let until = directories.len().min(from + group.runs);
        let (own, samples) = (&directories[from..until], &samples[from..until]);
        from = until;
        let measured: Vec<Figures> = samples.iter().map(Sample::figures).collect();
        compared.push(Compared {
            label: group.label,
            directories: own.to_vec(),
            resampled: if own.len() > 1 { Unit::Runs } else { Unit::Sessions },
            sessions: samples.iter().map(|sample| sample.sessions() as u64).sum(),
            succeeded: samples.iter().map(|sample| sample.succeeded).sum(),
            failed: samples.iter().map(|sample| sample.failed).sum(),
        });
        drawn.push(resample(samples, &measured, options.resamples, options.seed, number));
    }
    let rows = FIGURES.iter().enumerate().map(|(at, figure)| Row {
        name: figure.name.to_owned(),
        more_is_better: figure.more_is_better,
        values: drawn.iter().map(|of| of.value(at, &drawn[0], options.confidence)).collect(),
    });
    Ok(Comparison {
        schema_version: SCHEMA_VERSION,
        confidence: options.confidence,
        resamples: options.resamples,
        seed: options.seed,
        warnings: provenance::warnings(&compared, &runs, &samples),
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
        let ratio_interval = base.filter(|_| !is_first).and_then(|_| bootstrap::interval(ratios, confidence));
        Some(Value {
            value,
            interval: bootstrap::interval(draws, confidence),
            ratio: base.map(|base| value / base),
            ratio_interval,
            verdict: (!is_first).then(|| Verdict::of(ratio_interval, FIGURES[figure].more_is_better)),
        })
    }
}
