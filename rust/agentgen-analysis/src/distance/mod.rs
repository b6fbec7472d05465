//! How far a trace is from another one: distances of distributions, beside those of the source's own two halves.

mod calls;
mod features;
mod reuse;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::meta::PROGRAM;
use agentgen_trace::{Cancel, Result};
use schemars::JsonSchema;
use serde::Serialize;

pub use calls::{Call, Calls, Conversation, SubAgent, Trigger};
pub use features::{Features, Quantity, growth, is_broken, is_lost, ks, quantile};
pub use reuse::{Reuse, TTL_MINUTES, service_s};

use crate::analyze::Options;

/// Version of the JSON form of [`Fidelity`].
const SCHEMA_VERSION: u32 = 1;
/// A quantity is far off from this many times the distance of the source's halves.
const FAR: f64 = 1.5;
/// Shares at which quantiles are reported: for quantile-quantile plots.
const SHARES: [f64; 21] = [
    0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99,
];
/// Sessions of each trace in the scatter plot.
const SCATTERED: usize = 500;

/// How far a generated trace is from its source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Fidelity {
    /// Version of this JSON form.
    pub schema_version: u32,
    /// Program and version that wrote it.
    pub program: String,
    /// Conversations and calls of the source.
    pub source: Size,
    /// Conversations and calls of the other trace.
    pub generated: Size,
    /// Each quantity that both traces have.
    pub quantities: Vec<QuantityDistance>,
    /// Breaks per call after the first that keep less than 98 % of the previous prompt, by kind; `lost` counts those that keep less than half of the previous prompt.
    pub breaks: BTreeMap<String, Pair>,
    /// Shares of the prompt tokens that are found in a cache, by `infinite` and `ttl_N_min`.
    pub reuse: BTreeMap<String, Pair>,
    /// Calls and last prompt of some sessions.
    pub sessions: Sessions,
}

/// Size of a trace.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Size {
    /// Conversations of main agents.
    pub conversations: u64,
    /// Calls of main agents.
    pub calls: u64,
}

/// A figure of both traces.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct Pair {
    /// Of the source.
    pub source: f64,
    /// Of the other trace.
    pub generated: f64,
}

/// The distance of one quantity.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuantityDistance {
    /// Its name.
    pub quantity: String,
    /// Kolmogorov-Smirnov distance.
    pub ks: f64,
    /// That of the source's two halves; null if one of them is empty.
    pub ks_of_halves: Option<f64>,
    /// Whether `ks` is more than 1.5 times that of the halves.
    pub is_far: bool,
    /// Median.
    pub p50: Pair,
    /// 90th percentile.
    pub p90: Pair,
    /// Share, and the quantiles of both traces.
    pub quantiles: Vec<(f64, f64, f64)>,
}

/// Calls and last prompt of some sessions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Sessions {
    /// Of the source.
    pub source: Vec<(u64, u64)>,
    /// Of the other trace.
    pub generated: Vec<(u64, u64)>,
}

/// Compares a trace with its source, the traces that it should look like. With `odd`, only that half of the source is
/// compared: the one that a fit has not seen.
pub fn compare(
    source: &[PathBuf],
    generated: &Path,
    odd: Option<bool>,
    options: &Options,
    cancel: &Cancel,
) -> Result<Fidelity> {
    let whole = Calls::read_all(source, options, cancel)?;
    let compared = odd.map(|odd| whole.half(odd));
    let other = Calls::read_all(&[generated.to_path_buf()], options, cancel)?;
    let first = source.first().map_or(generated, PathBuf::as_path);
    for (path, calls) in [(first, compared.as_ref().unwrap_or(&whole)), (generated, &other)] {
        if calls.conversations.is_empty() {
            return Err(Diagnostic::new("empty", "no sessions to compare", "at least one").in_file(path).into());
        }
    }
    Ok(Fidelity::new(&whole, compared.as_ref().unwrap_or(&whole), &other))
}

