//! Splits a JSONL file, plain or compressed, into blocks of whole lines, which readers and validators process in parallel.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use memchr::{memchr, memrchr};

use super::json_row::parse_row;
use crate::buffers::Buffers;
use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};
use crate::row::Row;

/// Large enough that passing blocks between threads costs nothing; small enough that a window of blocks needs little memory.
const BLOCK_BYTES: usize = 4 << 20;

/// Lines are at most this long: whatever a file of a few kilobytes may be unpacked to, memory is bounded.
pub const MAX_LINE_BYTES: usize = 64 << 20;

const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";

/// Whole lines of a file. The last line of the file may lack a line end.
#[derive(Debug)]
pub struct Block {
    buffer: Vec<u8>,
    /// Bytes of the buffer that belong to the block.
    len: usize,
    /// It stands for one line that is too long, of so many bytes.
    too_long: Option<u64>,
    max_line: usize,
    /// Takes the buffer back. It keeps its length, so that reading does not clear it again.
    pool: Buffers,
}

/// A line that is not blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// 0-based in its block; blank lines count.
    pub number: u64,
    /// Without `\n` or `\r\n`.
    pub bytes: &'a [u8],
    /// Whether a line end follows; only the last line of a file may lack it.
    pub has_line_end: bool,
    /// Set if the line is too long to be parsed: its length and the limit, bytes.
    pub too_long: Option<(u64, usize)>,
}

impl Block {
    /// The lines that are not blank.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        let rest = &self.buffer[..self.len];
        Lines { rest, passed: 0, too_long: self.too_long, max_line: self.max_line }
    }
}

impl From<Vec<u8>> for Block {
    fn from(buffer: Vec<u8>) -> Self {
        Self { len: buffer.len(), buffer, too_long: None, max_line: MAX_LINE_BYTES, pool: Buffers::default() }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.pool.put_back(std::mem::take(&mut self.buffer));
    }
}

/// The lines of a block that are not blank.
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
    passed: u64,
    /// See [`Block::too_long`].
    too_long: Option<u64>,
    max_line: usize,
}

impl Lines<'_> {
    /// Lines read so far, blank ones included.
    #[must_use]
    pub fn lines_read(&self) -> u64 {
        self.passed
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        if let Some(bytes) = self.too_long.take() {
            self.passed += 1;
            return Some(Line {
                number: self.passed - 1,
                bytes: &[],
                has_line_end: true,
                too_long: Some((bytes, self.max_line)),
            });
        }
        while !self.rest.is_empty() {
            let end = memchr(b'\n', self.rest);
            let (line, after) = self.rest.split_at(end.map_or(self.rest.len(), |e| e + 1));
            self.rest = after;
            self.passed += 1;
            let bytes = line.strip_suffix(b"\n").unwrap_or(line);
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            let too_long = (bytes.len() > self.max_line).then_some((bytes.len() as u64, self.max_line));
            if too_long.is_some() || !bytes.trim_ascii().is_empty() {
                return Some(Line { number: self.passed - 1, bytes, has_line_end: end.is_some(), too_long });
            }
        }
        None
    }
}

impl Line<'_> {
    /// [`parse_row`], with [`Line::explain`].
    pub fn parse_row(&self, row: &mut Row, diagnostics: &mut Vec<Diagnostic>) {
        let before = diagnostics.len();
        if let Some(found) = self.refuse() {
            // The row of another line must not stand for this one.
            parse_row(b"{}", row, &mut Vec::new());
            return diagnostics.push(found);
        }
        parse_row(self.bytes, row, diagnostics);
        self.explain(&mut diagnostics[before..]);
    }

    /// The diagnostic of a line that is too long to be parsed.
    #[must_use]
    pub fn refuse(&self) -> Option<Diagnostic> {
        let (bytes, limit) = self.too_long?;
        let found = format!("a line of {bytes} bytes");
        Some(Diagnostic::new("line-length", found, format!("at most {limit}")))
    }

    /// Changes the diagnostics of a last line that is not JSON and lacks a line end: it was probably truncated.
    pub fn explain(&self, diagnostics: &mut [Diagnostic]) {
        if self.has_line_end {
            return;
        }
        for diagnostic in diagnostics.iter_mut().filter(|f| f.rule == "json") {
            diagnostic.rule = "truncated";
            diagnostic.found = format!("a last line without a line end: {}", diagnostic.found);
            diagnostic.expected = "a whole row (the file seems truncated)".into();
        }
    }
}

/// Reads a file block by block. After an error, the iterator ends.
pub struct Blocks {
    path: PathBuf,
    reader: Box<dyn Read + Send>,
    compression: &'static str,
    /// The incomplete line after the last block.
    remainder: Vec<u8>,
    pool: Buffers,
    max_line: usize,
    is_done: bool,
    consumed: Arc<AtomicU64>,
    file_bytes: u64,
    /// What is read at once: a small file, which is one of many, needs no large buffer.
    read_bytes: usize,
}

