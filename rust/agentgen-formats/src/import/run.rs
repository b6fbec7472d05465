//! An import, from files to a run directory.

use std::sync::Arc;

use agentgen_trace::error::Result;
use agentgen_trace::manifest::Manifest;
use agentgen_trace::ordered::Cancel;
use serde::Serialize;
use serde_json::json;

use super::merge::merge;
use super::model::{Problem, Recording};
use super::names::{Names, WrittenNames};
use super::options::ImportOptions;
use super::read::{ReadFiles, nothing, read};
use super::summary::Summary;
use super::trace::Trace;
use super::write::write;

pub use super::read::Progress;

/// How prompts are told to hold the outputs before them.
const RETURNED: &str = "the last tokens of the output without its reasoning, as many as the prompt grew by, less one";

/// What was imported.
#[derive(Debug, Serialize)]
pub struct Imported {
    /// The manifest of the run; none if nothing was written.
    pub manifest: Option<Manifest>,
    /// What it holds.
    pub summary: Summary,
    /// Parts of the sources that could not be used.
    pub problems: Vec<ShownProblem>,
    /// All names in the run.
    pub names: WrittenNames,
}

/// A part of a source that could not be used.
#[derive(Debug, Serialize)]
pub struct ShownProblem {
    /// The file.
    pub file: String,
    /// The line, from 1; `None` for the whole file.
    pub line: Option<u64>,
    /// What is wrong with it.
    pub reason: String,
}

impl From<Problem> for ShownProblem {
    fn from(problem: Problem) -> Self {
        Self { file: problem.file.display().to_string(), line: problem.line, reason: problem.reason }
    }
}

/// Imports recorded sessions into a run directory.
pub fn import(options: &ImportOptions, progress: &Progress, cancel: &Cancel) -> Result<Imported> {
    let format = options.format.as_deref();
    let files = read(&options.sources, format, options.threads, progress, cancel)?;
    write_files(files, options, cancel)
}

/// Writes what was read of sources elsewhere as a run directory; [`ImportOptions::sources`] is not used.
pub fn write_recording(recording: Recording, options: &ImportOptions, cancel: &Cancel) -> Result<Imported> {
    write_files(ReadFiles { recording, sources: Vec::new(), skipped: 0 }, options, cancel)
}

fn write_files(files: ReadFiles, options: &ImportOptions, cancel: &Cancel) -> Result<Imported> {
    let ReadFiles { recording, sources, skipped } = files;
    let Recording { sessions, problems, left_out, .. } = merge(recording);
    let trace = Trace::new(sessions, options.block_size)?;
    if trace.summary.calls == 0 {
        return Err(nothing(sources.len(), &problems));
    }
    let mut names = Names::new(options.names.clone());
    trace.learn(&mut names);
    let (summary, written) = (trace.summary.clone(), names.written());
    let mut imported = Imported { manifest: None, summary, problems: Vec::new(), names: written };
    if !options.strict || problems.is_empty() {
        let about = json!({
            "sources": sources,
            "files_of_unknown_format": skipped,
            "problems": problems.len(),
            "left_out": left_out,
            "time_origin_ms": trace.times.origins.epoch_ms,
            "returned_outputs": RETURNED,
            "summary": trace.summary,
        });
        let (trace, names) = (Arc::new(trace), Arc::new(names));
        let manifest = write(&trace, &names, about, options, cancel)?;
        imported.manifest = Some(manifest);
    }
    imported.problems = problems.into_iter().map(ShownProblem::from).collect();
    Ok(imported)
}
