//! The formats that can be imported: how each is recognised and read.
//!
//! A reader works on one file alone. What spans files (sub-agents, copies of resumed sessions) is put together in `merge`.

mod agentic_mooncake;
pub(crate) mod agenttrace;
mod atif;
mod bailian;
mod chat;
mod claude;
mod codex;
mod csv;
mod dynamo;
mod head;
mod hermes;
mod json;
mod mlperf;
mod mooncake;
mod openai;
mod otel;
mod pi;
mod record;
pub mod request;
mod sharegpt;
pub(crate) mod support;
mod swe;
mod tracelab;
pub(crate) mod values;
mod weka;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};

use super::model::Recording;

pub use head::{Head, HeadObject, HeadValue};

/// Value of an environment variable, for default directories.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// A format of recorded sessions.
#[derive(Debug)]
pub struct Format {
    /// Name of the format, for `--format`.
    pub name: &'static str,
    /// What it is, for messages.
    pub title: &'static str,
    /// Endings of its files, without the dot and without that of a compression.
    pub extensions: &'static [&'static str],
    /// Whether a file with this beginning has the format. Names of files do not count.
    pub recognises: fn(&Head) -> bool,
    /// Reads one file.
    pub read: fn(&Path) -> Result<Recording>,
    /// Where its tool keeps sessions.
    pub default_folders: fn(Environment) -> Vec<PathBuf>,
}

/// Tools of Claude Code and Codex whose result is what a person decided.
const ASK_A_PERSON: [&str; 3] = ["AskUserQuestion", "ExitPlanMode", "request_user_input"];

/// All formats. The first that recognises a file is its format, so that formats with few keys of their own come last.
pub const FORMATS: &[Format] = &[
    claude::FORMAT,
    codex::FORMAT,
    pi::FORMAT,
    atif::FORMAT,
    swe::SWE_AGENT,
    swe::MINI,
    hermes::FORMAT,
    weka::FORMAT,
    bailian::FORMAT,
    agentic_mooncake::FORMAT,
    dynamo::FORMAT,
    mooncake::FORMAT,
    mooncake::DELTA,
    tracelab::FORMAT,
    record::FORMAT,
    agenttrace::FORMAT,
    csv::AZURE,
    csv::BURST,
    mlperf::FORMAT,
    mlperf::SNAPSHOTS,
    sharegpt::FORMAT,
    otel::FORMAT,
    openai::FORMAT,
    mooncake::LENGTHS,
];

/// The format with a name.
pub fn named(name: &str) -> Result<&'static Format> {
    FORMATS.iter().find(|f| f.name == name).ok_or_else(|| {
        let names: Vec<_> = FORMATS.iter().map(|f| f.name).collect();
        TraceError::usage("format", Diagnostic::unnamed(name, format!("one of {}", names.join(", "))))
    })
}

/// The format of a file, by the keys of its first rows or by its header; `None`: no format that can be imported.
pub fn detect(path: &Path) -> Result<Option<&'static Format>> {
    let head = Head::read(path)?;
    Ok(FORMATS.iter().find(|f| (f.recognises)(&head)))
}

/// Formats that other commands read without an import.
const READ_DIRECTLY: [&str; 3] = ["mooncake", "mooncake-delta", "mlperf"];

/// What a file is, if it must be imported before other commands can read it.
#[must_use]
pub fn foreign(path: &Path) -> Option<&'static str> {
    // A file that cannot be read is refused by whoever reads it.
    let format = detect(path).ok().flatten()?;
    (!READ_DIRECTLY.contains(&format.name)).then_some(format.title)
}

/// No default folder, for formats that are not the log of a tool.
#[must_use]
pub fn no_folders(_: Environment) -> Vec<PathBuf> {
    Vec::new()
}

/// A folder in the home directory of the user.
#[must_use]
pub fn in_home(environment: Environment, folder: &str) -> Option<PathBuf> {
    Some(PathBuf::from(environment("HOME").or_else(|| environment("USERPROFILE"))?).join(folder))
}
