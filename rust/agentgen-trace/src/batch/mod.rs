//! Builds Arrow batches from sessions; only the requested columns are built.

mod columns;
mod links;
pub mod wide;

use std::sync::Arc;

use agentgen_core::agents::Link;
use agentgen_core::ids::{IdRange, Name};
use agentgen_core::{DatasetSpec, EndReason, Layout, RowIds, Session};
use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Int8Array, Int64Array, LargeListArray, RecordBatch, StringArray,
    UInt32Array,
};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, SchemaRef};

use self::columns::{Groups, Names, Times};
use self::links::LinkBuilders;
use crate::error::{Result, TraceError};
use crate::schema::Column;

/// A batch is complete when it holds this many rows or hash ids.
const FULL_ROWS: usize = 32_768;
const FULL_IDS: usize = 4_194_304;

/// Builds batches from the sessions of one spec.
#[derive(Debug)]
pub struct BatchBuilder {
    schema: SchemaRef,
    wanted: [bool; Column::ALL.len()],
    rows: usize,
    id_ranges: Vec<IdRange>,
    session_ids: Names,
    turn_index: Vec<u32>,
    group_id: Groups,
    input_length: Vec<u32>,
    context_length: Vec<u32>,
    output_length: Vec<u32>,
    delay: Times,
    timestamp: Times,
    offsets: Vec<i64>,
    hash_ids: Vec<i64>,
    is_restart: BooleanBufferBuilder,
    parents: Names,
    end_reason: Vec<i8>,
    links: LinkBuilders,
}

impl BatchBuilder {
    /// A builder of batches with the columns of `schema`.
    #[must_use]
    pub fn new(schema: SchemaRef) -> Self {
        let wanted = Column::ALL.map(|column| schema.column_with_name(column.name()).is_some());
        Self {
            schema,
            wanted,
            rows: 0,
            id_ranges: Vec::new(),
            session_ids: Names::default(),
            turn_index: Vec::new(),
            group_id: Groups::default(),
            input_length: Vec::new(),
            context_length: Vec::new(),
            output_length: Vec::new(),
            delay: Times::default(),
            timestamp: Times::default(),
            offsets: vec![0],
            hash_ids: Vec::new(),
            is_restart: BooleanBufferBuilder::new(0),
            parents: Names::default(),
            end_reason: Vec::new(),
            links: LinkBuilders::default(),
        }
    }

    /// Appends a session's rows; passes each full batch to `emit` and begins another.
    pub fn append(
        &mut self,
        spec: &DatasetSpec,
        session: &Session<'_>,
        emit: &mut impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < session.turns.len() {
            // Rows until the batch is full; `append_rows` also stops when ids fill it.
            let end = session.turns.len().min(done + FULL_ROWS.saturating_sub(self.rows).max(1));
            done = self.append_rows(spec, session, done, end);
            if self.rows >= FULL_ROWS || self.hash_ids.len() >= FULL_IDS {
                emit(self.finish()?)?;
            }
        }
        Ok(())
    }

    fn wants(&self, column: Column) -> bool {
        self.wanted[column as usize]
    }

    /// Appends turns `start .. end`, or fewer if their ids fill the batch; returns the end of the appended turns.
    fn append_rows(&mut self, spec: &DatasetSpec, session: &Session<'_>, start: usize, mut end: usize) -> usize {
        if self.wants(Column::HashIds) {
            let mut ids = RowIds::new(spec.ids(), spec.layout(), session);
            for index in 0..end {
                ids.row(session, index, &mut self.id_ranges);
                // Rows of an earlier batch only advance the ids.
                if index < start {
                    continue;
                }
                for range in &self.id_ranges {
                    // A loop from 0 is vectorized.
                    let first = range.first as i64;
                    self.hash_ids.extend((0..range.count as usize).map(|i| first + i as i64));
                }
                self.offsets.push(self.hash_ids.len() as i64);
                if self.hash_ids.len() >= FULL_IDS {
                    end = index + 1;
                    break;
                }
            }
        }
        let turns = &session.turns[start..end];
        let rows = turns.len();
        self.rows += rows;
        if self.wants(Column::SessionId) {
            self.session_ids.repeat(&name(spec, session), rows);
        }
        if self.wants(Column::TurnIndex) {
            self.turn_index.extend(start as u32..end as u32);
        }
        if self.wants(Column::GroupId) {
            let group = session.member.is_none_or(|view| view.member.agent.is_none()).then_some(session.group);
            self.group_id.repeat(group, rows);
        }
        if self.wants(Column::InputLength) {
            self.input_length.extend(turns.iter().map(|t| t.input));
        }
        if self.wants(Column::ContextLength) {
            self.context_length.extend(turns.iter().map(|t| t.context));
        }
        if self.wants(Column::OutputLength) {
            self.output_length.extend(turns.iter().map(|t| t.output));
        }
        if self.wants(Column::DelayMs) {
            let first = usize::from(start == 0);
            match session.member.map(|view| view.member).filter(|member| member.link.is_member()) {
                Some(member) => self.delay.extend(std::iter::repeat_n(member.start_delay_tenths, first)),
                None => self.delay.nulls(first),
            }
            self.delay.extend(turns[first..].iter().map(|t| t.delay_tenths));
        }
        if self.wants(Column::TimestampMs) {
            self.append_timestamps(spec.layout(), session, start, end);
        }
        if self.wants(Column::IsRestart) {
            self.is_restart.append_n(rows, session.is_continuation);
        }
        if self.wants(Column::ParentSessionId) {
            match parent_name(spec, session) {
                Some(parent) => self.parents.repeat(&parent, rows),
                None => self.parents.nulls(rows),
            }
        }
        if self.wants(Column::Link) {
            self.links.append(spec, session, start, end);
        }
        if self.wants(Column::EndReason) {
            self.end_reason.resize(self.end_reason.len() + rows, NO_REASON);
            if end == session.turns.len()
                && let Some(last) = self.end_reason.last_mut()
            {
                *last = session.end as i8;
            }
        }
        end
    }

