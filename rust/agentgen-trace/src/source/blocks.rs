//! A JSONL file, compressed or not, in blocks of whole lines: what readers and validators parallelise over.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memrchr};

use super::json_row::{Fault, parse_row};
use crate::error::{Result, TraceError};
use crate::row::Row;

/// Large enough that handing blocks around costs nothing, small enough that a window of them is no memory.
const BLOCK_BYTES: usize = 4 << 20;

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Whole lines of a file.
#[derive(Debug)]
pub struct Block {
    /// Lines with their ends; the last line of the file may lack its end.
    pub bytes: Vec<u8>,
    /// 0-based place in the file.
    pub index: u64,
    /// Whether the file starts here.
    pub is_first: bool,
    /// Whether the file ends here.
    pub is_last: bool,
}

/// A line that is not blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// 0-based in its block; blank lines count.
    pub number: u64,
    /// Without `\n` or `\r\n`.
    pub bytes: &'a [u8],
    /// Whether it had a line end, which only the last line of a file may lack.
    pub ended: bool,
}

impl Block {
    /// The lines that are not blank.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let mut rest = &self.bytes[..];
        let mut number = 0;
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let end = memchr(b'\n', rest);
                let (line, after) = rest.split_at(end.map_or(rest.len(), |e| e + 1));
                rest = after;
                number += 1;
                let bytes = line.strip_suffix(b"\n").unwrap_or(line);
                let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
                if !bytes.trim_ascii().is_empty() {
                    return Some(Line { number: number - 1, bytes, ended: end.is_some() });
                }
            }
            None
        })
    }

    /// How many lines it has, blank ones included.
    #[must_use]
    pub fn line_count(&self) -> u64 {
        let ended = memchr::memchr_iter(b'\n', &self.bytes).count() as u64;
        ended + u64::from(self.bytes.last().is_some_and(|b| *b != b'\n'))
    }
}

impl Line<'_> {
    /// [`parse_row`]; a last line that is not JSON and has no end was probably cut off, which the fault then says.
    pub fn parse_row(&self, row: &mut Row, faults: &mut Vec<Fault>) {
        let before = faults.len();
        parse_row(self.bytes, row, faults);
        if self.ended {
            return;
        }
        for fault in faults[before..].iter_mut().filter(|f| f.rule == "json") {
            fault.rule = "truncated";
            fault.found = format!("a last line without an end: {}", fault.found);
            fault.expected = "a whole row; the file seems cut off".into();
        }
    }
}

/// Reads a file block by block. After an error there are no more blocks.
pub struct Blocks {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    compression: &'static str,
    /// Bytes read that no block holds yet.
    ahead: Vec<u8>,
    index: u64,
    is_done: bool,
    consumed: Arc<AtomicU64>,
    file_bytes: u64,
}

impl Blocks {
    /// Opens a file; its first bytes, not its name, say whether it is compressed (gzip or zstd).
    pub fn open(path: &Path) -> Result<Self> {
        let fail = |e| TraceError::io(path, e);
        let mut file = File::open(path).map_err(fail)?;
        let file_bytes = file.metadata().map_err(fail)?.len();
        let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
        (&mut file).take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic).map_err(fail)?;
        let consumed = Arc::new(AtomicU64::new(0));
        let (is_gzip, is_zstd) = (magic.starts_with(GZIP_MAGIC), magic.starts_with(ZSTD_MAGIC));
        let file = Counted { inner: io::Cursor::new(magic).chain(file), bytes: Arc::clone(&consumed) };
        let (reader, compression): (Box<dyn Read + Send>, _) = if is_gzip {
            (Box::new(MultiGzDecoder::new(file)), "gzip")
        } else if is_zstd {
            (Box::new(zstd::Decoder::new(file).map_err(fail)?), "zstd")
        } else {
            (Box::new(file), "")
        };
        let path = path.to_owned();
        Ok(Self { path, reader, compression, ahead: Vec::new(), index: 0, is_done: false, consumed, file_bytes })
    }

    /// Bytes of the file consumed so far, compressed if it is: for a progress display beside [`Self::file_bytes`].
    #[must_use]
    pub fn consumed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.consumed)
    }

    /// Size of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Reads up to `count` more bytes behind `buffer`; whether the file ended before that many.
    fn read(&mut self, buffer: &mut Vec<u8>, count: usize) -> Result<bool> {
        buffer.reserve(count);
        match self.reader.by_ref().take(count as u64).read_to_end(buffer) {
            Ok(read) => Ok(read < count),
            Err(e) if self.compression.is_empty() => Err(TraceError::io(&self.path, e)),
            Err(e) => {
                let text = format!("the {} data is damaged or cut off: {e}", self.compression);
                Err(TraceError::io(&self.path, io::Error::new(e.kind(), text)))
            }
        }
    }

    fn read_block(&mut self) -> Result<Option<Block>> {
        let mut bytes = std::mem::take(&mut self.ahead);
        loop {
            let old = bytes.len();
            // A line longer than a block doubles the buffer until it fits.
            self.is_done = self.read(&mut bytes, BLOCK_BYTES.max(old))?;
            if self.is_done {
                break;
            }
            if let Some(end) = memrchr(b'\n', &bytes[old..]) {
                let mut ahead = bytes.split_off(old + end + 1);
                if ahead.is_empty() {
                    // Whether this is the last block shows only behind it.
                    self.is_done = self.read(&mut ahead, 1)?;
                }
                self.ahead = ahead;
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        Ok(Some(Block { bytes, index, is_first: index == 0, is_last: self.is_done }))
    }
}

impl Iterator for Blocks {
    type Item = Result<Block>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let block = self.read_block();
        self.is_done |= block.is_err();
        block.transpose()
    }
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
