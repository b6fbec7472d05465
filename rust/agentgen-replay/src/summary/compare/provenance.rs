//! What the summaries of runs state about them: whether the runs are distinct and comparable.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agentgen_engine::text::counted;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::{Result, TraceError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Compared;
use super::figures::Sample;
use crate::summary::SUMMARY;

/// Settings that may differ: the server compared, access to it, and what repeats differ in.
const MAY_DIFFER: [&str; 5] = ["url", "api_key_env", "salt", "seed", "slo"];
/// Characters of a value that a message shows.
const SHOWN_CHARS: usize = 60;
/// Hex digits of a digest that a message shows.
const DIGITS: usize = 12;

/// What limits the comparison of runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Warning {
    /// The setting that differs, or `trace`, or what is wrong with a run: `settings` (not known), `incomplete`, `errors`,
    /// `client_limited`, `succeeded` (none), `cancelled`.
    pub about: String,
    /// The values found, each with the directories of the runs that have it.
    pub found: Vec<Found>,
    /// The warning in one line.
    pub message: String,
}

/// A value and the runs that have it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// Directories of these runs.
    pub directories: Vec<PathBuf>,
}

/// The parts of a summary that state what was run, and whether it went well.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Summary {
    incomplete: bool,
    errors: Vec<String>,
    started: Option<String>,
    ended: Option<String>,
    settings: Option<Map<String, Value>>,
    trace: Option<Map<String, Value>>,
    client: Client,
    run: Phase,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Phase {
    counters: RequestCounts,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestCounts {
    cancelled: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Client {
    client_limited: bool,
    share_of_ttft: Option<f64>,
}

/// A run and what its summary states about it.
pub(super) struct Provenance {
    directory: PathBuf,
    /// `None` without a summary: the run was killed, or has not ended.
    summary: Option<Summary>,
}

impl Provenance {
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(SUMMARY);
        let summary =
            match std::fs::read(&path) {
                Ok(text) => Some(serde_json::from_slice(&text).map_err(|error| {
                    Diagnostic::unnamed(error.to_string(), "the summary of a replay").in_file(&path)
                })?),
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(source) => return Err(TraceError::Io { path, source }),
            };
        Ok(Self { directory: directory.to_owned(), summary })
    }

    fn settings(&self) -> Option<&Map<String, Value>> {
        self.summary.as_ref()?.settings.as_ref()
    }

    /// Whether both are the same run: one directory, or a copy of it.
    fn is_same(&self, other: &Self) -> bool {
        let place = |run: &Self| run.directory.canonicalize().unwrap_or_else(|_| run.directory.clone());
        let identity = |run: &Self| {
            let of = run.summary.as_ref()?;
            Some((of.started.clone()?, of.ended.clone()?, run.settings()?.get("salt")?.clone()))
        };
        place(self) == place(other) || identity(self).is_some_and(|one| Some(one) == identity(other))
    }

    /// Digests of the trace's files.
    fn trace(&self) -> Option<Value> {
        let trace = self.summary.as_ref()?.trace.as_ref()?;
        Some(trace.get("files")?.as_array()?.iter().map(|file| file["sha256"].clone()).collect())
    }

    fn describe_trace(&self) -> String {
        let trace = self.summary.as_ref().and_then(|of| of.trace.as_ref());
        let of = |name| trace.and_then(|of| of.get(name)).unwrap_or(&Value::Null);
        let digest =
            of("files")[0]["sha256"].as_str().map(|of| format!(" (SHA-256 {}...)", of.get(..DIGITS).unwrap_or(of)));
        format!("{}{}", of("path").as_str().unwrap_or("another one"), digest.unwrap_or_default())
    }
}

/// Refuses a run that is given twice.
pub(super) fn refuse_repeated(runs: &[Provenance]) -> Result<()> {
    for (at, run) in runs.iter().enumerate() {
        if let Some(same) = runs[..at].iter().find(|same| same.is_same(run)) {
            let found = if run.directory == same.directory {
                "the same run twice".to_owned()
            } else {
                format!("the same run as {}", same.directory.display())
            };
            return Err(Diagnostic::unnamed(found, "each once").in_file(&run.directory).into());
        }
    }
    Ok(())
}

/// Names of runs in messages: the label of a group if all of its runs are meant, else directories.
struct Names<'a>(&'a [Compared]);

