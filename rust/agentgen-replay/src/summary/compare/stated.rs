//! What runs say of themselves in their summaries: whether they are runs of their own, and fit to be compared.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agentgen_engine::text::counted;
use agentgen_trace::{Result, TraceError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Compared;
use super::figures::Sample;
use crate::summary::SUMMARY;

/// Settings that may differ: what is compared, who may ask for it, and what repeats differ in.
const FREE: [&str; 5] = ["url", "api_key_env", "salt", "seed", "slo"];
/// Letters of a value that a message shows.
const SHOWN: usize = 60;
/// Digits of a digest that a message shows.
const DIGITS: usize = 12;

/// What makes figures of runs hard to compare.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Warning {
    /// The setting that differs, or `trace`, or what is wrong with a run: `settings` (not known), `incomplete`, `errors`,
    /// `client_limited`, `succeeded` (none), `cancelled`.
    pub about: String,
    /// What was found there, each with the directories of the runs that have it.
    pub found: Vec<Found>,
    /// All of it in a line.
    pub message: String,
}

/// A value and who has it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Found {
    /// The value.
    pub value: Value,
    /// Directories.
    pub directories: Vec<PathBuf>,
}

/// The part of a summary that says what was run, and whether it went well.
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
    books: Books,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Books {
    cancelled: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Client {
    client_limited: bool,
    share_of_ttft: Option<f64>,
}

/// A run, and what it says of itself.
pub(super) struct Stated {
    directory: PathBuf,
    /// Nothing if there is no summary: the run was killed, or is not over.
    summary: Option<Summary>,
}

impl Stated {
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(SUMMARY);
        let summary = match std::fs::read(&path) {
            Ok(text) => Some(serde_json::from_slice(&text).map_err(|error| {
                let problem =
                    format!("{}: found something else ({error}), expected the summary of a replay", path.display());
                TraceError::Format(problem)
            })?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(TraceError::Io { path, source }),
        };
        Ok(Self { directory: directory.to_owned(), summary })
    }

    fn settings(&self) -> Option<&Map<String, Value>> {
        self.summary.as_ref()?.settings.as_ref()
    }

    /// Whether both are one run: the same directory, or a copy of it.
    fn is(&self, other: &Self) -> bool {
        let place = |run: &Self| run.directory.canonicalize().unwrap_or_else(|_| run.directory.clone());
        let born = |run: &Self| {
            let of = run.summary.as_ref()?;
            Some((of.started.clone()?, of.ended.clone()?, run.settings()?.get("salt")?.clone()))
        };
        place(self) == place(other) || born(self).is_some_and(|one| Some(one) == born(other))
    }

    /// The trace: the digests of its files.
    fn trace(&self) -> Option<Value> {
        let trace = self.summary.as_ref()?.trace.as_ref()?;
        Some(trace.get("files")?.as_array()?.iter().map(|file| file["sha256"].clone()).collect())
    }

    fn trace_in_words(&self) -> String {
        let trace = self.summary.as_ref().and_then(|of| of.trace.as_ref());
        let of = |name| trace.and_then(|of| of.get(name)).unwrap_or(&Value::Null);
        let digest =
            of("files")[0]["sha256"].as_str().map(|of| format!(" (SHA-256 {}...)", of.get(..DIGITS).unwrap_or(of)));
        format!("{}{}", of("path").as_str().unwrap_or("another one"), digest.unwrap_or_default())
    }
}

/// No run may stand beside itself.
pub(super) fn refuse_twice(runs: &[Stated]) -> Result<()> {
    for (at, run) in runs.iter().enumerate() {
        if let Some(same) = runs[..at].iter().find(|same| same.is(run)) {
            let (found, other) = (run.directory.display(), same.directory.display());
            let problem = if run.directory == same.directory {
                format!("{found}: found the same run twice, expected each once")
            } else {
                format!("{found}: found the same run as {other}, expected each once")
            };
            return Err(TraceError::Format(problem));
        }
    }
    Ok(())
}

/// Names runs as a reader of the comparison knows them: by the label where all of its runs are meant.
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

/// All that a reader should know before figures are compared. There is a sample of each run.
pub(super) fn warnings(groups: &[Compared], runs: &[Stated], samples: &[Sample]) -> Vec<Warning> {
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
        let cancelled = summary.run.books.cancelled;
        if cancelled > 0 {
            let given_up = counted(cancelled, "request");
            warn("cancelled", json!(cancelled), format!("gave up {given_up} in flight, the slow ones: in no figure"));
        }
        if summary.client.client_limited {
            let share = summary.client.share_of_ttft;
            let told =
                share.map(|of| format!(": the client's own lag is {:.1} % of the median first token", 100.0 * of));
            warn("client_limited", json!(share), format!("is client-limited{}", told.unwrap_or_default()));
        }
    }
    warnings
}

/// In what runs differ that should be the same. A trace that is not known is not held against others.
fn differing(runs: &[Stated], names: &Names<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let known: Vec<(&Stated, Value)> = runs.iter().filter_map(|run| Some((run, run.trace()?))).collect();
    warnings.extend(difference("trace", known, names, |run, _| run.trace_in_words()));
    let stated = || runs.iter().filter_map(|run| Some((run, run.settings()?)));
    let all: BTreeSet<&str> = stated().flat_map(|(_, of)| of.keys()).map(String::as_str).collect();
    for name in all.into_iter().filter(|name| !FREE.contains(name)) {
        let known = stated().map(|(run, of)| (run, of.get(name).cloned().unwrap_or_default())).collect();
        warnings.extend(difference(name, known, names, |_, value| in_words(value)));
    }
    warnings
}

/// One warning of values that are not all the same.
fn difference(
    about: &str,
    known: Vec<(&Stated, Value)>,
    names: &Names<'_>,
    words: impl Fn(&Stated, &Value) -> String,
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
    let told: Vec<String> =
        found.iter().map(|(of, shown)| format!("{shown} in {}", names.of(&of.directories))).collect();
    (found.len() > 1).then(|| Warning {
        about: about.to_owned(),
        found: found.into_iter().map(|(of, _)| of).collect(),
        message: format!("runs differ in {about}: {}", told.join(", ")),
    })
}

fn in_words(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain("...".chars()).collect() }
}
