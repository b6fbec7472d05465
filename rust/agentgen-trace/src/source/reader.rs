//! Reads a trace as canonical batches, in the order of its rows.

use std::collections::VecDeque;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::blocks::Blocks;
use super::columns::{batch, split};
use super::model::{DataFile, Format, Source};
use super::parquet_file;
use super::parsed::ParsedBlock;
use super::sessions::Sessions;
use crate::error::Result;
use crate::ordered::{Cancel, Ordered};
use crate::schema::{Column, schema};

/// Parsed blocks that may wait, per thread.
const BLOCKS_PER_THREAD: usize = 2;

/// Reads the given columns of a trace. `threads` threads parse JSONL; columns that depend on earlier rows are derived in
/// order. The first invalid row or other failure is the last item.
pub fn open(
    source: &Source,
    columns: &[Column],
    threads: usize,
    cancel: &Cancel,
) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + Send>> {
    Ok(Box::new(Batches {
        files: source.files.clone().into(),
        current: None,
        ready: VecDeque::new(),
        sessions: Sessions::new(source.meta.layout),
        schema: schema(columns, &source.meta),
        wants_ids: columns.contains(&Column::HashIds),
        threads,
        cancel: cancel.clone(),
    }))
}

struct Batches {
    files: VecDeque<DataFile>,
    current: Option<(PathBuf, Rows)>,
    ready: VecDeque<RecordBatch>,
    sessions: Sessions,
    schema: SchemaRef,
    wants_ids: bool,
    threads: usize,
    cancel: Cancel,
}

/// The unread rest of a file.
enum Rows {
    Jsonl {
        blocks: Ordered<ParsedBlock>,
        /// 1-based number of the next block's first line.
        line: u64,
    },
    Parquet(parquet_file::Batches),
}

impl Batches {
    fn open(&self, file: &DataFile) -> Result<Rows> {
        Ok(match file.format {
            Format::Parquet => Rows::Parquet(parquet_file::open(&file.path, &self.schema)?),
            Format::Jsonl => {
                let blocks = Blocks::open(&file.path, file.max_line)?;
                let wants_ids = self.wants_ids;
                let work = move || move |block: Result<_>| Ok(ParsedBlock::read(&block?, wants_ids));
                let window = self.threads * BLOCKS_PER_THREAD;
                Rows::Jsonl { blocks: Ordered::start(self.threads, window, &self.cancel, blocks, work), line: 1 }
            }
        })
    }

    /// The next batch, before it is split; `None` after the last file.
    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.cancel.check()?;
            let Some((path, rows)) = &mut self.current else {
                let Some(file) = self.files.pop_front() else { return Ok(None) };
                let rows = self.open(&file)?;
                self.current = Some((file.path, rows));
                continue;
            };
            let read = match rows {
                Rows::Parquet(batches) => batches.next(),
                Rows::Jsonl { blocks, line } => blocks.next().map(|parsed| {
                    let (parsed, first) = (parsed?, *line);
                    *line += parsed.lines;
                    batch(parsed, &mut self.sessions, &self.schema, first)
                }),
            };
            match read {
                Some(batch) => return batch.map(Some).map_err(|e| e.in_file(path)),
                None => self.current = None,
            }
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            match self.read() {
                Ok(batch) => self.ready.extend(split(&batch?)),
                Err(e) => {
                    self.files.clear();
                    self.current = None;
                    return Some(Err(e));
                }
            }
        }
    }
}
