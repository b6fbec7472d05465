//! Summarizes a block of rows, in parallel, so that little work remains to be done in order.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Range;

use agentgen_core::EndReason;
use agentgen_trace::Layout;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::row::{Row, RowLinks, SessionKey};
use roaring::RoaringTreemap;

use super::rows::{RowIds, check_ids};
use super::rules;
use super::trace_rules::TraceRules;

/// A row without its hash ids.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // each says whether a field is there
pub(crate) struct RowSummary {
    /// 0-based in the block.
    pub line: u32,
    pub input: u32,
    pub output: u32,
    /// Number of hash ids; 0 if they are invalid.
    pub ids: u32,
    /// Whether `input` and the fields below are unreliable.
    pub is_faulty: bool,
    pub delay: Option<f64>,
    pub timestamp: Option<f64>,
    pub group: Option<u32>,
    pub has_restart: bool,
    pub has_parent: bool,
    /// Whether it begins in the bundle of its parent.
    pub is_member: bool,
    /// Tokens of the output before it that it holds, if not all.
    pub returned: Option<u32>,
    pub end: Option<EndReason>,
    /// Derived columns, of a table only.
    pub derived: Option<Derived>,
}

/// Columns of a table that follow from other columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Derived {
    pub turn_index: u32,
    pub context_length: u32,
    pub input_length: u32,
}

/// Consecutive ids; in the incremental layout they may span several rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IdRun {
    pub start: i64,
    pub end: i64,
    /// Index in [`Digest::rows`] of the row where it starts.
    pub row: u32,
    /// Index of its first id in that row.
    pub at: u32,
}

/// Consecutive rows of one session.
#[derive(Debug)]
pub(crate) struct Span {
    pub rows: Range<u32>,
    pub runs: Range<u32>,
    /// `None` if the rows name no session.
    pub name: Option<Name>,
    /// Parent session, from the first row.
    pub parent: Option<Box<str>>,
    /// How the session is linked, from the first row.
    pub links: Option<Box<RowLinks>>,
    /// Whether an unreadable line of an unknown session comes before the span.
    pub after_fault: bool,
}

/// A session's name and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    pub text: Box<str>,
    pub hash: u64,
}

impl Name {
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), hash: hash(text) }
    }
}

/// The hash by which sessions are stored; the same in every process.
pub(crate) fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// The summary of a block of rows.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    /// Lines in the block, blank ones included.
    pub lines: u64,
    /// Rows, unreadable ones included.
    pub count: u64,
    pub rows: Vec<RowSummary>,
    pub runs: Vec<IdRun>,
    pub spans: Vec<Span>,
    /// Ids of partial KV blocks.
    pub partial: RoaringTreemap,
    /// Ids of partial KV blocks that occur more than once.
    pub partial_again: Vec<u64>,
    /// Findings about single rows, by 0-based line.
    pub diagnostics: Vec<(u32, Diagnostic)>,
    /// Whether the last line is unreadable.
    pub ends_with_fault: bool,
}

/// Builds a [`Digest`] row by row.
pub(crate) struct Digester<'a> {
    trace_rules: &'a TraceRules,
    digest: Digest,
    /// Session name of the open span.
    name: String,
    key: SessionKey,
    ids: RowIds,
    partial: Vec<u64>,
}

impl<'a> Digester<'a> {
    pub fn new(trace_rules: &'a TraceRules) -> Self {
        let digest = Digest::default();
        Self {
            trace_rules,
            digest,
            name: String::new(),
            key: SessionKey::None,
            ids: RowIds::default(),
            partial: Vec::new(),
        }
    }

