//! Figures of a replay, computed from its records.
//!
//! [`Run::read`] reads the record files, [`summarize`] computes the figures, [`write_requests`] writes the table of requests.
//! `docs/replay-metrics.md` defines every figure.

mod cache;
pub mod compare;
mod over_time;
mod phase;
mod prediction;
mod report;
mod run;
mod statistics;
mod table;
mod warnings;
mod windows;

pub use prediction::predicted;
pub use report::{Clock, Options, Prediction, Summary};
pub use run::{RECORDS, ReplayedSession, Run, Sent};
pub use statistics::Statistics;
pub use table::{REQUESTS, write_requests};

use agentgen_engine::text::counted;

use report::{Client, Records};

use crate::records::Phase;

/// Name of the summary in a run directory.
pub const SUMMARY: &str = "summary.json";

/// The largest ratio of the client's lag to the time to the first token before a run counts as client-limited.
pub const CLIENT_LIMIT: f64 = 0.1;

/// Version of the formats of the summary and of comparisons: increased when keys change.
const SCHEMA_VERSION: u32 = 2;

/// Computes all figures. `predicted` holds the predicted cached tokens of each request of the run, where known.
///
/// # Panics
///
/// If the number of predictions is not that of the requests.
#[must_use]
pub fn summarize(run: &Run, predicted: Option<&[Option<u64>]>, options: &Options) -> Summary {
    assert!(predicted.is_none_or(|all| all.len() == run.requests.len()), "one prediction for each request");
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let mut of = |phase, name| {
        let (figures, wrong, doubtful) = phase::figures(run, phase, predicted, options);
        errors.extend(wrong.into_iter().map(|text| format!("{name}: {text}")));
        warnings.extend(doubtful.into_iter().map(|text| format!("{name}: {text}")));
        figures
    };
    let measured = of(Phase::Run, "run");
    let has_warmup = run.sessions.iter().any(|session| session.phase == Phase::Warmup)
        || run.requests.iter().any(|request| request.phase == Phase::Warmup);
    let warmup = has_warmup.then(|| of(Phase::Warmup, "warmup"));
    if run.damaged > 0 {
        errors.push(format!("records: found {}, expected none", counted(run.damaged, "damaged line")));
    }
    if run.truncated > 0 {
        warnings.push(format!("records: {} truncated: a worker died", counted(run.truncated, "file")));
    }
    let client = client(run, &measured.latency);
    if client.client_limited {
        warnings.push(format!(
            "client-limited: p99 of the client's own lag is {:.1} % of the median time to the first token (limit {:.0} %)",
            100.0 * client.share_of_ttft.unwrap_or_default(),
            100.0 * CLIENT_LIMIT
        ));
    }
    if let Some(reason) = &options.incomplete {
        warnings.push(format!("incomplete: {reason}"));
    }
    Summary {
        schema_version: SCHEMA_VERSION,
        incomplete: options.incomplete.is_some() || run.truncated > 0 || run.damaged > 0,
        errors,
        warnings,
        started: options.started.clone(),
        ended: options.ended.clone(),
        settings: options.settings.clone(),
        trace: options.trace.clone(),
        left_out: options.left_out,
        records: Records { files: run.files.len() as u64, truncated: run.truncated, damaged: run.damaged },
        run: measured,
        warmup,
        client,
    }
}

fn client(run: &Run, latency: &report::Latency) -> Client {
    let loop_lag_ms = Statistics::of_durations(&run.loop_lag);
    let p99 = |statistics: &Option<Statistics>| statistics.as_ref().map(|of| of.p99);
    let lag_p99_ms = [p99(&loop_lag_ms), p99(&latency.lag_ms)].into_iter().flatten().reduce(f64::max);
    let answered = latency.ttft_ms.as_ref().or(latency.e2e_ms.as_ref());
    let share_of_ttft = lag_p99_ms.zip(answered).map(|(lag, of)| lag / of.p50).filter(|share| share.is_finite());
    Client {
        loop_lag_ms,
        lag_p99_ms,
        share_of_ttft,
        client_limited: share_of_ttft.is_some_and(|share| share > CLIENT_LIMIT),
        limit: CLIENT_LIMIT,
    }
}

/// The JSON Schema of `summary.json` (`replay`) or of a comparison (`comparison`), as text.
#[must_use]
pub fn schema(name: &str) -> Option<String> {
    let schema = match name {
        "replay" => schemars::schema_for!(Summary),
        "comparison" => schemars::schema_for!(compare::Comparison),
        _ => return None,
    };
    serde_json::to_string_pretty(&schema).ok()
}
