//! Ids of generated sessions in the incremental layout: lengths say what each row's must be.

use agentgen_trace::Layout;

use super::digest::{Digest, Run, Span};
use super::trace_rules::{Lineage, TraceRules};

/// The session that is being read.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    /// The next fresh id; `None` behind rows whose ids are not known.
    next: Option<i64>,
    /// New tokens of its turns; `None` once one was lost. One buffer serves all sessions.
    inputs: Vec<u32>,
    is_whole: bool,
}

/// The start of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start<'a> {
    /// Rows before may have been lost.
    pub is_cut: bool,
    /// New tokens of the turns of the session that it continues, if they are known.
    pub parent: Option<&'a [u32]>,
}

/// An id that is not the one that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stray {
    /// Index of the row.
    pub row: u32,
    pub found: i64,
    pub expected: i64,
}

/// The ids of a span, row by row: runs may go on from one to the next.
struct Cursor<'a> {
    runs: &'a [Run],
    /// Ids of the first run that were taken.
    taken: i64,
}

impl Cursor<'_> {
    fn skip(&mut self, mut count: i64) {
        while let Some(run) = self.runs.first().filter(|_| count > 0) {
            let part = count.min(run.end - run.start - self.taken);
            self.advance(part);
            count -= part;
        }
    }

    /// Takes `count` ids; the first that is not one more than the one before, with the one expected.
    fn expect(&mut self, mut first: i64, mut count: i64) -> Option<(i64, i64)> {
        let mut stray = None;
        while let Some(run) = self.runs.first().filter(|_| count > 0) {
            let (id, part) = (run.start + self.taken, count.min(run.end - run.start - self.taken));
            if id != first {
                stray = stray.or(Some((id, first)));
            }
            self.advance(part);
            (first, count) = (first + part, count - part);
        }
        stray
    }

    fn advance(&mut self, part: i64) {
        self.taken += part;
        if self.runs[0].start + self.taken == self.runs[0].end {
            (self.runs, self.taken) = (&self.runs[1..], 0);
        }
    }

    fn peek(&self) -> Option<i64> {
        self.runs.first().map(|run| run.start + self.taken)
    }
}

impl Fresh {
    /// The turns so far, if all are known.
    pub fn inputs(&self) -> Option<Box<[u32]>> {
        self.is_whole.then(|| self.inputs.as_slice().into())
    }

    /// A line of the session may have been lost.
    pub fn lose_a_row(&mut self) {
        (self.next, self.is_whole) = (None, false);
    }

    /// Takes the rows of a span of a generated session; `start` is there if the session starts with them.
    pub fn push(
        &mut self,
        (digest, span): (&Digest, &Span),
        (trace_rules, lineage): (&TraceRules, Lineage),
        start: Option<Start<'_>>,
        strays: &mut Vec<Stray>,
    ) {
        strays.clear();
        let Some(known) = trace_rules.origin.as_ref().filter(|_| trace_rules.layout == Layout::Incremental) else {
            return;
        };
        if start.is_some() {
            self.inputs.clear();
            (self.next, self.is_whole) = (None, true);
        }
        let mut cursor = Cursor { runs: &digest.runs[span.runs.start as usize..span.runs.end as usize], taken: 0 };
        let (block_size, base) = (i64::from(trace_rules.block_size), known.ids.base(lineage.run) as i64);
        let prefix = known.ids.prefix_blocks() as i64;
        for index in span.rows.clone() {
            let row = &digest.rows[index as usize];
            let mut ids = i64::from(row.ids);
            if ids == 0 {
                self.lose_a_row();
                continue;
            }
            if !lineage.is_continuation {
                self.inputs.push(row.input);
            }
            let mut stray = None;
            if let Some(start) = start.filter(|_| index == span.rows.start) {
                if start.is_cut {
                    self.lose_a_row();
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
                    // The parent's chunks: its full ones are repeated, new ids go on behind its last.
                    let mut first = base;
                    for (turn, input) in parent.iter().enumerate() {
                        let shared = if turn == 0 { prefix } else { 0 };
                        let full = (i64::from(*input) / block_size - shared).clamp(0, ids);
                        stray = stray.or(cursor.expect(first, full));
                        ids -= full;
                        first += (i64::from(*input) + block_size - 1) / block_size - shared;
                    }
                    self.next = Some(first);
                }
            }
            let next = self.next.or(cursor.peek()).unwrap_or(base);
            stray = stray.or(cursor.expect(next, ids));
            self.next = Some(next + ids);
            if let Some((found, expected)) = stray {
                // What follows is held against what is there.
                self.next = None;
                strays.push(Stray { row: index, found, expected });
            }
        }
    }
}
