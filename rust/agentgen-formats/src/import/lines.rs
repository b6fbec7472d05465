//! Lines of JSONL files and whole JSON documents, plain or compressed, of programs that may still be writing them.

use std::path::Path;

use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::source::{Blocks, MAX_LINE_BYTES};
use serde_json::error::Category;

use super::model::{Problem, Recording};

/// A line that could not be used, and why, without text of the line.
#[derive(Debug)]
pub struct BadLine {
    reason: String,
    /// The text ends inside a value.
    is_cut: bool,
}

/// Why a last line is left out if the program that writes it has not finished it.
pub const TRUNCATED: &str = "truncated last lines";

/// Largest JSON document that is read as a whole.
pub const MAX_DOCUMENT_BYTES: u64 = 256 << 20;

const BYTE_ORDER_MARK: &str = "\u{feff}";

impl BadLine {
    /// A line that is valid JSON but not what the format has.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), is_cut: false }
    }

    /// Why it could not be used.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl From<serde_json::Error> for BadLine {
    /// The message of the error may quote the line: only the kind and the place are kept.
    fn from(error: serde_json::Error) -> Self {
        let category = error.classify();
        let what = match category {
            Category::Eof => "JSON that ends early",
            Category::Data => "a field of an unexpected type",
            Category::Syntax | Category::Io => "not JSON",
        };
        Self { reason: format!("{what}, at column {}", error.column()), is_cut: category == Category::Eof }
    }
}

/// Gives every line that is not blank to `row`, with its number from 1. Lines that cannot be used become problems; a last
/// line without a line end that is incomplete is left out.
pub fn read_lines(
    path: &Path,
    recording: &mut Recording,
    mut row: impl FnMut(&str, u64) -> Result<(), BadLine>,
) -> Result<()> {
    let mut lines_before = 0;
    for block in Blocks::open(path, MAX_LINE_BYTES)? {
        let block = match block {
            Ok(block) => block,
            Err(error) => {
                // What precedes the damage counts.
                recording.problems.push(Problem { file: path.to_owned(), line: None, reason: reason_of(&error) });
                return Ok(());
            }
        };
        let mut lines = block.lines();
        for line in lines.by_ref() {
            let number = lines_before + line.number + 1;
            let result = if let Some((bytes, limit)) = line.too_long {
                Err(BadLine::new(format!("a line of {bytes} bytes, expected at most {limit}")))
            } else {
                text_of(line.bytes, number == 1).and_then(|text| row(text, number))
            };
            match result {
                Ok(()) => {}
                Err(bad) if bad.is_cut && !line.has_line_end => recording.leave_out(TRUNCATED, 1),
                Err(bad) => {
                    recording.problems.push(Problem { file: path.to_owned(), line: Some(number), reason: bad.reason });
                }
            }
        }
        lines_before += lines.lines_read();
    }
    Ok(())
}

/// The rows of a file's lines, and what could not be used.
pub fn read_rows<R>(path: &Path, parse: impl Fn(&str) -> Result<Option<R>, BadLine>) -> Result<(Recording, Vec<R>)> {
    let (mut recording, mut rows) = (Recording::default(), Vec::new());
    read_lines(path, &mut recording, |line, _| {
        rows.extend(parse(line)?);
        Ok(())
    })?;
    Ok((recording, rows))
}

/// Reads a whole document and gives its text to `parse`. A document that cannot be used becomes a problem.
pub fn read_document(
    path: &Path,
    recording: &mut Recording,
    parse: impl FnOnce(&str, &mut Recording) -> Result<(), BadLine>,
) -> Result<()> {
    let bytes = Blocks::head(path, MAX_DOCUMENT_BYTES + 1)?;
    let result = if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        Err(BadLine::new(format!("a document of more than {MAX_DOCUMENT_BYTES} bytes")))
    } else {
        text_of(&bytes, true).and_then(|text| parse(text, recording))
    };
    if let Err(bad) = result {
        recording.problems.push(Problem { file: path.to_owned(), line: None, reason: bad.reason });
    }
    Ok(())
}

/// Text without the mark that may begin a file.
fn text_of(bytes: &[u8], is_first: bool) -> Result<&str, BadLine> {
    let text = std::str::from_utf8(bytes).map_err(|e| BadLine {
        reason: format!("bytes that are not UTF-8, at column {}", e.valid_up_to() + 1),
        is_cut: e.error_len().is_none(),
    })?;
    Ok(if is_first { text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text) } else { text })
}

/// The reason of an error without the path, which the problem names.
fn reason_of(error: &TraceError) -> String {
    match error {
        TraceError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
