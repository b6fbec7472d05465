//! A trace on the disk into another file.

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

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Converted {
    /// Meaning of the rows.
    pub layout: Layout,
    /// Rows.
    pub rows: u64,
    /// Sessions; rows that name no session count as one each.
    pub sessions: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

/// Rewrites `source` as `target`, whose name decides the format; in another layout or in order of time if asked.
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