impl Names<'_> {
    fn of(&self, directories: &[PathBuf]) -> String {
        let mut names = Vec::new();
        for group in self.0 {
            let own: Vec<_> = group.directories.iter().filter(|one| directories.contains(one)).collect();
            if own.len() == group.directories.len() {
                names.push(group.label.clone());
            } else {
                names.extend(own.into_iter().map(|one| one.display().to_string()));
            }
        }
        names.join(", ")
    }
}

/// All warnings about a comparison. Each run has a sample.
pub(super) fn warnings(groups: &[Compared], runs: &[Provenance], samples: &[Sample]) -> Vec<Warning> {
    let names = Names(groups);
    let mut warnings: Vec<Warning> = differing(runs, &names);
    for (run, sample) in runs.iter().zip(samples) {
        let name = names.of(std::slice::from_ref(&run.directory));
        let mut warn = |about: &str, value: Value, message: String| {
            let found = vec![Found { value, directories: vec![run.directory.clone()] }];
            warnings.push(Warning { about: about.to_owned(), found, message: format!("{name} {message}") });
        };
        if sample.succeeded == 0 {
            warn("succeeded", json!(0), "has no request that succeeded".to_owned());
        }
        let Some(summary) = &run.summary else {
            warn(
                "settings",
                Value::Null,
                format!("has no {SUMMARY}: its settings are not known, nor whether it is complete"),
            );
            continue;
        };
        if summary.settings.is_none() {
            warn("settings", Value::Null, "does not state its settings".to_owned());
        }
        if summary.incomplete {
            warn("incomplete", json!(true), "is incomplete: it ended early, or records are missing".to_owned());
        }
        if let Some(first) = summary.errors.first() {
            warn("errors", json!(summary.errors), format!("has figures that are wrong: {first}"));
        }
        let cancelled = summary.run.counters.cancelled;
        if cancelled > 0 {
            let given_up = counted(cancelled, "request");
            warn("cancelled", json!(cancelled), format!("gave up {given_up} in flight, the slow ones: in no figure"));
        }
        if summary.client.client_limited {
            let share = summary.client.share_of_ttft;
            let ratio =
                share.map(|of| format!(": the client's own lag is {:.1} % of the median first token", 100.0 * of));
            warn("client_limited", json!(share), format!("is client-limited{}", ratio.unwrap_or_default()));
        }
    }
    warnings
}

/// Warnings about a trace or settings that differ. Runs whose trace is unknown are left out.
fn differing(runs: &[Provenance], names: &Names<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let known: Vec<(&Provenance, Value)> = runs.iter().filter_map(|run| Some((run, run.trace()?))).collect();
    warnings.extend(difference("trace", known, names, |run, _| run.describe_trace()));
    let settings = || runs.iter().filter_map(|run| Some((run, run.settings()?)));
    let all: BTreeSet<&str> = settings().flat_map(|(_, of)| of.keys()).map(String::as_str).collect();
    for name in all.into_iter().filter(|name| !MAY_DIFFER.contains(name)) {
        let known = settings().map(|(run, of)| (run, of.get(name).cloned().unwrap_or_default())).collect();
        warnings.extend(difference(name, known, names, |_, value| text_of(value)));
    }
    warnings
}

/// A warning if values differ.
fn difference(
    about: &str,
    known: Vec<(&Provenance, Value)>,
    names: &Names<'_>,
    words: impl Fn(&Provenance, &Value) -> String,
) -> Option<Warning> {
    let mut found: Vec<(Found, String)> = Vec::new();
    for (run, value) in known {
        if let Some((same, _)) = found.iter_mut().find(|(of, _)| of.value == value) {
            same.directories.push(run.directory.clone());
        } else {
            let shown = words(run, &value);
            found.push((Found { value, directories: vec![run.directory.clone()] }, shown));
        }
    }
    let values: Vec<String> =
        found.iter().map(|(of, shown)| format!("{shown} in {}", names.of(&of.directories))).collect();
    (found.len() > 1).then(|| Warning {
        about: about.to_owned(),
        found: found.into_iter().map(|(of, _)| of).collect(),
        message: format!("runs differ in {about}: {}", values.join(", ")),
    })
}

fn text_of(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN_CHARS {
        text
    } else {
        text.chars().take(SHOWN_CHARS).chain("...".chars()).collect()
    }
}
