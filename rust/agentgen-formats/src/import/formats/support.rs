//! What the readers of traces and requests share.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufReader, Read};
use std::path::Path;

use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::source::Blocks;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::import::lines::{BadLine, MAX_DOCUMENT_BYTES, read_document, read_lines};
use crate::import::model::{Problem, Recording};

/// A key that no other file has.
pub fn key(path: &Path, name: impl std::fmt::Display) -> String {
    format!("{}:{name}", path.display())
}

/// Adds a problem of a line.
pub fn problem(recording: &mut Recording, path: &Path, line: Option<u64>, reason: impl Into<String>) {
    recording.problems.push(Problem { file: path.to_owned(), line, reason: reason.into() });
}

/// What is read of a file to see how it is written.
const HEAD_BYTES: u64 = 1 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Gives each JSON value of a file to `value`, with its line if it has one: the lines of JSONL, the elements of an array (one
/// at a time: published data sets are larger than memory), or the values of a document over several lines.
pub fn read_values(
    path: &Path,
    recording: &mut Recording,
    mut value: impl FnMut(&str, Option<u64>) -> Result<(), BadLine>,
) -> Result<()> {
    let head = Blocks::head(path, HEAD_BYTES)?;
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&head).trim_ascii_start();
    if head.starts_with(b"[") {
        return read_elements(path, recording, |text| value(text, None));
    }
    if is_jsonl(head) {
        return read_lines(path, recording, |text, line| value(text, Some(line)));
    }
    read_document(path, recording, |text, recording| {
        for element in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
            if let Err(bad) = value(element?.get(), None) {
                problem(recording, path, None, bad.reason());
            }
        }
        Ok(())
    })
}

/// Whether each line of a file with this beginning is a value of its own.
fn is_jsonl(head: &[u8]) -> bool {
    // A first line that is longer than the head is one value: nobody writes a document on several lines like this.
    head.iter().position(|byte| *byte == b'\n').is_none_or(|end| {
        let mut values = serde_json::Deserializer::from_slice(&head[..end]).into_iter::<IgnoredAny>();
        values.all(|value| value.is_ok())
    })
}

/// Reads the elements of an array. Those before the end of a truncated file count.
fn read_elements(
    path: &Path,
    recording: &mut Recording,
    mut value: impl FnMut(&str) -> Result<(), BadLine>,
) -> Result<()> {
    let mut bytes = Blocks::reader(path)?;
    let mut start = Vec::new();
    bytes.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut start).map_err(|e| TraceError::io(path, e))?;
    if start == BYTE_ORDER_MARK {
        start.clear();
    }
    let left = Cell::new(MAX_DOCUMENT_BYTES);
    let bytes = BufReader::new(Limited { bytes: io::Cursor::new(start).chain(bytes), left: &left });
    let mut problems = Vec::new();
    let elements = Elements(|text: &str| {
        left.set(MAX_DOCUMENT_BYTES);
        problems.extend(value(text).err());
    });
    let mut deserializer = serde_json::Deserializer::from_reader(bytes);
    if let Err(error) = deserializer.deserialize_seq(elements) {
        problems.push(error.into());
    }
    for bad in problems {
        problem(recording, path, None, bad.reason());
    }
    Ok(())
}

/// Fails where one element is so large that it would not be read as a document either.
struct Limited<'a, R> {
    bytes: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        let left = self.left.get().checked_sub(read as u64);
        self.left.set(left.ok_or_else(|| io::Error::other("an element that is too large"))?);
        Ok(read)
    }
}

/// Gives each element of an array to a function.
struct Elements<F>(F);

impl<'de, F: FnMut(&str)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            (self.0)(element.get());
        }
        Ok(())
    }
}
