//! Time in tools beside time in the model, from `AgentTrace` data sets and from the calls of imported runs.
//!
//! `agenttrace` and `calls` read one trace after the other, `report` collects their figures, `frames` gives the rows of
//! `AgentTrace` as tables.

mod agenttrace;
mod calls;
mod frames;
mod literal;
mod report;

use std::path::Path;

use agentgen_trace::error::Result;

pub use frames::{Frame, frame};
pub use report::ToolTimes;

use crate::import::formats::detect;

/// Whether a file is an `AgentTrace` data set.
#[must_use]
pub fn is_agenttrace(path: &Path) -> bool {
    path.is_file() && detect(path).ok().flatten().is_some_and(|format| format.name == "agenttrace")
}

/// The figures of `AgentTrace` data sets.
pub fn of_agenttrace(paths: &[impl AsRef<Path>]) -> Result<ToolTimes> {
    agenttrace::report(paths)
}

/// The figures of a run directory with `calls.parquet`; `None` if no tool of it has a time.
pub fn of_run(directory: &Path) -> Result<Option<ToolTimes>> {
    calls::report(directory)
}
