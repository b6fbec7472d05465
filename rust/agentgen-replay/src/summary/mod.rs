//! Figures of a replay, from its records.
//!
//! [`Run::read`] takes in the record files, [`summarize`] computes, [`write_requests`] writes the table of all requests.
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
mod windows;

pub use prediction::predicted;
pub use report::{Clock, Options, Prediction, Summary};
pub use run::{Held, RECORDS, Run, Sent};
pub use statistics::Statistics;
pub use table::{REQUESTS, columns, write_requests};

use agentgen_engine::text::counted;

use report::{Client, Records};

use crate::records::{Phase, VERSION};

/// The file of a run directory that says what was replayed and how.
pub const SUMMARY: &str = "summary.json";

/// The client's lag may be such a share of the time to the first token before the run counts as limited by its client.
pub const CLIENT_LIMIT: f64 = 0.1;

/// Computes all figures. `predicted`: cached tokens to be expected, one for each request of the run, where known.
///
/// # Panics
///
/// If there are not as many predictions as requests.
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
    if run.torn > 0 {
        warnings.push(format!("records: {} cut off within a record: a worker died", counted(run.torn, "file")));
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
        version: VERSION,
        incomplete: options.incomplete.is_some() || run.torn > 0 || run.damaged > 0,
        errors,
        warnings,
        started: options.started.clone(),
        ended: options.ended.clone(),
        settings: options.settings.clone(),
        trace: options.trace.clone(),
        records: Records { files: run.files.len() as u64, torn: run.torn, damaged: run.damaged },
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

/// The JSON Schema of `summary.json`, or of a comparison, as text.
#[must_use]
pub fn schema(name: &str) -> Option<String> {
    let schema = match name {
        "replay" => schemars::schema_for!(Summary),
        "comparison" => schemars::schema_for!(compare::Comparison),
        _ => return None,
    };
    serde_json::to_string_pretty(&schema).ok()
}
