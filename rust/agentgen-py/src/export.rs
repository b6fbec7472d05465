//! Writing traces in formats of other programs.

use std::path::PathBuf;

use agentgen_formats::export::{self, Exported, FORMATS, Held, Part};
use agentgen_trace::diagnostic::{TRACE_BLOCK_SIZE, TRACE_LAYOUT};
use agentgen_trace::source;
use agentgen_trace::{Cancel, TraceError};
use pyo3::prelude::*;

use crate::arguments::{json, read_options, threads as thread_count};
use crate::enter::enter;

/// The table of formats as JSON: name, title, readers, and how each part of a trace is held.
#[pyfunction]
pub(crate) fn export_formats() -> PyResult<String> {
    let formats = FORMATS.iter().map(|format| {
        let holds = Part::ALL.into_iter().zip(format.holds).map(|(part, held)| {
            let (held, how) = match held {
                Held::Exact => ("exact", None),
                Held::Approximated(how) => ("approximated", Some(how)),
                Held::Lost => ("lost", None),
            };
            serde_json::json!({"part": part.title(), "held": held, "how": how})
        });
        serde_json::json!({
            "name": format.name,
            "title": format.title,
            "readers": format.readers,
            "has_text": format.has_text,
            "is_directory": format.is_directory(),
            "has_blocks": format.ids.is_some(),
            "block_size_option": format.block_size_option,
            "holds": holds.collect::<Vec<_>>(),
        })
    });
    json(&formats.collect::<Vec<_>>())
}

#[pyfunction]
#[pyo3(signature = (sources, target, *, to, source_layout=None, source_block_size=None, trace_block_size=None, text=false,
                    words=None, strict=false, threads=None))]
#[allow(clippy::too_many_arguments)] // each is a keyword of the Python function
pub(crate) fn export_trace(
    py: Python<'_>,
    sources: Vec<PathBuf>,
    target: Option<PathBuf>,
    to: String,
    source_layout: Option<&str>,
    source_block_size: Option<u32>,
    trace_block_size: Option<u32>,
    text: bool,
    words: Option<Vec<String>>,
    strict: bool,
    threads: Option<usize>,
) -> PyResult<String> {
    let read = read_options(source_layout, source_block_size)?;
    let options = export::ExportOptions {
        format: to,
        target: target.map_or(export::Target::Stdout, export::Target::Path),
        block_size: trace_block_size,
        text,
        words,
        strict,
        threads: thread_count(threads),
    };
    let cancel = Cancel::default();
    let work = || {
        // An unknown format is told before the trace is read.
        export::named(&options.format)?;
        export::export(&source::resolve(&sources, read).map_err(of_source)?, &options, &cancel)
    };
    let exported: Exported = enter(py, &cancel, |_| Ok(()), work)?;
    json(&exported)
}

/// Names the parameters of the trace that is read.
fn of_source(mut error: TraceError) -> TraceError {
    if let TraceError::Usage(diagnostic) = &mut error {
        diagnostic.field = match diagnostic.field.as_deref() {
            Some(TRACE_LAYOUT) => Some("source_layout".into()),
            Some(TRACE_BLOCK_SIZE) => Some("source_block_size".into()),
            _ => diagnostic.field.take(),
        };
    }
    error
}
