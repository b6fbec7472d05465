//! One layout into another, and rows in the order of their times.
//!
//! Incremental rows become cumulative ones as a stream. Times and ids change; all other columns stay as they are.

mod file;
mod numbering;
mod sort;

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch};
use arrow_schema::SchemaRef;

use self::numbering::{FirstSeenIds, Generated, Numbering, Row};
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::Result;
use agentgen_trace::meta::{Layout, TraceMeta};
use agentgen_trace::schema::{Column, schema};
use agentgen_trace::source::columns::{BATCH_IDS, id_lists, record_batch};

pub use file::{Converted, convert};
pub use sort::sort;

/// A stream of batches with all columns.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// The same trace in `layout`. A generated trace gets the ids that `generate` gives it in that layout; others are
/// numbered in the order in which their blocks appear, for which every first prompt's blocks are kept in memory.
pub fn to_layout(meta: &TraceMeta, layout: Layout, batches: Batches) -> Result<(TraceMeta, Batches)> {
    if meta.layout == layout {
        return Ok((meta.clone(), batches));
    }
    if layout == Layout::Incremental {
        let expected = "an incremental one: the ids of whole prompts do not say which text is the user's and which the \
                        model's, so they cannot be taken apart";
        let diagnostic = Diagnostic::unnamed("a cumulative trace", expected);
        return Err(diagnostic.with_help("generate or keep the incremental form").into());
    }
    let numbering: Box<dyn Numbering> = match &meta.origin {
        Some(origin) => Box::new(Generated::new(origin)?),
        None => Box::new(FirstSeenIds::new(meta.block_size)),
    };
    let meta = TraceMeta { layout, ..meta.clone() };
    let schema = schema(&Column::ALL, &meta);
    Ok((meta, Box::new(Cumulative { batches, schema, numbering, now: 0.0, ready: VecDeque::new() })))
}

/// Incremental batches as cumulative ones.
struct Cumulative {
    batches: Batches,
    schema: SchemaRef,
    numbering: Box<dyn Numbering>,
    /// Time of the last row, in tenths of a millisecond: exact where the trace's times are.
    now: f64,
    ready: VecDeque<RecordBatch>,
}

/// Columns that are made anew, for the rows of `batch` from `start`.
struct Made {
    start: usize,
    ids: Vec<i64>,
    offsets: Vec<i64>,
    timestamps: Vec<f64>,
    delays: Vec<Option<f64>>,
}

impl Made {
    fn from(start: usize) -> Self {
        Self { start, ids: Vec::new(), offsets: vec![0], timestamps: Vec::new(), delays: Vec::new() }
    }
}

impl Cumulative {
    fn convert(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |column: Column| column.required(batch);
        let sessions = column(Column::SessionId)?.as_string_view();
        let parents = column(Column::ParentSessionId)?.as_string_view();
        let groups = column(Column::GroupId)?.as_primitive::<UInt32Type>();
        let turns = column(Column::TurnIndex)?.as_primitive::<UInt32Type>();
        let contexts = column(Column::ContextLength)?.as_primitive::<UInt32Type>();
        let delays = column(Column::DelayMs)?.as_primitive::<Float64Type>();
        let timestamps = column(Column::TimestampMs)?.as_primitive::<Float64Type>();
        let lists = column(Column::HashIds)?.as_list::<i64>();
        let chunks = lists.values().as_primitive::<Int64Type>().values();
        let ends = column(Column::EndReason)?.as_dictionary::<Int8Type>();
        let reasons = ends.values().as_string::<i32>();
        let mut made = Made::from(0);
        for i in 0..batch.num_rows() {
            let bounds = lists.value_offsets()[i] as usize..lists.value_offsets()[i + 1] as usize;
            let row = Row {
                session: sessions.is_valid(i).then(|| sessions.value(i)),
                parent: parents.is_valid(i).then(|| parents.value(i)),
                group: groups.is_valid(i).then(|| groups.value(i)),
                turn: turns.value(i),
                context: contexts.value(i),
                chunks: &chunks[bounds],
                end_reason: ends.key(i).map(|key| reasons.value(key)),
            };
            self.numbering.append(&row, &mut made.ids).map_err(|diagnostic| {
                let session = row.session.unwrap_or("(none)");
                let found = format!("session {session}, turn {}: {}", row.turn, diagnostic.found);
                Diagnostic { found, ..diagnostic }
            })?;
            made.offsets.push(made.ids.len() as i64);
            let delay = delays.is_valid(i).then(|| delays.value(i));
            let timestamp = timestamps.is_valid(i).then(|| timestamps.value(i));
            made.delays.push(self.tick(row.turn, timestamp, delay));
            made.timestamps.push(self.now / 10.0);
            if made.ids.len() >= BATCH_IDS {
                self.emit(batch, std::mem::replace(&mut made, Made::from(i + 1)))?;
            }
        }
        self.emit(batch, made)
    }

    /// Moves the clock to a row; returns the row's delay.
    fn tick(&mut self, turn: u32, timestamp: Option<f64>, delay: Option<f64>) -> Option<f64> {
        if turn == 0 {
            self.now = tenths(timestamp.unwrap_or(0.0));
            return None;
        }
        let before = self.now;
        self.now = timestamp.map_or_else(|| before + tenths(delay.unwrap_or(0.0)), tenths);
        delay.or(Some((self.now - before).max(0.0) / 10.0))
    }

    fn emit(&mut self, batch: &RecordBatch, made: Made) -> Result<()> {
        let rows = made.timestamps.len();
        if rows == 0 {
            return Ok(());
        }
        let old = batch.slice(made.start, rows);
        let (ids, offsets) = (Arc::new(Int64Array::from(made.ids)), made.offsets.into());
        let lists: ArrayRef = Arc::new(id_lists(&self.schema, ids, offsets)?);
        let timestamps: ArrayRef = Arc::new(Float64Array::from(made.timestamps));
        let delays: ArrayRef = Arc::new(Float64Array::from(made.delays));
        let new = record_batch(&self.schema, rows, |column| {
            Ok(Arc::clone(match column {
                Column::HashIds => &lists,
                Column::TimestampMs => &timestamps,
                Column::DelayMs => &delays,
                other => other.required(&old)?,
            }))
        });
        self.ready.push_back(new?);
        Ok(())
    }
}

/// Milliseconds in tenths: whole where the value has one decimal.
fn tenths(ms: f64) -> f64 {
    let tenths = ms * 10.0;
    #[expect(clippy::float_cmp, reason = "whether a time is exactly a tenth is the question")]
    if tenths.round() / 10.0 == ms { tenths.round() } else { tenths }
}

impl Iterator for Cumulative {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            match self.batches.next()?.and_then(|batch| self.convert(&batch)) {
                Ok(()) => {}
                Err(e) => {
                    self.batches = Box::new(std::iter::empty());
                    self.ready.clear();
                    return Some(Err(e));
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}
