//! Converts a trace file to another file.

use std::path::Path;

use serde::Serialize;

use super::{sort as sort_rows, to_layout};
use agentgen_trace::error::Result;
use agentgen_trace::manifest::Written;
use agentgen_trace::meta::Layout;
use agentgen_trace::ordered::Cancel;
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::sink::table::{Format, write_table};
use agentgen_trace::source::{self, Source};

/// The written file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// Layout of the rows.
    pub layout: Layout,
    /// Rows.
    pub rows: u64,
    /// Sessions; a row that names none counts as one.
    pub sessions: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// Converts `source` to `target`, whose suffix determines the format; optionally to another layout, or sorted by time.
pub fn convert(
    source: &Source,
    target: &Path,
    layout: Option<Layout>,
    sort: bool,
    threads: usize,
    cancel: &Cancel,
) -> Result<Converted> {
    Format::of(target)?;
    let batches = source::open(source, &Column::ALL, threads, cancel)?;
    let (meta, mut batches) = to_layout(&source.meta, layout.unwrap_or(source.meta.layout), batches)?;
    if sort {
        batches = sort_rows(&meta, batches)?;
    }
    let schema = schema(&Column::ALL, &meta);
    let (file, Written { sessions, turns, .. }) = write_table(batches, &schema, meta.layout, target, threads, cancel)?;
    Ok(Converted { layout: meta.layout, rows: turns, sessions, bytes: file.bytes, sha256: file.sha256 })
}