impl Blocks {
    /// Opens a file. Compression (gzip or zstd) is detected by its first bytes, not by its name. Lines longer than
    /// `max_line` bytes are skipped and reported.
    pub fn open(path: &Path, max_line: usize) -> Result<Self> {
        let fail = |e| TraceError::io(path, e);
        let mut file = File::open(path).map_err(fail)?;
        let file_bytes = file.metadata().map_err(fail)?.len();
        let mut magic = Vec::with_capacity(ZSTD_MAGIC.len());
        (&mut file).take(ZSTD_MAGIC.len() as u64).read_to_end(&mut magic).map_err(fail)?;
        let consumed = Arc::new(AtomicU64::new(0));
        let (is_gzip, is_zstd) = (magic.starts_with(GZIP_MAGIC), magic.starts_with(ZSTD_MAGIC));
        let file = CountingReader { inner: io::Cursor::new(magic).chain(file), bytes: Arc::clone(&consumed) };
        let (reader, compression): (Box<dyn Read + Send>, _) = if is_gzip {
            (Box::new(MultiGzDecoder::new(file)), "gzip")
        } else if is_zstd {
            (Box::new(zstd::Decoder::new(file).map_err(fail)?), "zstd")
        } else {
            (Box::new(file), "")
        };
        let path = path.to_owned();
        let (remainder, pool) = (Vec::new(), Buffers::default());
        let is_small = compression.is_empty() && file_bytes < BLOCK_BYTES as u64;
        // One byte more, so that the first read finds the end of the file.
        let read_bytes = if is_small { file_bytes as usize + 1 } else { BLOCK_BYTES };
        let is_done = false;
        Ok(Self { path, reader, compression, remainder, pool, max_line, is_done, consumed, file_bytes, read_bytes })
    }

    /// Bytes of the file read so far, before decompression: for a progress display together with [`Self::file_bytes`].
    #[must_use]
    pub fn consumed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.consumed)
    }

    /// Size of the file.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Fills a buffer; returns fewer bytes than its length only at the end of the file.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if self.compression.is_empty() => return Err(TraceError::io(&self.path, e)),
                Err(e) => {
                    let text = format!("the {} data is damaged or truncated: {e}", self.compression);
                    return Err(TraceError::io(&self.path, io::Error::new(e.kind(), text)));
                }
            }
        }
        Ok(filled)
    }

    /// The first bytes of a file after decompression; those before the damage if its compressed data is damaged.
    pub fn head(path: &Path, bytes: u64) -> Result<Vec<u8>> {
        let mut reader = Self::open(path, MAX_LINE_BYTES)?;
        let (is_compressed, mut head) = (!reader.compression.is_empty(), Vec::new());
        match (&mut reader.reader).take(bytes).read_to_end(&mut head) {
            Err(e) if !is_compressed => Err(TraceError::io(path, e)),
            _ => Ok(head),
        }
    }

    /// The bytes of a file after decompression, for documents that are no lines.
    pub fn reader(path: &Path) -> Result<Box<dyn Read + Send>> {
        Ok(Self::open(path, MAX_LINE_BYTES)?.reader)
    }

    fn read_block(&mut self) -> Result<Option<Block>> {
        let mut len = self.remainder.len();
        let mut buffer = self.pool.take().unwrap_or_default();
        buffer.resize(buffer.len().max(len + self.read_bytes), 0);
        buffer[..len].copy_from_slice(&self.remainder);
        self.remainder.clear();
        // After a line that was skipped, the remainder may hold line ends.
        let mut searched = 0;
        loop {
            // A line longer than a block doubles the buffer until it fits, or is too long.
            let limit = self.max_line.saturating_add(1).max(BLOCK_BYTES);
            if len >= limit {
                return self.skip_line(buffer, len as u64).map(Some);
            }
            let end = limit.min(len + self.read_bytes.max(len));
            buffer.resize(end.max(buffer.len()), 0);
            len += self.fill(&mut buffer[len..end])?;
            self.is_done = len < end;
            if self.is_done {
                break;
            }
            if let Some(last) = memrchr(b'\n', &buffer[searched..len]) {
                let block_end = searched + last + 1;
                self.remainder.extend_from_slice(&buffer[block_end..len]);
                len = block_end;
                break;
            }
            searched = len;
        }
        Ok((len > 0).then(|| self.block(buffer, len, None)))
    }

    fn block(&self, buffer: Vec<u8>, len: usize, too_long: Option<u64>) -> Block {
        Block { buffer, len, too_long, max_line: self.max_line, pool: self.pool.clone() }
    }

    /// Reads to the end of a line of which `bytes` were read, and keeps nothing of it.
    fn skip_line(&mut self, mut buffer: Vec<u8>, mut bytes: u64) -> Result<Block> {
        buffer.truncate(BLOCK_BYTES);
        buffer.shrink_to_fit();
        loop {
            let filled = self.fill(&mut buffer)?;
            self.is_done = filled < buffer.len();
            let end = memchr(b'\n', &buffer[..filled]);
            bytes += end.unwrap_or(filled) as u64;
            if let Some(end) = end {
                self.remainder.extend_from_slice(&buffer[end + 1..filled]);
            }
            if self.is_done && !self.remainder.is_empty() {
                // The rest is in `remainder`, for one more block.
                self.is_done = false;
            }
            if end.is_some() || self.is_done {
                return Ok(self.block(buffer, 0, Some(bytes)));
            }
        }
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

/// Counts the bytes read through it.
struct CountingReader<R> {
    inner: R,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
