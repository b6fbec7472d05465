//! Rows grouped into sessions.

use std::collections::{HashMap, VecDeque};

use agentgen_core::Layout;
use agentgen_core::config::MAX_TOKENS;
use arrow_array::RecordBatch;

use super::builder::SessionBuilder;
use super::link::{Link, Linker, Unlinked};
use super::rows::{Columns, Row};
use super::{Session, SessionEnd, Turn};
use crate::diagnostic::Diagnostic;
use crate::meta::TraceMeta;
use crate::row::{MAX_NAME_BYTES, TIME, is_time};
use crate::{Result, TraceError};

/// The sessions of a trace in the order of their first rows, restart sessions linked to their parents. A row that names
/// no session is a session of its own.
///
/// Holds in memory the sessions whose end has not been read, and the tokens of each that may be continued.
pub fn sessions<B: Iterator<Item = Result<RecordBatch>>>(
    meta: &TraceMeta,
    batches: B,
) -> impl Iterator<Item = Result<Session>> + use<B> {
    let mut linker = Linker::new(meta);
    unlinked(meta, batches).map(move |session| session.map(|session| linker.link(session)))
}

/// The sessions of a trace, each as its own rows state it: complete where no session continues another.
///
/// Holds in memory the sessions whose end has not been read.
pub(super) fn unlinked<B: Iterator<Item = Result<RecordBatch>>>(
    meta: &TraceMeta,
    batches: B,
) -> impl Iterator<Item = Result<Unlinked>> + use<B> {
    let mut assembler = Assembler::new(meta.layout, meta.block_size, 0);
    let mut batches = batches.map(Some).chain(std::iter::once_with(|| None));
    std::iter::from_fn(move || {
        loop {
            if let Some(session) = assembler.complete() {
                return Some(Ok(session));
            }
            match batches.next()? {
                None => assembler.end(),
                Some(batch) => {
                    if let Err(error) = batch.and_then(|batch| assembler.take(&batch)) {
                        return Some(Err(error));
                    }
                }
            }
        }
    })
}

/// A session that has begun and has not been handed out.
#[derive(Debug)]
struct Pending {
    /// Name of its parent.
    parent: Option<String>,
    /// Of its first row.
    returned_tokens: Option<u32>,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Building(SessionBuilder),
    Complete(Session),
    /// Only while the session is being completed.
    Empty,
}

/// Groups rows into sessions, each as its own rows state it.
#[derive(Debug)]
pub struct Assembler {
    layout: Layout,
    id_tokens: u32,
    /// In the order of their first rows.
    pending: VecDeque<Pending>,
    /// Number of the first pending session.
    first_number: u64,
    /// Cumulative: numbers of the pending sessions, whose rows may be anywhere in the file.
    by_name: HashMap<String, u64>,
}

impl Assembler {
    /// Numbers sessions from `first_number` on; a hash id covers `id_tokens` tokens.
    #[must_use]
    pub fn new(layout: Layout, id_tokens: u32, first_number: u64) -> Self {
        Self { layout, id_tokens, pending: VecDeque::new(), first_number, by_name: HashMap::new() }
    }