impl Fidelity {
    /// `whole`: the source with both halves; `source`: the part of it that is compared.
    #[must_use]
    pub fn new(whole: &Calls, source: &Calls, generated: &Calls) -> Self {
        let rounded = whole.whole_seconds || generated.whole_seconds;
        let (a, b) = (Features::new(source, rounded), Features::new(generated, rounded));
        let halves = [false, true].map(|odd| Features::new(&whole.half(odd), rounded));
        let (found, other) = (Reuse::new(source), Reuse::new(generated));
        let mut reuse = BTreeMap::from([("infinite".to_owned(), pair(found.infinite, other.infinite))]);
        for (index, minutes) in TTL_MINUTES.iter().enumerate() {
            reuse.insert(format!("ttl_{minutes:02}_min"), pair(found.by_ttl[index], other.by_ttl[index]));
        }
        Self {
            schema_version: SCHEMA_VERSION,
            program: PROGRAM.to_owned(),
            source: size(source),
            generated: size(generated),
            quantities: Quantity::ALL.into_iter().filter_map(|q| distance(q, &a, &b, &halves)).collect(),
            breaks: breaks(source, generated),
            reuse,
            sessions: Sessions { source: scattered(source), generated: scattered(generated) },
        }
    }
}

fn pair(source: f64, generated: f64) -> Pair {
    Pair { source, generated }
}

fn size(calls: &Calls) -> Size {
    let all = calls.conversations.iter().map(|conversation| conversation.calls.len() as u64).sum();
    Size { conversations: calls.conversations.len() as u64, calls: all }
}

fn distance(quantity: Quantity, a: &Features, b: &Features, halves: &[Features; 2]) -> Option<QuantityDistance> {
    let (a, b) = (a.of(quantity), b.of(quantity));
    let ks_of_halves = ks(halves[0].of(quantity), halves[1].of(quantity));
    let distance = ks(a, b)?;
    let at = |share: f64| Some(pair(quantile(a, share)?, quantile(b, share)?));
    Some(QuantityDistance {
        quantity: quantity.name().to_owned(),
        ks: distance,
        ks_of_halves,
        is_far: ks_of_halves.is_some_and(|floor| distance > FAR * floor),
        p50: at(0.5)?,
        p90: at(0.9)?,
        quantiles: SHARES.iter().filter_map(|share| at(*share).map(|p| (*share, p.source, p.generated))).collect(),
    })
}

fn breaks(source: &Calls, generated: &Calls) -> BTreeMap<String, Pair> {
    let [source, generated] = [source, generated].map(rates);
    let kinds = source.keys().chain(generated.keys());
    let rate = |rates: &BTreeMap<String, f64>, kind: &String| rates.get(kind).copied().unwrap_or(0.0);
    kinds.map(|kind| (kind.clone(), pair(rate(&source, kind), rate(&generated, kind)))).collect()
}

/// Breaks per call after the first, by kind.
fn rates(calls: &Calls) -> BTreeMap<String, f64> {
    let (mut counts, mut all) = (BTreeMap::from([("lost".to_owned(), 0.0)]), 0.0);
    for pair in calls.conversations.iter().flat_map(|conversation| conversation.calls.windows(2)) {
        all += 1.0;
        if is_lost(&pair[0], &pair[1]) {
            *counts.entry("lost".to_owned()).or_insert(0.0) += 1.0;
        }
        if let Some(kind) = pair[1].break_kind.as_ref().filter(|kind| !kind.is_empty() && is_broken(&pair[0], &pair[1]))
        {
            *counts.entry(kind.clone()).or_insert(0.0) += 1.0;
        }
    }
    counts.into_iter().map(|(kind, count)| (kind, if all > 0.0 { count / all } else { 0.0 })).collect()
}

/// Calls and last prompt of sessions spread over the trace.
fn scattered(calls: &Calls) -> Vec<(u64, u64)> {
    let step = calls.conversations.len().div_ceil(SCATTERED).max(1);
    let shown = calls.conversations.iter().step_by(step);
    shown.filter_map(|c| c.calls.last().map(|last| (c.calls.len() as u64, u64::from(last.prompt)))).collect()
}
