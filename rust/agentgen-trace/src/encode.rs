//! A chunk of sessions, made and encoded on one thread.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::batch::BatchBuilder;
use crate::error::{Result, TraceError};
use crate::generate::{Chunk, Shard};
use crate::observer::Observer;
use crate::ordered::Cancel;
use crate::sink::file::{Buffers, PartialFile};
use crate::sink::{ZSTD_LEVEL, jsonl, parquet};
use crate::written::Written;

/// A chunk, encoded.
pub(crate) struct Encoded<N> {
    pub jsonl: SpillBuffer,
    pub parquet: Option<parquet::RowGroup>,
    pub notes: N,
    pub primaries: u64,
    pub written: Written,
}

/// What one chunk may hold in memory as JSONL: a single session of blocks of one token can have gigabytes.
const IN_MEMORY_BYTES: usize = 256 << 20;

/// The bytes that are read back at a time.
const COPY_BYTES: u64 = 4 << 20;

/// A chunk's JSONL: what is too much for memory lies in a file without a name.
#[derive(Debug, Default)]
pub(crate) struct SpillBuffer {
    first: Option<File>,
    rest: Vec<u8>,
}

impl SpillBuffer {
    /// Appends all of it to a file, in memory's portions.
    pub(crate) fn append_to(self, target: &mut PartialFile, buffers: &Buffers) -> io::Result<()> {
        if let Some(mut first) = self.first {
            first.rewind()?;
            loop {
                let mut portion = buffers.take();
                if (&mut first).take(COPY_BYTES).read_to_end(&mut portion)? == 0 {
                    break;
                }
                target.append(portion)?;
            }
        }
        target.append(self.rest)
    }

    fn spill(&mut self, directory: &PathBuf) -> io::Result<()> {
        let file = match &mut self.first {
            Some(file) => file,
            None => self.first.insert(tempfile::tempfile_in(directory)?),
        };
        file.write_all(&self.rest)?;
        self.rest.clear();
        Ok(())
    }
}

/// Makes and encodes chunks on one thread.
pub(crate) struct Worker<O> {
    pub shard: Arc<Shard>,
    pub observer: Arc<Mutex<O>>,
    /// Write JSONL, and compress it.
    pub jsonl: Option<bool>,
    pub buffers: Buffers,
    pub parquet: Option<parquet::Encoder>,
    /// Where the data set is written.
    pub directory: PathBuf,
    pub cancel: Cancel,
}

impl<O: Observer> Worker<O> {
    pub(crate) fn encode(&self, chunk: &Chunk, builder: &mut BatchBuilder) -> Result<Encoded<O::Notes>> {
        let layout = self.shard.spec().layout();
        let mut text = SpillBuffer { first: None, rest: self.buffers.take() };
        let mut row_group = self.parquet.as_ref().map(parquet::Encoder::begin).transpose()?;
        let mut notes = O::notes(self.shard.spec(), chunk.primaries.start);
        let mut written = Written::default();
        self.shard.make(chunk, builder, &mut |batch| {
            self.cancel.check()?;
            self.observer.lock().unwrap_or_else(PoisonError::into_inner).batch(&batch, &mut notes)?;
            written.add(Written::of(&batch)?);
            if self.jsonl.is_some() {
                jsonl::write(&batch, layout, &mut text.rest)?;
                if text.rest.len() >= IN_MEMORY_BYTES {
                    self.compress(&mut text)?;
                    text.spill(&self.directory).map_err(|e| TraceError::io(&self.directory, e))?;
                }
            }
            row_group.as_mut().map_or(Ok(()), |row_group| row_group.add(&batch))
        })?;
        self.compress(&mut text)?;
        let parquet = row_group.map(parquet::RowGroupBuilder::finish).transpose()?;
        let primaries = chunk.primaries.end - chunk.primaries.start;
        Ok(Encoded { jsonl: text, parquet, notes, primaries, written })
    }

    /// What is in memory as a frame of its own: frames one after the other are a valid file.
    fn compress(&self, text: &mut SpillBuffer) -> Result<()> {
        if self.jsonl == Some(true) && !text.rest.is_empty() {
            text.rest = zstd::bulk::compress(&text.rest, ZSTD_LEVEL).map_err(TraceError::internal)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lay_in_a_file_comes_first() {
        let directory = tempfile::tempdir().expect("a directory").keep();
        let mut text = SpillBuffer::default();
        let mut expected: Vec<u8> = Vec::new();
        for part in 0..3_u8 {
            let bytes = vec![b'a' + part; COPY_BYTES as usize - 7];
            expected.extend(&bytes);
            text.rest.extend(bytes);
            text.spill(&directory).expect("writable");
            assert!(text.rest.is_empty());
        }
        text.rest.extend(b"rest");
        expected.extend(b"rest");
        let buffers = Buffers::default();
        let mut file = PartialFile::recycling(&directory.join("whole"), &buffers).expect("writable");
        text.append_to(&mut file, &buffers).expect("writable");
        file.seal().and_then(crate::sink::file::SealedFile::publish).expect("writable");
        assert_eq!(std::fs::read(directory.join("whole")).expect("readable"), expected);
        std::fs::remove_dir_all(directory).expect("removable");
    }
}
