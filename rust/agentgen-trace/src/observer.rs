//! The interface of statistics that are collected while a run is written.

use agentgen_core::DatasetSpec;
use arrow_array::RecordBatch;

use crate::error::Result;
use crate::meta::{Origin, TraceMeta};
use crate::written::Written;

/// Receives every row of a run. Each thread has its own observer; the order of batches and merges must not matter.
pub trait Observer: Send + Sized + 'static {
    /// Data of a chunk that is processed later, in the order of the file.
    type Notes: Send + 'static;
    /// Processes these notes.
    type InOrder: InOrder<Notes = Self::Notes>;
    /// Called before a chunk's first batch; `first_root` identifies the chunk.
    fn notes(spec: &DatasetSpec, first_root: u64) -> Self::Notes;
    /// Adds a batch with all columns.
    fn batch(&mut self, batch: &RecordBatch, notes: &mut Self::Notes) -> Result<()>;
    /// Adds the statistics of another observer.
    fn merge(&mut self, other: Self);
    /// Called before the first chunk.
    fn in_order(meta: &TraceMeta) -> Self::InOrder;
    /// The files that the observer adds to the run directory: name and content.
    fn finish(
        self,
        in_order: Self::InOrder,
        spec: &DatasetSpec,
        run: &RunFacts<'_>,
    ) -> Result<Vec<(&'static str, Vec<u8>)>>;
}

/// Receives the notes of every chunk in the order of the file.
pub trait InOrder {
    /// Data of a chunk.
    type Notes;
    /// Adds the next chunk, after all of its batches.
    fn chunk(&mut self, notes: Self::Notes);
}

impl InOrder for () {
    type Notes = ();
    fn chunk(&mut self, (): ()) {}
}

/// Facts of a run for [`Observer::finish`].
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    /// Config, overrides, seed, sessions.
    pub origin: &'a Origin,
    /// Totals.
    pub written: Written,
    /// Whether the run is one of several shards.
    pub is_part: bool,
}
