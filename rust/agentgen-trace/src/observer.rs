//! Statistics that are gathered while a run is written.

use agentgen_core::DatasetSpec;
use arrow_array::RecordBatch;

use crate::error::Result;
use crate::meta::{Origin, TraceMeta};
use crate::written::Written;

/// Something that sees every row of a pass. Each thread has its own; the order of batches and merges must not matter.
pub trait Observer: Send + Sized + 'static {
    /// What a chunk of sessions leaves for the pass in the order of the file.
    type Notes: Send + 'static;
    /// That pass.
    type InOrder: InOrder<Notes = Self::Notes>;
    /// Before a chunk's first batch; `first_primary` tells chunks apart.
    fn notes(spec: &DatasetSpec, first_primary: u64) -> Self::Notes;
    /// Takes in a batch with all columns.
    fn batch(&mut self, batch: &RecordBatch, notes: &mut Self::Notes) -> Result<()>;
    /// Takes in what another observer saw.
    fn merge(&mut self, other: Self);
    /// Before the first chunk.
    fn in_order(meta: &TraceMeta) -> Self::InOrder;
    /// The files it adds to the run directory: name and content.
    fn finish(
        self,
        in_order: Self::InOrder,
        spec: &DatasetSpec,
        run: &RunFacts<'_>,
    ) -> Result<Vec<(&'static str, Vec<u8>)>>;
}

/// Something that sees every session of a pass in the order of the file.
pub trait InOrder {
    /// What it sees of a chunk.
    type Notes;
    /// Takes in the next chunk, all of whose batches have been noted.
    fn chunk(&mut self, notes: Self::Notes);
}

impl InOrder for () {
    type Notes = ();
    fn chunk(&mut self, (): ()) {}
}

/// What an observer may want to know at the end.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    /// Config, overrides, seed, sessions.
    pub origin: &'a Origin,
    /// Totals.
    pub written: Written,
    /// Whether this is one of several shards.
    pub is_part: bool,
}
