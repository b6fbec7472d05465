//! Checks hash ids of generated sessions in the incremental layout, where lengths determine the ids of each row.

use agentgen_trace::Layout;

use super::digest::{Digest, IdRun, Span};
use super::trace_rules::{Lineage, TraceRules};

/// State of the session that is being read.
#[derive(Debug, Default)]
pub(crate) struct ExpectedIds {
    /// The next expected id; `None` after rows with unknown ids.
    next: Option<i64>,
    /// New tokens of the session's turns. The buffer is reused for all sessions.
    inputs: Vec<u32>,
    /// Whether `inputs` holds all turns.
    is_complete: bool,
}

/// The start of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// Whether rows before it may be missing.
    pub is_cut: bool,
    /// New tokens of the parent's turns, if they are known.
    pub parent: Option<&'a [u32]>,
}

/// An id other than the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnexpectedId {
    /// Index of the row.
    pub row: u32,
    pub found: i64,
    pub expected: i64,
}

/// Iterates over the ids of a span; runs may span rows.
pub(super) struct Cursor<'a> {
    pub runs: &'a [IdRun],
    /// Consumed ids of the first run.
    pub consumed: i64,
}

impl Cursor<'_> {
    fn skip(&mut self, mut count: i64) {
        while let Some(run) = self.runs.first().filter(|_| count > 0) {
            let part = count.min(run.end - run.start - self.consumed);
            self.advance(part);
            count -= part;
        }
    }

    /// Consumes `count` ids, which should count up from `first`; returns the first that does not, and the expected one.
    pub(super) fn expect(&mut self, mut first: i64, mut count: i64) -> Option<(i64, i64)> {
        let mut unexpected = None;
        while let Some(run) = self.runs.first().filter(|_| count > 0) {
            let (id, part) = (run.start + self.consumed, count.min(run.end - run.start - self.consumed));
            if id != first {
                unexpected = unexpected.or(Some((id, first)));
            }
            self.advance(part);
            (first, count) = (first + part, count - part);
        }
        unexpected
    }

    fn advance(&mut self, part: i64) {
        self.consumed += part;
        if self.runs[0].start + self.consumed == self.runs[0].end {
            (self.runs, self.consumed) = (&self.runs[1..], 0);
        }
    }

    fn peek(&self) -> Option<i64> {
        self.runs.first().map(|run| run.start + self.consumed)
    }
}

impl ExpectedIds {
    /// The turns so far, if all are known.
    pub fn inputs(&self) -> Option<Box<[u32]>> {
        self.is_complete.then(|| self.inputs.as_slice().into())
    }

    /// A line of the session may have been lost.
    pub fn mark_lost_row(&mut self) {
        (self.next, self.is_complete) = (None, false);
    }

    /// Takes the rows of a span of a generated session; `start` is there if the session starts with them.
    pub fn push(
        &mut self,
        (digest, span): (&Digest, &Span),
        (trace_rules, lineage): (&TraceRules, Lineage),
        start: Option<Start<'_>>,
        unexpected_ids: &mut Vec<UnexpectedId>,
    ) {
        unexpected_ids.clear();
        let Some(known) = trace_rules.origin.as_ref().filter(|_| trace_rules.layout == Layout::Incremental) else {
            return;
        };
        if start.is_some() {
            self.inputs.clear();
            (self.next, self.is_complete) = (None, true);
        }
        let mut cursor = Cursor { runs: &digest.runs[span.runs.start as usize..span.runs.end as usize], consumed: 0 };
        let (block_size, base) = (i64::from(trace_rules.block_size), known.ids.base(lineage.root) as i64);
        let prefix = known.ids.prefix_blocks() as i64;
        for index in span.rows.clone() {
            let row = &digest.rows[index as usize];
            let mut ids = i64::from(row.ids);
            if ids == 0 {
                self.mark_lost_row();
                continue;
            }
            if !lineage.is_continuation {
                self.inputs.push(row.input);
            }
            let mut unexpected = None;
            if let Some(start) = start.filter(|_| index == span.rows.start) {
                if start.is_cut {
                    self.mark_lost_row();
                    cursor.skip(ids);
                    continue;
                }
                cursor.skip(prefix.min(ids));
                ids -= prefix.min(ids);
                self.next = (!lineage.is_continuation).then_some(base);
                if lineage.is_continuation {
                    let Some(parent) = start.parent else {
                        cursor.skip(ids);
                        continue;
                    };
                    // The parent's full chunks are repeated; new ids follow its last id.
                    let mut first = base;
                    for (turn, input) in parent.iter().enumerate() {
                        let shared = if turn == 0 { prefix } else { 0 };
                        let full = (i64::from(*input) / block_size - shared).clamp(0, ids);
                        unexpected = unexpected.or(cursor.expect(first, full));
                        ids -= full;
                        first += (i64::from(*input) + block_size - 1) / block_size - shared;
                    }
                    self.next = Some(first);
                }
            }
            let next = self.next.or(cursor.peek()).unwrap_or(base);
            unexpected = unexpected.or(cursor.expect(next, ids));
            self.next = Some(next + ids);
            if let Some((found, expected)) = unexpected {
                // Later ids are compared with the ids found here.
                self.next = None;
                unexpected_ids.push(UnexpectedId { row: index, found, expected });
            }
        }
    }
}