    /// Incremental: the first row holds the arrival. Cumulative: every row holds its time, without service times.
    fn append_timestamps(&mut self, layout: Layout, session: &Session<'_>, start: usize, end: usize) {
        let mut now = session.arrival_tenths + session.member.map_or(0, |view| view.times[0]);
        if layout == Layout::Incremental {
            let first = usize::from(start == 0);
            self.timestamp.extend(std::iter::repeat_n(now, first));
            self.timestamp.nulls(end - start - first);
            return;
        }
        if let Some(view) = session.member {
            let times = &view.times[start..end];
            return self.timestamp.extend(times.iter().map(|time| session.arrival_tenths + time));
        }
        now += session.turns[..start].iter().map(|t| t.delay_tenths).sum::<u64>();
        self.timestamp.extend(session.turns[start..end].iter().map(|turn| {
            now += turn.delay_tenths;
            now
        }));
    }

    /// The rows appended so far, if any.
    pub fn flush(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 { Ok(None) } else { self.finish().map(Some) }
    }

    fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(Column::ALL.len());
        for column in Column::ALL {
            if self.wants(column) {
                columns.push(self.column(column)?);
            }
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options).map_err(TraceError::internal)
    }

    fn column(&mut self, column: Column) -> Result<ArrayRef> {
        Ok(match column {
            Column::SessionId => self.session_ids.finish()?,
            Column::TurnIndex => numbers(&mut self.turn_index),
            Column::GroupId => Arc::new(self.group_id.finish()),
            Column::InputLength => numbers(&mut self.input_length),
            Column::ContextLength => numbers(&mut self.context_length),
            Column::OutputLength => numbers(&mut self.output_length),
            Column::DelayMs => Arc::new(self.delay.finish()),
            Column::TimestampMs => Arc::new(self.timestamp.finish()),
            Column::HashIds => {
                let values = Arc::new(Int64Array::from(take(&mut self.hash_ids)));
                let mut next = Vec::with_capacity(self.offsets.len());
                next.push(0);
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, next)));
                let DataType::LargeList(item) =
                    self.schema.field_with_name(column.name()).map_err(TraceError::internal)?.data_type()
                else {
                    return Err(TraceError::internal("hash_ids is not a list"));
                };
                Arc::new(
                    LargeListArray::try_new(Arc::clone(item), offsets, values, None).map_err(TraceError::internal)?,
                )
            }
            Column::IsRestart => Arc::new(BooleanArray::new(self.is_restart.finish(), None)),
            Column::ParentSessionId => self.parents.finish()?,
            Column::EndReason => {
                let reasons = if self.wants(Column::Link) { &EndReason::ALL[..] } else { EndReason::WITHOUT_LINKS };
                Arc::new(end_reasons(&take(&mut self.end_reason), reasons)?)
            }
            of_links => self.links.column(of_links)?,
        })
    }
}

/// The name of a session.
fn name(spec: &DatasetSpec, session: &Session<'_>) -> Name {
    match session.member {
        Some(view) => view.member.name(spec.names(), session.root),
        None => spec.names().name(session.root, session.is_continuation),
    }
}

/// The name of the session that it continues or that started it.
fn parent_name(spec: &DatasetSpec, session: &Session<'_>) -> Option<Name> {
    match session.member {
        Some(view) => (view.member.link != Link::Root).then(|| view.parent.name(spec.names(), session.root)),
        None => session.is_continuation.then(|| spec.names().name(session.root, false)),
    }
}

/// Code of a row that does not end its session.
const NO_REASON: i8 = -1;

/// End reasons as a dictionary column of the given ones; negative codes are null.
fn end_reasons(codes: &[i8], reasons: &[EndReason]) -> Result<DictionaryArray<Int8Type>> {
    let names: StringArray = reasons.iter().map(|reason| Some(reason.name())).collect();
    let keys: Int8Array = codes.iter().map(|code| (*code >= 0).then_some(*code)).collect();
    DictionaryArray::try_new(keys, Arc::new(names)).map_err(TraceError::internal)
}

/// Takes a column's values and leaves an empty vector of the same capacity.
fn take<T>(values: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(values.len());
    std::mem::replace(values, next)
}

fn numbers(values: &mut Vec<u32>) -> ArrayRef {
    Arc::new(UInt32Array::from(take(values)))
}
