//! The tokens of each row's prompt that an infinite cache holds, as a column.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use agentgen_core::Layout;
use agentgen_engine::kv::RadixTree;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::schema::Column;
use agentgen_trace::session::{Assembler, Linker, Reading};
use agentgen_trace::{Result, TraceError};
use arrow_array::cast::AsArray as _;
use arrow_array::types::UInt32Type;
use arrow_array::{Array as _, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::file_order::session;

/// Name of the column.
pub const CACHED_TOKENS: &str = "cached_tokens";

/// The schema with the column.
#[must_use]
pub fn with_cached_tokens(schema: &Schema) -> SchemaRef {
    let column = Arc::new(Field::new(CACHED_TOKENS, DataType::Int64, false));
    let fields: Vec<_> = schema.fields().iter().cloned().chain([column]).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// Adds the column to batches that have all columns: as `quality.json` counts the linked reading, requests in file order.
/// Holds every distinct block, and the rows of sessions whose last row has not come.
#[derive(Debug)]
pub struct CachedTokens<I> {
    batches: I,
    is_over: bool,
    rows: Rows,
    assembler: Assembler,
    linker: Linker,
    tree: RadixTree<()>,
    /// Number of the sessions that are complete: those with smaller numbers.
    complete: u64,
    /// The cached tokens of each turn, and of how many turns the rows are to come.
    found: HashMap<u64, (Vec<i64>, usize)>,
    waiting: VecDeque<Waiting>,
}

/// A batch, with the session and turn of each row.
#[derive(Debug)]
struct Waiting {
    batch: RecordBatch,
    rows: Vec<(u64, usize)>,
    /// Largest number of their sessions.
    last: u64,
}

impl<I: Iterator<Item = Result<RecordBatch>>> CachedTokens<I> {
    /// The batches of a trace.
    pub fn new(meta: &TraceMeta, batches: I) -> Self {
        Self {
            batches,
            is_over: false,
            rows: Rows { layout: meta.layout, begun: 0, by_name: HashMap::new() },
            assembler: Assembler::new(meta.layout, meta.block_size, 0),
            linker: Linker::new(meta),
            tree: RadixTree::new(meta.block_size, meta.block_size),
            complete: 0,
            found: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    fn take(&mut self, batch: RecordBatch) -> Result<()> {
        self.assembler.take(&batch)?;
        let rows = self.rows.of(&batch)?;
        let last = rows.iter().map(|(session, _)| *session).max().unwrap_or(0);
        self.waiting.push_back(Waiting { batch, rows, last });
        Ok(())
    }

    /// Looks up the prompts of the sessions that are complete.
    fn follow(&mut self) {
        while let Some(unlinked) = self.assembler.complete() {
            let conversation = self.linker.link(unlinked);
            let mut tokens = Vec::with_capacity(conversation.turns.len());
            session(&mut self.tree, &conversation, Reading::Linked, |_, hit| tokens.push(i64::from(hit.tokens)));
            let turns = tokens.len();
            self.found.insert(conversation.number, (tokens, turns));
            self.complete = conversation.number + 1;
        }
    }

    /// The first batch with the column, if its sessions are complete.
    fn ready(&mut self) -> Option<Result<RecordBatch>> {
        if self.waiting.front()?.last >= self.complete {
            return None;
        }
        let Waiting { batch, rows, .. } = self.waiting.pop_front()?;
        let mut values: Vec<i64> = Vec::with_capacity(rows.len());
        for (session, turn) in rows {
            let Some((tokens, left)) = self.found.get_mut(&session) else { continue };
            values.extend(tokens.get(turn));
            *left -= 1;
            if *left == 0 {
                self.found.remove(&session);
            }
        }
        let schema = with_cached_tokens(batch.schema_ref());
        let column: ArrayRef = Arc::new(Int64Array::from(values));
        let columns = batch.columns().iter().cloned().chain([column]).collect();
        Some(RecordBatch::try_new(schema, columns).map_err(TraceError::internal))
    }
}

impl<I: Iterator<Item = Result<RecordBatch>>> Iterator for CachedTokens<I> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(ready) = self.ready() {
                return Some(ready);
            }
            if self.is_over {
                return None;
            }
            if let Some(batch) = self.batches.next() {
                if let Err(error) = batch.and_then(|batch| self.take(batch)) {
                    self.is_over = true;
                    return Some(Err(error));
                }
            } else {
                self.is_over = true;
                self.assembler.end();
            }
            self.follow();
        }
    }
}

/// Numbers the sessions of rows in the order of their first rows, as [`Assembler`] does.
#[derive(Debug)]
struct Rows {
    layout: Layout,
    begun: u64,
    /// Cumulative: the rows of a session may be anywhere.
    by_name: HashMap<String, u64>,
}

impl Rows {
    fn of(&mut self, batch: &RecordBatch) -> Result<Vec<(u64, usize)>> {
        let sessions = Column::SessionId.required(batch)?.as_string_view();
        let turns = Column::TurnIndex.required(batch)?.as_primitive::<UInt32Type>();
        let mut rows = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let name = sessions.is_valid(row).then(|| sessions.value(row));
            let turn = turns.value(row);
            let Some(name) = name else {
                self.begun += 1;
                rows.push((self.begun - 1, 0));
                continue;
            };
            if turn == 0 {
                self.begun += 1;
                if self.layout == Layout::Cumulative {
                    self.by_name.insert(name.to_owned(), self.begun - 1);
                }
            }
            let number = match self.layout {
                Layout::Incremental => self.begun - 1,
                Layout::Cumulative => self.by_name.get(name).copied().unwrap_or(self.begun - 1),
            };
            rows.push((number, turn as usize));
        }
        Ok(rows)
    }
}
