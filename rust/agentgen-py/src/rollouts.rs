//! Recorded sessions as rows of messages.

use std::path::PathBuf;

use agentgen_formats::import::Progress;
use agentgen_formats::rollouts::{self, RolloutOptions, RolloutProblems, Shuffle};
use agentgen_trace::Cancel;
use pyo3::prelude::*;

use crate::arguments::{json, threads as thread_count};
use crate::enter::{enter, report};
use crate::error::Failure;
use crate::stream::BatchStream;

/// The arguments of both functions, as a Python dictionary.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Selection {
    sources: Vec<PathBuf>,
    format: Option<String>,
    partition: Option<(usize, usize)>,
    shuffle_seed: Option<u64>,
    limit: Option<u64>,
    threads: Option<usize>,
}

impl Selection {
    fn options(self) -> RolloutOptions {
        RolloutOptions {
            sources: self.sources,
            format: self.format,
            partition: self.partition,
            shuffle: self.shuffle_seed.map(|seed| Shuffle { seed }),
            limit: self.limit,
            threads: thread_count(self.threads),
        }
    }
}

/// Parts of the sources that could not be used.
#[pyclass(frozen, module = "agentgen._native")]
pub(crate) struct SourceProblems(RolloutProblems);

#[pymethods]
impl SourceProblems {
    fn take(&self) -> PyResult<String> {
        json(&self.0.taken())
    }
}

#[pyfunction]
pub(crate) fn rollout_formats() -> Vec<&'static str> {
    rollouts::formats()
}

#[pyfunction]
pub(crate) fn open_rollouts(py: Python<'_>, selection: Selection) -> PyResult<(BatchStream, SourceProblems)> {
    let (cancel, options) = (Cancel::default(), selection.options());
    let opened = py.detach(|| rollouts::open(&options, &Progress::default(), &cancel)).map_err(Failure::from)?;
    Ok((BatchStream::new(&opened.schema, cancel, opened.batches), SourceProblems(opened.problems)))
}

#[pyfunction]
#[pyo3(signature = (selection, path, *, strict=false, progress=None))]
pub(crate) fn write_rollouts(
    py: Python<'_>,
    selection: Selection,
    path: PathBuf,
    strict: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<String> {
    let (cancel, read, options) = (Cancel::default(), Progress::default(), selection.options());
    let tell = |py: Python<'_>| {
        let (done, total) = read.bytes();
        report(progress.as_ref(), py, done, total)
    };
    json(&enter(py, &cancel, tell, || rollouts::write(&options, &path, strict, &read, &cancel))?)
}