    /// Takes the rows of a batch.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns::new(batch)?;
        (0..batch.num_rows()).try_for_each(|index| self.row(&columns.row(index)))
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        self.check(row)?;
        let position = if row.turn_index == 0 || row.session.is_none() { self.begin(row) } else { self.find(row)? };
        if let Rows::Building(builder) = &mut self.pending[position].rows {
            builder.push(row).map_err(|found| refused(row, found))?;
        }
        // Foreign end reasons may be on rows before the last one.
        if matches!(row.end, Some(SessionEnd::Known(_))) || row.session.is_none() {
            self.finish(position);
        }
        Ok(())
    }

    /// Checks what later code relies on: rows of Parquet files are not checked elsewhere.
    fn check(&self, row: &Row<'_>) -> Result<()> {
        let Turn { input_tokens, context_tokens, output_tokens, delay_ms, timestamp_ms } = row.turn;
        let covered = if self.layout == Layout::Incremental { input_tokens } else { context_tokens };
        let expected = covered.div_ceil(self.id_tokens) as usize;
        if row.ids.len() != expected {
            let found = format!("{} hash ids for {covered} tokens", row.ids.len());
            let expected = format!("{expected} of {} each", self.id_tokens);
            return Err(refused(row, Diagnostic::unnamed(found, expected).with_field("hash_ids")));
        }
        if let Some(length) = [input_tokens, context_tokens, output_tokens].into_iter().find(|n| *n > MAX_TOKENS) {
            let (found, expected) = (format!("a length of {length} tokens"), format!("at most {MAX_TOKENS}"));
            return Err(refused(row, Diagnostic::unnamed(found, expected)));
        }
        let mut times = delay_ms.into_iter().chain(timestamp_ms);
        if let Some(time) = times.find(|ms| !is_time(*ms)) {
            return Err(refused(row, Diagnostic::unnamed(format!("a time of {time} ms"), TIME)));
        }
        let names = row.session.into_iter().chain(row.parent);
        if let Some(name) = names.into_iter().find(|name| name.len() > MAX_NAME_BYTES) {
            let found = format!("a name of {} bytes", name.len());
            return Err(refused(row, Diagnostic::unnamed(found, format!("at most {MAX_NAME_BYTES}"))));
        }
        Ok(())
    }

    /// Position of the session of a later row.
    fn find(&self, row: &Row<'_>) -> Result<usize> {
        let name = row.session.unwrap_or_default();
        let position = if self.layout == Layout::Incremental {
            self.pending.len().checked_sub(1)
        } else {
            self.by_name.get(name).map(|number| (number - self.first_number) as usize)
        };
        let is_open = |position: &usize| match &self.pending[*position].rows {
            Rows::Building(builder) => builder.name() == Some(name),
            _ => false,
        };
        let expected = "the session's first row before it, and none after the one with end_reason";
        position.filter(is_open).ok_or_else(|| refused(row, Diagnostic::unnamed("a row out of place", expected)))
    }

    /// Begins the session of a row; returns its position.
    fn begin(&mut self, row: &Row<'_>) -> usize {
        // The rows of an incremental session follow one another, so the last session is complete.
        if self.layout == Layout::Incremental && !self.pending.is_empty() {
            self.finish(self.pending.len() - 1);
        }
        let number = self.first_number + self.pending.len() as u64;
        if let Some(name) = row.session.filter(|_| self.layout == Layout::Cumulative) {
            self.by_name.insert(name.to_owned(), number);
        }
        self.pending.push_back(Pending {
            parent: row.parent.filter(|_| Link::of_row(row) != Link::Root).map(str::to_owned),
            returned_tokens: row.returned_tokens,
            rows: Rows::Building(SessionBuilder::new(number, row, self.layout, self.id_tokens)),
        });
        self.pending.len() - 1
    }

    /// Completes the session at a position: all of its rows have been read.
    fn finish(&mut self, position: usize) {
        let rows = &mut self.pending[position].rows;
        *rows = match std::mem::replace(rows, Rows::Empty) {
            Rows::Building(builder) => Rows::Complete(builder.finish()),
            complete => complete,
        };
    }

    /// The first pending session, if all of its rows have been read: sessions leave in the order of their first rows.
    pub fn complete(&mut self) -> Option<Unlinked> {
        self.pending.front().filter(|pending| matches!(pending.rows, Rows::Complete(_)))?;
        let Pending { parent, returned_tokens, rows } = self.pending.pop_front()?;
        let Rows::Complete(session) = rows else { return None };
        self.first_number += 1;
        if let Some(name) = &session.name {
            self.by_name.remove(name);
        }
        Some(Unlinked { session, parent, returned_tokens })
    }

    /// Completes all pending sessions at the end of the trace.
    pub fn end(&mut self) {
        for position in 0..self.pending.len() {
            self.finish(position);
        }
    }
}

/// The error about a row that cannot belong to its session.
fn refused(row: &Row<'_>, diagnostic: Diagnostic) -> TraceError {
    let session = row.session.map_or_else(String::new, |name| format!("session {name}, "));
    let found = format!("{session}turn {}: {}", row.turn_index, diagnostic.found);
    Diagnostic { found, ..diagnostic }.with_help("agentgen validate lists every such row").into()
}
