//! Checks hash ids of the incremental layout: every id names one chunk of tokens.

use std::ops::Range;

use roaring::RoaringTreemap;

use super::digest::{Digest, IdRun, Span};
use super::intervals::Intervals;

/// All ids so far.
#[derive(Debug, Default)]
pub(crate) struct Incremental {
    seen: Intervals,
    /// Ids that occur more than once: shared prefixes and the first prompts of continuations.
    repeated: Intervals,
    partial: RoaringTreemap,
}

/// Ids of a row that repeat earlier ids where content must be new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reuse {
    /// Index of the row.
    pub row: u32,
    /// The first block.
    pub id: i64,
    /// Their number.
    pub count: u64,
}

impl Incremental {
    /// Adds the rows of a span. `starts`: its first row is the session's first, which may begin with known ids.
    /// `has_gaps`: earlier ids are missing, so an id that looks new may be a repeated one.
    pub fn push(&mut self, digest: &Digest, span: &Span, starts: bool, has_gaps: bool, reuses: &mut Vec<Reuse>) {
        reuses.clear();
        let mut may_lead = starts;
        for run in &digest.runs[span.runs.start as usize..span.runs.end as usize] {
            // The part of the run in the span's first row.
            let first = if run.row == span.rows.start { digest.rows[run.row as usize].ids - run.at } else { 0 };
            let lead_end = if may_lead { run.end.min(run.start + i64::from(first)) } else { run.start };
            let mut led = run.start;
            self.seen.add(run.start..run.end, |known| {
                self.repeated.add(known.clone(), |_| {});
                let leads = has_gaps || known.start == led;
                let legal = if leads { known.end.min(lead_end).max(known.start) } else { known.start };
                led = legal;
                report(run, legal..known.end, digest, reuses);
            });
            may_lead = may_lead && (has_gaps || led == run.end);
        }
    }

    /// Adds the ids of partial KV blocks of a block of rows.
    pub fn push_partial(&mut self, digest: &Digest) {
        self.partial |= &digest.partial;
    }

    /// Ids of partial blocks that occur more than once: each of them is an error.
    pub fn suspects(&self) -> RoaringTreemap {
        self.repeated.intersection(&self.partial)
    }
}

/// Adds repeated ids of a run to the reports of their rows.
fn report(run: &IdRun, mut ids: Range<i64>, digest: &Digest, reuses: &mut Vec<Reuse>) {
    let (mut row, mut end) = (run.row, run.start - i64::from(run.at));
    while !ids.is_empty() {
        end += i64::from(digest.rows[row as usize].ids);
        let count = ids.end.min(end) - ids.start;
        if count > 0 {
            match reuses.last_mut() {
                Some(last) if last.row == row => last.count += count as u64,
                _ => reuses.push(Reuse { row, id: ids.start, count: count as u64 }),
            }
            ids.start += count;
        }
        row += 1;
    }
}
