//! Checks hash ids of the cumulative layout: an id names a block together with all blocks before it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use roaring::RoaringTreemap;

use super::digest::{Digest, Span};
use super::intervals::Intervals;

/// Stands for the start of the prompt in [`Cumulative::parents`].
pub(crate) const START: i64 = -1;

/// All ids so far.
#[derive(Debug, Default)]
pub(crate) struct Cumulative {
    /// Full blocks whose id is one more than the id before it.
    chained: Intervals,
    /// The id before each other full block.
    parents: HashMap<i64, i64>,
    tails: RoaringTreemap,
    /// Tails seen twice, and blocks after two different ids.
    suspects: RoaringTreemap,
}

impl Cumulative {
    /// Adds the rows of a span.
    pub fn push(&mut self, digest: &Digest, span: &Span) {
        let (mut row, mut before) = (u32::MAX, START);
        for run in &digest.runs[span.runs.start as usize..span.runs.end as usize] {
            if run.row != row {
                (row, before) = (run.row, START);
            }
            match self.parents.entry(run.start) {
                Entry::Occupied(known) if *known.get() != before => {
                    self.suspects.insert(run.start as u64);
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => {
                    free.insert(before);
                }
            }
            self.chained.add(run.start + 1..run.end, |_| {});
            before = run.end - 1;
        }
    }

    /// Adds the ids of partial KV blocks of a block of rows.
    pub fn push_partial(&mut self, digest: &Digest) {
        self.suspects |= &self.tails & &digest.partial;
        self.suspects.extend(&digest.partial_again);
        self.tails |= &digest.partial;
    }

    /// Ids that may break a rule. Some are valid, such as the tails of identical prompts.
    pub fn suspects(mut self) -> RoaringTreemap {
        for id in self.parents.keys() {
            if self.chained.contains(*id) || self.tails.contains(*id as u64) {
                self.suspects.insert(*id as u64);
            }
        }
        self.suspects | self.chained.intersection(&self.tails)
    }
}
