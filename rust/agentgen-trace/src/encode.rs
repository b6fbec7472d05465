//! Generates and encodes a chunk of sessions on one thread.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::BatchBuilder;
use crate::buffers::Buffers;
use crate::error::{Result, TraceError};
use crate::generate::{Chunk, Shard};
use crate::observer::Observer;
use crate::ordered::Cancel;
use crate::sink::file::PartialFile;
use crate::sink::{ZSTD_LEVEL, jsonl, parquet};
use crate::written::Written;

/// An encoded chunk.
pub(crate) struct Encoded<N> {
    pub jsonl: SpillBuffer,
    pub parquet: Option<parquet::RowGroup>,
    pub notes: N,
    pub roots: u64,
    pub written: Written,
}

/// JSONL of a chunk that may stay in memory. With blocks of one token, a single session can have gigabytes.
const IN_MEMORY_BYTES: usize = 256 << 20;

/// Bytes of a spill file that are copied at a time.
const COPY_BYTES: u64 = 4 << 20;

/// A chunk's JSONL. Bytes beyond [`IN_MEMORY_BYTES`] are moved to an unnamed temporary file.
#[derive(Debug, Default)]
pub(crate) struct SpillBuffer {
    /// The bytes before those in memory.
    spilled: Option<File>,
    in_memory: Vec<u8>,
}

impl SpillBuffer {
    /// Appends all bytes to a file, [`COPY_BYTES`] at a time.
    pub(crate) fn append_to(self, target: &mut PartialFile, buffers: &Buffers) -> io::Result<()> {
        if let Some(mut spilled) = self.spilled {
            spilled.rewind()?;
            loop {
                let mut buffer = buffers.take_empty();
                if (&mut spilled).take(COPY_BYTES).read_to_end(&mut buffer)? == 0 {
                    break;
                }
                target.append(buffer)?;
            }
        }
        target.append(self.in_memory)
    }

    fn spill(&mut self, directory: &PathBuf) -> io::Result<()> {
        let file = match &mut self.spilled {
            Some(file) => file,
            None => self.spilled.insert(tempfile::tempfile_in(directory)?),
        };
        file.write_all(&self.in_memory)?;
        self.in_memory.clear();
        Ok(())
    }
}

/// Generates and encodes chunks on one thread.
pub(crate) struct Worker<O> {
    pub shard: Arc<Shard>,
    pub observer: Arc<Mutex<O>>,
    /// Whether to compress the JSONL; `None` to write none.
    pub jsonl: Option<bool>,
    pub buffers: Buffers,
    pub parquet: Option<parquet::Encoder>,
    /// The run directory.
    pub directory: PathBuf,
    pub cancel: Cancel,
}

impl<O: Observer> Worker<O> {
    pub(crate) fn encode(&self, chunk: &Chunk, builder: &mut BatchBuilder) -> Result<Encoded<O::Notes>> {
        let layout = self.shard.spec().layout();
        let mut text = SpillBuffer { spilled: None, in_memory: self.buffers.take_empty() };
        let mut row_group = self.parquet.as_ref().map(parquet::Encoder::begin).transpose()?;
        let mut notes = O::notes(self.shard.spec(), chunk.roots.start);
        let mut written = Written::default();
        self.shard.make(chunk, builder, &mut |batch| {
            self.cancel.check()?;
            self.observer.lock().unwrap_or_else(PoisonError::into_inner).batch(&batch, &mut notes)?;
            written.add(Written::of(&batch)?);
            if self.jsonl.is_some() {
                jsonl::write(&batch, layout, &mut text.in_memory)?;
                if text.in_memory.len() >= IN_MEMORY_BYTES {
                    self.compress(&mut text)?;
                    text.spill(&self.directory).map_err(|e| TraceError::io(&self.directory, e))?;
                }
            }
            row_group.as_mut().map_or(Ok(()), |row_group| row_group.add(&batch))
        })?;
        self.compress(&mut text)?;
        let parquet = row_group.map(parquet::RowGroupBuilder::finish).transpose()?;
        let roots = chunk.roots.end - chunk.roots.start;
        Ok(Encoded { jsonl: text, parquet, notes, roots, written })
    }

    /// Compresses the bytes in memory as one zstd frame. Concatenated frames are a valid file.
    fn compress(&self, text: &mut SpillBuffer) -> Result<()> {
        if self.jsonl == Some(true) && !text.in_memory.is_empty() {
            text.in_memory = zstd::bulk::compress(&text.in_memory, ZSTD_LEVEL).map_err(TraceError::internal)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spilled_bytes_come_first() {
        let directory = tempfile::tempdir().expect("a directory").keep();
        let mut text = SpillBuffer::default();
        let mut expected: Vec<u8> = Vec::new();
        for part in 0..3_u8 {
            let bytes = vec![b'a' + part; COPY_BYTES as usize - 7];
            expected.extend(&bytes);
            text.in_memory.extend(bytes);
            text.spill(&directory).expect("writable");
            assert!(text.in_memory.is_empty());
        }
        text.in_memory.extend(b"rest");
        expected.extend(b"rest");
        let buffers = Buffers::default();
        let mut file = PartialFile::recycling(&directory.join("whole"), &buffers).expect("writable");
        text.append_to(&mut file, &buffers).expect("writable");
        file.seal().and_then(crate::sink::file::SealedFile::publish).expect("writable");
        assert_eq!(std::fs::read(directory.join("whole")).expect("readable"), expected);
        std::fs::remove_dir_all(directory).expect("removable");
    }
}
