//! Rows into conversations.

use std::collections::{HashMap, VecDeque};

use crate::meta::TraceMeta;
use crate::{Result, TraceError};
use agentgen_core::Layout;
use agentgen_core::config::MAX_TOKENS;
use arrow_array::RecordBatch;

use super::builder::Growing;
use super::link::{Linker, Unlinked};
use super::rows::{Columns, Row};
use super::{Session, Turn};

/// The sessions of a trace, in the order of their first rows; a row without a session's name is one of its own.
///
/// Held in memory: sessions whose end has not been read, and a few numbers of each that may be continued.
pub fn sessions<B: Iterator<Item = Result<RecordBatch>>>(
    meta: &TraceMeta,
    batches: B,
) -> impl Iterator<Item = Result<Session>> + use<B> {
    let mut linker = Linker::new(meta);
    unlinked(meta, batches).map(move |session| session.map(|session| linker.link(session)))
}

/// The sessions of a trace, each as its own rows tell of it: all there is to it where none continues another.
///
/// Held in memory: sessions whose end has not been read.
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

/// A session in its place in the file.
#[derive(Debug)]
struct Place {
    name: Option<String>,
    parent: Option<String>,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Growing(Growing),
    Complete(Session),
    /// Only while they are being completed.
    Empty,
}

/// Takes rows, gives sessions: each as its own rows tell of it.
#[derive(Debug)]
pub struct Assembler {
    layout: Layout,
    id_tokens: u32,
    /// In the order of their first rows.
    started: VecDeque<Place>,
    /// Number of the first of them.
    first_number: u64,
    /// Cumulative: numbers of the sessions whose rows may come back.
    by_name: HashMap<String, u64>,
}

impl Assembler {
    /// `first_number`: that of the first session.
    pub fn new(layout: Layout, id_tokens: u32, first_number: u64) -> Self {
        Self { layout, id_tokens, started: VecDeque::new(), first_number, by_name: HashMap::new() }
    }

    /// Takes the rows of a batch with all columns.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns = Columns::new(batch);
        (0..batch.num_rows()).try_for_each(|index| self.row(&columns.row(index)))
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        self.check(row)?;
        let position = if row.turn_index == 0 || row.session.is_none() { self.begin(row) } else { self.find(row)? };
        if let Rows::Growing(growing) = &mut self.started[position].rows {
            growing.push(row).map_err(|what| refused(row, &what))?;
        }
        if row.end.is_some() || row.session.is_none() {
            self.finish(position);
        }
        Ok(())
    }

    /// What the rest relies on. JSONL has been checked when it was read; Parquet comes as it is.
    fn check(&self, row: &Row<'_>) -> Result<()> {
        let Turn { input_tokens, context_tokens, output_tokens, delay_ms, timestamp_ms } = row.turn;
        let covered = if self.layout == Layout::Incremental { input_tokens } else { context_tokens };
        let expected = covered.div_ceil(self.id_tokens) as usize;
        if row.ids.len() != expected {
            let found = row.ids.len();
            let ids = self.id_tokens;
            return Err(refused(
                row,
                &format!("{found} hash ids for {covered} tokens, expected {expected} of {ids} each"),
            ));
        }
        if let Some(length) = [input_tokens, context_tokens, output_tokens].into_iter().find(|n| *n > MAX_TOKENS) {
            return Err(refused(row, &format!("a length of {length} tokens, expected at most {MAX_TOKENS}")));
        }
        let mut times = delay_ms.into_iter().chain(timestamp_ms);
        if let Some(time) = times.find(|ms| !ms.is_finite() || *ms < 0.0) {
            return Err(refused(row, &format!("a time of {time} ms, expected a number from 0 on")));
        }
        Ok(())
    }

    /// Where the session of a row is.
    fn find(&self, row: &Row<'_>) -> Result<usize> {
        let name = row.session.unwrap_or_default();
        let position = if self.layout == Layout::Incremental {
            self.started.len().checked_sub(1).filter(|last| self.started[*last].name.as_deref() == Some(name))
        } else {
            self.by_name.get(name).map(|number| (number - self.first_number) as usize)
        };
        let is_open = |position: &usize| matches!(self.started[*position].rows, Rows::Growing(_));
        let expected = "the session's first row before it, and none after the one with end_reason";
        position.filter(is_open).ok_or_else(|| refused(row, &format!("a row out of place, expected {expected}")))
    }

    /// Begins the session of a row.
    fn begin(&mut self, row: &Row<'_>) -> usize {
        // The rows of an incremental session follow one another, so the last one is complete.
        if self.layout == Layout::Incremental && !self.started.is_empty() {
            self.finish(self.started.len() - 1);
        }
        let number = self.first_number + self.started.len() as u64;
        if let Some(name) = row.session.filter(|_| self.layout == Layout::Cumulative) {
            self.by_name.insert(name.to_owned(), number);
        }
        self.started.push_back(Place {
            name: row.session.map(str::to_owned),
            parent: row.parent.filter(|_| row.is_restart).map(str::to_owned),
            rows: Rows::Growing(Growing::new(number, row, self.layout, self.id_tokens)),
        });
        self.started.len() - 1
    }

    /// All rows of the session at this place have been read.
    fn finish(&mut self, position: usize) {
        let rows = &mut self.started[position].rows;
        *rows = match std::mem::replace(rows, Rows::Empty) {
            Rows::Growing(growing) => Rows::Complete(growing.finish()),
            complete => complete,
        };
    }

    /// The first of the sessions, if its rows are all there: sessions leave in the order of their first rows.
    pub fn complete(&mut self) -> Option<Unlinked> {
        self.started.front().filter(|place| matches!(place.rows, Rows::Complete(_)))?;
        let Place { name, parent, rows } = self.started.pop_front()?;
        let Rows::Complete(conversation) = rows else { return None };
        self.first_number += 1;
        if let Some(name) = &name {
            self.by_name.remove(name);
        }
        Some(Unlinked { conversation, name, parent })
    }

    /// There are no more rows.
    pub fn end(&mut self) {
        for position in 0..self.started.len() {
            self.finish(position);
        }
    }
}

/// A row that cannot be followed.
fn refused(row: &Row<'_>, what: &str) -> TraceError {
    let session = row.session.map_or_else(String::new, |name| format!("session {name}, "));
    let turn = row.turn_index;
    TraceError::Format(format!("{session}turn {turn}: found {what} (`agentgen validate` lists every such row)"))
}
