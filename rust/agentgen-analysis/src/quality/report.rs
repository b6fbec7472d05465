//! `quality.json`: observed statistics against targets.

use std::collections::BTreeMap;

use agentgen_core::{DatasetSpec, EndReason, Targets};
use agentgen_trace::manifest::Written;
use serde::Serialize;

use super::agents::Agents;
use super::statistics::Statistics;
use crate::bins::Histogram;
pub use crate::histogram::Observed;
use crate::reuse::InfiniteReuse;

/// Observed statistics of a quantity against its target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Stated mean and median, with shared layers in whole blocks; null where not stated.
    pub target: Targets,
    /// Mean and median of the resolved distribution, before turns are dropped at the context limit; null without a
    /// closed form.
    pub effective_target: Targets,
    /// Whether an override made the target infeasible.
    pub overridden: bool,
    /// Statistics of the written rows; null if no row has the quantity.
    pub observed: Option<Observed>,
    /// Observed minus target, in percent of the target.
    pub error_percent: Targets,
}

/// L1.5 groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Groups {
    /// Configured groups.
    pub configured: u32,
    /// Groups with at least one session.
    pub seen: u64,
    /// The largest groups: group and number of sessions.
    pub largest: Vec<(u64, u64)>,
}

/// Sessions with an end reason.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ended {
    /// Number of sessions.
    pub count: u64,
    /// Share of all sessions.
    pub fraction: f64,
}

/// The content of `quality.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quality {
    /// Version of the JSON form.
    pub schema_version: u32,
    /// Totals of the written rows.
    pub written: Written,
    /// Metrics by name.
    pub metrics: BTreeMap<&'static str, Metric>,
    /// Histograms by metric, of those with a value.
    pub histograms: BTreeMap<&'static str, Histogram>,
    /// Sessions by end reason.
    pub end_reasons: BTreeMap<&'static str, Ended>,
    /// Last context of the sessions as a share of `max_prompt_tokens`.
    pub final_context_utilization: Option<Observed>,
    /// Sessions of agents; absent from traces without links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agents: Option<Agents>,
    /// L1.5 groups, by sessions including continuations.
    pub groups: Groups,
    /// Hit rates of an infinite cache.
    pub reuse: InfiniteReuse,
}

/// Version of the JSON form of [`Quality`].
const SCHEMA_VERSION: u32 = 2;
/// Number of groups in `Groups::largest`.
const LARGEST: usize = 10;

impl Quality {
    /// Compares statistics with the targets of a data set.
    #[must_use]
    pub fn new(statistics: &Statistics, reuse: InfiniteReuse, spec: &DatasetSpec, written: Written) -> Self {
        let config = spec.config();
        let (first, prefix) = config.first_prompt().map_or(("", 0), |first| (first.path, first.added));
        let nothing = Goal::default();
        let field = |path: &str| Goal::of(spec, path);
        let metrics = BTreeMap::from([
            ("initial_context", field(first).plus(prefix.into()).metric(statistics.initial_context.observed(1.0))),
            (
                "initial_context_continuations",
                nothing.metric(statistics.initial_context_of_continuations.observed(1.0)),
            ),
            ("new_tokens_per_turn", field("new_tokens_per_turn").metric(statistics.new_tokens_per_turn.observed(1.0))),
            ("generation_length", field("generation_length").metric(statistics.generation_length.observed(1.0))),
            ("inter_turn_delay_ms", Goal::delay(spec).metric(statistics.inter_turn_delay.observed_ms())),
            ("turns_per_session", field("turns").metric(statistics.turns_per_session.observed(1.0))),
        ]);
        let reasons = if spec.is_linked() { &EndReason::ALL[..] } else { EndReason::WITHOUT_LINKS };
        let sessions: u64 = statistics.ends.iter().sum();
        let ended = |reason: EndReason| {
            let count = statistics.ends[reason as usize];
            (reason.name(), Ended { count, fraction: count as f64 / sessions.max(1) as f64 })
        };
        let mut largest: Vec<(u64, u64)> = statistics.sessions_by_group.iter().collect();
        let seen = largest.len() as u64;
        largest.sort_by_key(|(group, sessions)| (std::cmp::Reverse(*sessions), *group));
        largest.truncate(LARGEST);
        Self {
            schema_version: SCHEMA_VERSION,
            written,
            metrics,
            histograms: statistics.histograms(spec),
            end_reasons: reasons.iter().copied().map(ended).collect(),
            final_context_utilization: statistics.final_context.observed(1.0 / f64::from(config.max_prompt_tokens)),
            agents: spec.is_linked().then(|| Agents::new(&statistics.agents, spec)),
            groups: Groups { configured: config.cache.layer1_5_groups.num_groups, seen, largest },
            reuse,
        }
    }

    /// The JSON text of the file.
    ///
    /// # Panics
    /// Never: numbers and names only.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("plain data");
        json.push(b'\n');
        json
    }
}

/// Stated and effective values of a quantity.
#[derive(Debug, Clone, Copy, Default)]
struct Goal {
    target: Targets,
    effective: Targets,
    overridden: bool,
}

impl Goal {
    fn of(spec: &DatasetSpec, path: &str) -> Self {
        spec.resolved().iter().find(|field| field.path == path).map_or_else(Self::default, |field| Self {
            target: field.target,
            effective: Targets { mean: Some(field.effective.mean), median: Some(field.effective.median) },
            overridden: field.overridden,
        })
    }

    /// The mixture of both kinds of delay; only its mean has a closed form.
    fn delay(spec: &DatasetSpec) -> Self {
        let agentic = Self::of(spec, "inter_turn_delay.agentic_delay");
        let human = Self::of(spec, "inter_turn_delay.human_delay");
        let Some(share) = spec.config().inter_turn_delay.as_ref().map(|delay| delay.agentic_fraction) else {
            return Self::default();
        };
        let mixed = |a: Option<f64>, h: Option<f64>| Some(share * a? + (1.0 - share) * h?);
        Self {
            target: Targets { mean: mixed(agentic.target.mean, human.target.mean), median: None },
            effective: Targets { mean: mixed(agentic.effective.mean, human.effective.mean), median: None },
            overridden: agentic.overridden || human.overridden,
        }
    }

    /// Adds a constant number of tokens.
    fn plus(self, tokens: f64) -> Self {
        let plus = |t: Targets| Targets { mean: t.mean.map(|m| m + tokens), median: t.median.map(|m| m + tokens) };
        Self { target: plus(self.target), effective: plus(self.effective), ..self }
    }

    fn metric(self, observed: Option<Observed>) -> Metric {
        let error = |target: Option<f64>, value: fn(&Observed) -> f64| {
            let (target, observed) = (target?, observed.as_ref()?);
            Some((value(observed) / target - 1.0) * 100.0)
        };
        Metric {
            target: self.target,
            effective_target: self.effective,
            overridden: self.overridden,
            error_percent: Targets {
                mean: error(self.target.mean, |o| o.mean),
                median: error(self.target.median, |o| o.median),
            },
            observed,
        }
    }
}
