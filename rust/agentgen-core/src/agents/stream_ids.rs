//! Where the hash ids of a session come from.
//!
//! Each root, break and sub-agent has its own range of ids (a *region*), which a restart continues. What a first prompt
//! shares with others stands before its own ids: the prefix of the agent, or what a break keeps.

use crate::ids::{IdRange, IdSpace, push};
use crate::turns::Turn;

/// Where the ids of a session come from.
#[derive(Debug, Clone, Default)]
pub struct StreamIds {
    /// Ids before its own.
    pub(crate) leading: Vec<IdRange>,
    /// Its first own id.
    pub(crate) next: u64,
    /// Cumulative: ids of partial blocks begin here.
    pub(crate) tails: u64,
    /// Incremental: whole blocks of the first prompt of its stream, as a break may repeat them.
    pub(super) first_blocks: u64,
}

/// Number of ids in ranges.
pub(super) fn total(ranges: &[IdRange]) -> u64 {
    ranges.iter().map(|range| range.count).sum()
}

/// Appends `count` ids: of `leading`, then of those from `next` on.
pub(super) fn append(leading: &[IdRange], next: u64, mut count: u64, out: &mut Vec<IdRange>) {
    for range in leading {
        let part = range.count.min(count);
        push(out, range.first, part);
        count -= part;
    }
    push(out, next, count);
}

impl StreamIds {
    /// Appends the ids of a whole prompt of `context` tokens; the next partial block has the id `tails`.
    pub(crate) fn cumulative(&mut self, space: &IdSpace, context: u32, out: &mut Vec<IdRange>) {
        let context = u64::from(context);
        append(&self.leading, self.next, context / space.block_size(), out);
        if !context.is_multiple_of(space.block_size()) {
            push(out, self.tails, 1);
            self.tails += 1;
        }
    }

    /// Appends the ids of a row of `input` new tokens.
    pub(crate) fn incremental(&mut self, space: &IdSpace, input: u32, is_first: bool, out: &mut Vec<IdRange>) {
        let mut blocks = u64::from(input).div_ceil(space.block_size());
        if is_first {
            append(&self.leading, 0, total(&self.leading).min(blocks), out);
            blocks -= total(&self.leading).min(blocks);
        }
        push(out, self.next, blocks);
        self.next += blocks;
    }
}

/// Appends the full chunks of a session's rows; returns the id after its last.
pub(super) fn repeat_whole_chunks(space: &IdSpace, ids: &StreamIds, turns: &[Turn], out: &mut Vec<IdRange>) -> u64 {
    let mut next = ids.next;
    for (index, turn) in turns.iter().enumerate() {
        let input = u64::from(turn.input);
        let shared = if index == 0 { total(&ids.leading) } else { 0 };
        let leading = if index == 0 { &ids.leading[..] } else { &[] };
        append(leading, next, input / space.block_size(), out);
        next += input.div_ceil(space.block_size()) - shared;
    }
    next
}
