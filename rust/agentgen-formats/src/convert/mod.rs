//! Converts rows to another layout, sorts rows by time, groups the rows of sessions, and renumbers hash ids.
//!
//! Incremental rows are converted to cumulative rows as a stream. Times and hash ids change; other columns do not.

mod file;
mod numbering;
mod sort;
mod tidy;

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
pub use tidy::{Tidied, Tidy, tidy};

/// A stream of batches with all columns.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Converts a trace to `layout`. Blocks of a generated trace get the ids that `generate` assigns in that layout. Blocks of
/// other traces are numbered in order of appearance; memory holds the blocks of every first prompt.
pub fn to_layout(meta: &TraceMeta, layout: Layout, batches: Batches) -> Result<(TraceMeta, Batches)> {
    if meta.layout == layout {
        return Ok((meta.clone(), batches));
    }
    if layout == Layout::Incremental {
        let expected = "an incremental one: the ids of whole prompts do not tell text of the user from text of the \
                        model's, so they cannot be taken apart";
        let diagnostic = Diagnostic::unnamed("a cumulative trace", expected);
        return Err(diagnostic.with_help("generate or keep the incremental form").into());
    }
    if meta.linked {
        let diagnostic = Diagnostic::unnamed("a trace with links", "one without: breaks keep parts of other sessions");
        return Err(diagnostic.with_help("keep its layout").into());
    }
    let numbering: Box<dyn Numbering> = match &meta.origin {
        Some(origin) => Box::new(Generated::new(origin)?),
        None => Box::new(FirstSeenIds::new(meta.block_size)),
    };
    let meta = TraceMeta { layout, ..meta.clone() };
    let schema = schema(&Column::ALL, &meta);
    Ok((meta, Box::new(Cumulative { batches, schema, numbering, now: 0.0, ready: VecDeque::new() })))
}

/// Converts incremental batches to cumulative ones.
struct Cumulative {
    batches: Batches,
    schema: SchemaRef,
    numbering: Box<dyn Numbering>,
    /// Time of the last row, in tenths of a millisecond: exact if the trace's times are.
    now: f64,
    ready: VecDeque<RecordBatch>,
}

/// The converted columns of the rows of a batch from `start` on.
struct ConvertedColumns {
    start: usize,
    ids: Vec<i64>,
    offsets: Vec<i64>,
    timestamps: Vec<f64>,
    delays: Vec<Option<f64>>,
}

impl ConvertedColumns {
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
        let mut converted = ConvertedColumns::from(0);
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
            self.numbering.append(&row, &mut converted.ids).map_err(|diagnostic| {
                let session = row.session.unwrap_or("(none)");
                let found = format!("session {session}, turn {}: {}", row.turn, diagnostic.found);
                Diagnostic { found, ..diagnostic }
            })?;
            converted.offsets.push(converted.ids.len() as i64);
            let delay = delays.is_valid(i).then(|| delays.value(i));
            let timestamp = timestamps.is_valid(i).then(|| timestamps.value(i));
            converted.delays.push(self.tick(row.turn, timestamp, delay));
            converted.timestamps.push(self.now / 10.0);
            if converted.ids.len() >= BATCH_IDS {
                self.emit(batch, std::mem::replace(&mut converted, ConvertedColumns::from(i + 1)))?;
            }
        }
        self.emit(batch, converted)
    }

    /// Advances the clock to a row; returns the row's delay.
    fn tick(&mut self, turn: u32, timestamp: Option<f64>, delay: Option<f64>) -> Option<f64> {
        if turn == 0 {
            self.now = tenths(timestamp.unwrap_or(0.0));
            return None;
        }
        let before = self.now;
        self.now = timestamp.map_or_else(|| before + tenths(delay.unwrap_or(0.0)), tenths);
        delay.or(Some((self.now - before).max(0.0) / 10.0))
    }

    fn emit(&mut self, batch: &RecordBatch, converted: ConvertedColumns) -> Result<()> {
        let rows = converted.timestamps.len();
        if rows == 0 {
            return Ok(());
        }
        let old = batch.slice(converted.start, rows);
        let (ids, offsets) = (Arc::new(Int64Array::from(converted.ids)), converted.offsets.into());
        let lists: ArrayRef = Arc::new(id_lists(&self.schema, ids, offsets)?);
        let timestamps: ArrayRef = Arc::new(Float64Array::from(converted.timestamps));
        let delays: ArrayRef = Arc::new(Float64Array::from(converted.delays));
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

/// Tenths of a millisecond: whole if the value in ms has one decimal.
pub(crate) fn tenths(ms: f64) -> f64 {
    let tenths = ms * 10.0;
    #[expect(clippy::float_cmp, reason = "tests whether a time is a whole number of tenths")]
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
