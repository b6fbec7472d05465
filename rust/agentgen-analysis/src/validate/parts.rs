//! Reads the rows of data files of any format, part by part.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::row::Row;
use agentgen_trace::schema::Column;
use agentgen_trace::source::{self, Block, Blocks, DataFile, Format, Source};
use agentgen_trace::{Cancel, Layout, Ordered, Result, TraceError};
use arrow_array::RecordBatch;

use super::digest::Derived;
use super::table;

/// A part of the rows of a file.
#[derive(Debug)]
pub(crate) enum Content {
    Lines(Block),
    Table(RecordBatch),
}

/// A part of the data set.
#[derive(Debug)]
pub(crate) struct Part {
    /// Index of the file.
    pub file: u32,
    pub content: Content,
}

impl Content {
    /// Calls `each` with the line, row, derived columns and diagnostics of every row; returns the number of lines.
    pub fn rows(
        &self,
        layout: Layout,
        mut each: impl FnMut(u32, &Row, Option<Derived>, &mut Vec<Diagnostic>),
    ) -> Result<u64> {
        let (mut row, mut diagnostics) = (Row::default(), Vec::new());
        match self {
            Self::Lines(block) => {
                let mut lines = block.lines();
                for line in lines.by_ref() {
                    diagnostics.clear();
                    line.parse_row(&mut row, &mut diagnostics);
                    each(line.number as u32, &row, None, &mut diagnostics);
                }
                Ok(lines.lines_read())
            }
            Self::Table(batch) => table::rows(batch, layout, &mut row, &mut diagnostics, each),
        }
    }
}

/// Bytes of the data set read so far.
pub(crate) type Consumed = Arc<AtomicU64>;

/// All parts of the files, in order; each file is opened when it is reached.
pub(crate) fn parts(
    source: &Source,
    cancel: &Cancel,
    consumed: &Consumed,
) -> impl Iterator<Item = Result<Part>> + Send + use<> {
    let (cancel, consumed, meta) = (cancel.clone(), Arc::clone(consumed), source.without_files());
    consumed.store(0, Ordering::Relaxed);
    source.files.clone().into_iter().enumerate().flat_map(move |(index, file)| {
        let contents = contents(file, &meta, &cancel, &consumed).unwrap_or_else(|e| Box::new(std::iter::once(Err(e))));
        contents.map(move |content| content.map(|content| Part { file: index as u32, content }))
    })
}

type Contents = Box<dyn Iterator<Item = Result<Content>> + Send>;

fn contents(file: DataFile, meta: &Source, cancel: &Cancel, consumed: &Consumed) -> Result<Contents> {
    let before = consumed.load(Ordering::Relaxed);
    let consumed = Arc::clone(consumed);
    Ok(match file.format {
        Format::Jsonl => {
            let blocks = Blocks::open(&file.path, file.max_line)?;
            let own = blocks.consumed();
            Box::new(blocks.map(move |block| {
                consumed.store(before + own.load(Ordering::Relaxed), Ordering::Relaxed);
                block.map(Content::Lines)
            }))
        }
        Format::Parquet => {
            let size = std::fs::metadata(&file.path).map_err(|e| TraceError::io(&file.path, e))?.len();
            let own = Source { files: vec![file], ..meta.clone() };
            let batches = source::open(&own, &Column::ALL, 1, cancel)?;
            // The size of a batch in the file is unknown, so the file counts once it has been read.
            let end = std::iter::from_fn(move || {
                consumed.store(before + size, Ordering::Relaxed);
                None
            });
            Box::new(batches.map(|batch| batch.map(Content::Table)).chain(end))
        }
    })
}

/// Blocks that may wait, per thread: enough to keep every thread busy, few enough to need little memory.
const WINDOW_PER_THREAD: usize = 2;

/// Runs `work` on every part in parallel and calls `take` with the results in order.
pub(crate) fn for_each_part<T, W>(
    parts: impl Iterator<Item = Result<Part>> + Send + 'static,
    threads: usize,
    cancel: &Cancel,
    work: W,
    mut take: impl FnMut(u32, T) -> Result<()>,
) -> Result<()>
where
    T: Send + 'static,
    W: Fn(&Content) -> Result<T> + Clone + Send + 'static,
{
    let results = Ordered::start(threads, WINDOW_PER_THREAD * threads, cancel, parts, || {
        let work = work.clone();
        move |part: Result<Part>| {
            let part = part?;
            Ok((part.file, work(&part.content)?))
        }
    });
    for result in results {
        let (file, result) = result?;
        take(file, result)?;
    }
    cancel.check()
}
