//! Infers the layout and block size of a trace from its first rows.

use std::collections::HashMap;

use super::block_size::{SAMPLE_ROWS, likely_size, no_rows};
use super::blocks::Blocks;
use super::model::{DataFile, Format, Source};
use super::parquet_sample;
use crate::diagnostic::{Diagnostic, TRACE_LAYOUT};
use crate::error::{Result, TraceError};
use crate::meta::Layout;
use crate::row::{Row, SessionKey};

/// Layout and block size: the given values, else the only ones (or the usual size) that the first rows allow.
pub(super) fn infer(file: &DataFile, layout: Option<Layout>, block_size: Option<u32>) -> Result<(Layout, u32)> {
    if file.format == Format::Parquet {
        return parquet_sample::infer(file, layout, block_size);
    }
    let rows = sample(file)?;
    let lengths = || rows.iter().map(|r| (r.line, r.length, r.ids.len())).collect::<Vec<_>>();
    let block_size = match block_size {
        Some(size) => size,
        None => likely_size(&lengths()).map_err(|e| e.in_file(&file.path))?,
    };
    let layout = match layout {
        Some(layout) => layout,
        None => infer_layout(&rows, block_size).map_err(|e| e.in_file(&file.path))?,
    };
    Ok((layout, block_size))
}

/// The fields of a row from which layout and block size are inferred.
struct Sample {
    line: u64,
    key: SessionKey,
    session: String,
    length: u32,
    ids: Vec<i64>,
}

/// The first valid rows. Invalid rows are skipped; if no row is valid, the first diagnostic is the error.
fn sample(file: &DataFile) -> Result<Vec<Sample>> {
    let (mut rows, mut row, mut diagnostics, mut first_line) = (Vec::new(), Row::default(), Vec::new(), 1);
    let mut first_diagnostic = None;
    for block in Blocks::open(&file.path, file.max_line)? {
        let block = block?;
        let mut lines = block.lines();
        for line in lines.by_ref() {
            let number = first_line + line.number;
            line.parse_row(&mut row, &mut diagnostics);
            if let Some(diagnostic) = diagnostics.drain(..).next() {
                first_diagnostic.get_or_insert(diagnostic.on_line(number));
                continue;
            }
            let session = row.session_id.clone();
            rows.push(Sample {
                line: number,
                key: row.session_key,
                session,
                length: row.input_length,
                ids: std::mem::take(&mut row.hash_ids),
            });
            if rows.len() == SAMPLE_ROWS {
                return Ok(rows);
            }
        }
        first_line += lines.lines_read();
    }
    if !rows.is_empty() {
        return Ok(rows);
    }
    Err(first_diagnostic.unwrap_or_else(no_rows).in_file(&file.path).into())
}

/// The key that names the sessions of a JSONL trace; `None` for other formats and for a file without a valid row.
pub fn session_key(source: &Source) -> Result<Option<SessionKey>> {
    let Some(file) = source.files.first() else { return Ok(None) };
    Ok(first_row(file)?.map(|row| row.session_key))
}

/// Whether a JSONL trace has links: its first row names the tree that it belongs to.
pub(super) fn has_links(file: &DataFile) -> Result<bool> {
    let links = first_row(file)?.and_then(|row| row.links);
    Ok(links.is_some_and(|links| links.root_session_id.is_some()))
}

/// The first valid row of a JSONL file.
fn first_row(file: &DataFile) -> Result<Option<Row>> {
    if file.format != Format::Jsonl {
        return Ok(None);
    }
    let (mut row, mut diagnostics) = (Row::default(), Vec::new());
    for block in Blocks::open(&file.path, file.max_line)? {
        for line in block?.lines() {
            diagnostics.clear();
            line.parse_row(&mut row, &mut diagnostics);
            if diagnostics.is_empty() {
                return Ok(Some(row));
            }
        }
    }
    Ok(None)
}

fn infer_layout(rows: &[Sample], block_size: u32) -> Result<Layout> {
    // Rows with `conversation_id` or without a session key hold whole prompts.
    let sessions = rows.iter().filter(|r| r.key == SessionKey::Session).count();
    if sessions == 0 {
        return Ok(Layout::Cumulative);
    }
    if sessions < rows.len() {
        let odd = rows.iter().find(|r| r.key != SessionKey::Session).map_or(0, |r| r.line);
        let diagnostic = Diagnostic::unnamed("no session_id", "a session_id, as on other lines").on_line(odd);
        return Err(TraceError::usage(TRACE_LAYOUT, diagnostic.with_help("state it")));
    }
    let (mut last, mut incremental, mut cumulative) = (HashMap::new(), None, None);
    for row in rows {
        let Some(before): Option<&Sample> = last.insert(&row.session, row) else { continue };
        let full = before.ids.len().min((before.length / block_size) as usize);
        if full > 0 {
            let grows = row.ids.starts_with(&before.ids[..full]);
            if grows { &mut cumulative } else { &mut incremental }.get_or_insert(row.line);
        }
    }
    match (incremental, cumulative) {
        (Some(a), Some(b)) => {
            let found = format!(
                "rows of both layouts: line {b} repeats the blocks of its session's previous row (cumulative), line \
                 {a} does not (incremental)"
            );
            let diagnostic = Diagnostic::unnamed(found, "rows of one layout").with_help("state it");
            Err(TraceError::usage(TRACE_LAYOUT, diagnostic))
        }
        (None, Some(_)) => Ok(Layout::Cumulative),
        // Without a later turn, both layouts are the same.
        (_, None) => Ok(Layout::Incremental),
    }
}