    /// Adds a row and the findings of its reader.
    pub fn push(&mut self, line: u32, row: &Row, derived: Option<Derived>, diagnostics: &mut Vec<Diagnostic>) {
        self.digest.count += 1;
        let is_faulty = !diagnostics.is_empty();
        let end = row.end_reason.as_deref().and_then(EndReason::named);
        let mut ids = 0;
        if !is_faulty {
            let is_break = self.trace_rules.linked && row.end_reason.as_deref() == Some("break");
            if end.is_none()
                && !is_break
                && let Some(word) = &row.end_reason
            {
                diagnostics.push(Diagnostic::new(rules::END_REASON, format!("end_reason {word:?}"), END_REASONS));
            }
            if check_ids(row, self.trace_rules, &mut self.ids, diagnostics) {
                ids = row.hash_ids.len() as u32;
            }
        }
        let unreadable = is_faulty && row.session_key == SessionKey::None;
        self.digest.diagnostics.extend(diagnostics.drain(..).map(|f| (line, f)));
        if unreadable {
            self.digest.ends_with_fault = true;
            return;
        }
        self.open_span(row);
        let index = self.digest.rows.len() as u32;
        self.digest.rows.push(RowSummary {
            line,
            input: row.input_length,
            output: row.output_length,
            ids,
            is_faulty,
            delay: row.delay,
            timestamp: row.timestamp,
            group: row.group_id,
            has_restart: row.is_restart == Some(true),
            has_parent: row.parent_session_id.is_some(),
            is_member: row.links.as_ref().is_some_and(|links| links.is_member()),
            returned: row.links.as_ref().and_then(|links| links.returned_length),
            end,
            derived,
        });
        if ids > 0 {
            self.push_ids(row, index);
        }
        if let Some(span) = self.digest.spans.last_mut() {
            span.rows.end = index + 1;
            span.runs.end = self.digest.runs.len() as u32;
        }
    }

    /// Begins a span unless the row belongs to the open one.
    fn open_span(&mut self, row: &Row) {
        let after_fault = std::mem::take(&mut self.digest.ends_with_fault);
        let is_named = row.session_key != SessionKey::None;
        let continues = is_named
            && !after_fault
            && !self.digest.spans.is_empty()
            && self.key != SessionKey::None
            && self.name == row.session_id;
        if continues {
            return;
        }
        self.name.clear();
        self.name.push_str(&row.session_id);
        self.key = row.session_key;
        let (rows, runs) = (self.digest.rows.len() as u32, self.digest.runs.len() as u32);
        self.digest.spans.push(Span {
            rows: rows..rows,
            runs: runs..runs,
            name: is_named.then(|| Name::new(&row.session_id)),
            parent: row.parent_session_id.as_deref().map(Into::into),
            links: row.links.clone().filter(|_| self.trace_rules.linked),
            after_fault,
        });
    }

    fn push_ids(&mut self, row: &Row, index: u32) {
        let is_partial = !row.input_length.is_multiple_of(self.trace_rules.block_size);
        let open = self.digest.spans.last().map_or(0, |s| s.runs.start);
        for &(start, end, at) in &self.ids.runs {
            match self.trace_rules.layout {
                Layout::Incremental => {
                    let in_span = self.digest.runs.len() as u32 > open;
                    match self.digest.runs.last_mut() {
                        Some(last) if in_span && last.end == start => last.end = end,
                        _ => self.digest.runs.push(IdRun { start, end, row: index, at }),
                    }
                }
                // Full KV blocks only.
                Layout::Cumulative => {
                    let is_last = at as usize + (end - start) as usize == row.hash_ids.len();
                    let end = if is_last && is_partial { end - 1 } else { end };
                    if start < end {
                        self.digest.runs.push(IdRun { start, end, row: index, at });
                    }
                }
            }
        }
        if is_partial {
            self.partial.extend(row.hash_ids.last().map(|id| *id as u64));
        }
    }

    /// The summary of all rows; `lines` is the number of lines of the block, blank ones included.
    pub fn finish(self, lines: u64) -> Digest {
        let (mut partial, mut digest) = (self.partial, self.digest);
        partial.sort_unstable();
        digest.partial_again.extend(partial.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]));
        partial.dedup();
        digest.partial.append(partial).expect("sorted, each id once");
        Digest { lines, ..digest }
    }
}

const END_REASONS: &str = "forced_retire, probabilistic_reset, restart_split or target_turn_count";
