//! Rows into conversations.

use std::collections::{HashMap, VecDeque};

use agentgen_core::Layout;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::{Result, TraceError};
use arrow_array::RecordBatch;

use super::Conversation;
use super::growing::{Growing, Parent};
use super::rows::{Row, Rows};

/// The sessions of a trace, in the order of their first rows; a row without a session's name is one of its own.
///
/// Held in memory: sessions whose end has not been read, and a few numbers of each that may be continued.
pub fn conversations<B: Iterator<Item = Result<RecordBatch>>>(
    meta: &TraceMeta,
    batches: B,
) -> impl Iterator<Item = Result<Conversation>> + use<B> {
    let mut assembler = Assembler::new(meta);
    let mut batches = batches.map(Some).chain(std::iter::once_with(|| None));
    std::iter::from_fn(move || {
        loop {
            if let Some(conversation) = assembler.complete() {
                return Some(Ok(conversation));
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
enum Place {
    Growing(Growing),
    Complete(Conversation),
    /// Only while one is being completed.
    Empty,
}

/// Takes rows, gives sessions.
#[derive(Debug)]
pub(crate) struct Assembler {
    layout: Layout,
    id_tokens: u32,
    /// In the order of their first rows.
    started: VecDeque<Place>,
    /// Number of the first of them.
    first_number: u64,
    /// The name of the session that the last row belongs to.
    current: String,
    /// Cumulative: numbers of the sessions whose rows may come back.
    by_name: HashMap<String, u64>,
    parents: HashMap<String, Parent>,
}

impl Assembler {
    pub(crate) fn new(meta: &TraceMeta) -> Self {
        Self {
            layout: meta.layout,
            id_tokens: meta.block_size,
            started: VecDeque::new(),
            first_number: 0,
            by_name: HashMap::new(),
            current: String::new(),
            parents: HashMap::new(),
        }
    }

    /// Takes the rows of a batch with all columns.
    pub(crate) fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::new(batch);
        (0..batch.num_rows()).try_for_each(|index| self.row(&rows.row(index)))
    }

    fn row(&mut self, row: &Row<'_>) -> Result<()> {
        self.check_ids(row)?;
        let position = self.position(row);
        if let Place::Growing(growing) = &mut self.started[position] {
            growing.push(row);
        }
        if row.end.is_some() || row.session.is_none() {
            self.finish(position);
        }
        Ok(())
    }

    /// Streams are made of ids, so each row must have as many as its tokens need.
    fn check_ids(&self, row: &Row<'_>) -> Result<()> {
        let covered = if self.layout == Layout::Incremental { row.turn.input_tokens } else { row.turn.context_tokens };
        let expected = covered.div_ceil(self.id_tokens) as usize;
        if row.ids.len() == expected {
            return Ok(());
        }
        let session = row.session.map_or_else(String::new, |name| format!("session {name}, "));
        Err(TraceError::Format(format!(
            "{session}turn {}: {} hash ids for {covered} tokens, expected {expected} of {} tokens each (`agentgen \
             validate` lists every such row)",
            row.turn_index,
            row.ids.len(),
            self.id_tokens
        )))
    }

    /// Where the session of a row is; it is begun if there is none.
    fn position(&mut self, row: &Row<'_>) -> usize {
        if row.turn_index > 0
            && let Some(name) = row.session
        {
            if name == self.current && !self.started.is_empty() {
                return self.started.len() - 1;
            }
            if let Some(number) = self.by_name.get(name) {
                return (number - self.first_number) as usize;
            }
        }
        // The rows of an incremental session follow one another, so the last one is complete.
        if self.layout == Layout::Incremental && !self.started.is_empty() {
            self.finish(self.started.len() - 1);
        }
        let number = self.first_number + self.started.len() as u64;
        let parent = row.parent.and_then(|name| self.parents.get(name));
        let growing = Growing::new(number, row, self.layout, self.id_tokens, parent);
        self.started.push_back(Place::Growing(growing));
        row.session.unwrap_or_default().clone_into(&mut self.current);
        if self.layout == Layout::Cumulative && row.session.is_some() {
            self.by_name.insert(self.current.clone(), number);
        }
        self.started.len() - 1
    }

    /// All rows of the session at this place have been read.
    fn finish(&mut self, position: usize) {
        let place = &mut self.started[position];
        *place = match std::mem::replace(place, Place::Empty) {
            Place::Growing(growing) => {
                let name = growing.name().to_owned();
                self.by_name.remove(&name);
                let (conversation, parent) = growing.finish();
                if let Some(parent) = parent {
                    self.parents.insert(name, parent);
                }
                Place::Complete(conversation)
            }
            complete => complete,
        };
    }

    /// The first of the sessions, if its rows are all there.
    pub(crate) fn complete(&mut self) -> Option<Conversation> {
        match self.started.pop_front()? {
            Place::Complete(conversation) => {
                self.first_number += 1;
                Some(conversation)
            }
            growing => {
                self.started.push_front(growing);
                None
            }
        }
    }

    /// There are no more rows.
    pub(crate) fn end(&mut self) {
        for position in 0..self.started.len() {
            self.finish(position);
        }
    }
}
