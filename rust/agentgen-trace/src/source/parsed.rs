//! The rows of one block, parsed on a worker thread: everything that does not depend on earlier blocks.

use super::blocks::Block;
use crate::diagnostic::Diagnostic;
use crate::row::{Row, RowLinks, SessionKey};

/// A range of [`ParsedBlock::text`].
pub(super) type Span = std::ops::Range<usize>;

/// A block's rows.
#[derive(Debug)]
pub(super) struct ParsedBlock {
    pub headers: Vec<RowHeader>,
    /// Names of sessions, concatenated.
    pub text: String,
    pub hash_ids: Vec<i64>,
    /// Offsets of the rows' hash ids.
    pub offsets: Vec<i64>,
    /// The distinct end reasons; rows hold indices.
    pub reasons: Vec<String>,
    /// Lines read, blank ones included: all lines of the block, unless one is invalid.
    pub lines: u64,
    /// The first invalid line, at which reading stopped.
    pub diagnostic: Option<(u64, Diagnostic)>,
}

/// A row without its hash ids.
#[derive(Debug)]
pub(super) struct RowHeader {
    /// 0-based line in the block.
    pub line: u64,
    pub session: Option<Span>,
    pub input_length: u32,
    pub output_length: u32,
    pub timestamp: Option<f64>,
    pub delay: Option<f64>,
    pub group_id: Option<u32>,
    pub is_restart: Option<bool>,
    pub parent: Option<Span>,
    pub end_reason: Option<i8>,
    pub links: Option<Box<RowLinks>>,
}

impl ParsedBlock {
    /// Reads a block's rows; keeps their hash ids if `wants_ids`.
    pub(super) fn read(block: &Block, wants_ids: bool) -> Self {
        let mut parsed = Self {
            headers: Vec::new(),
            text: String::new(),
            hash_ids: Vec::new(),
            offsets: vec![0],
            reasons: Vec::new(),
            lines: 0,
            diagnostic: None,
        };
        let (mut row, mut diagnostics) = (Row::default(), Vec::new());
        let mut lines = block.lines();
        for line in lines.by_ref() {
            line.parse_row(&mut row, &mut diagnostics);
            if let Some(diagnostic) =
                diagnostics.drain(..).next().or_else(|| parsed.push(line.number, &mut row, wants_ids))
            {
                parsed.diagnostic = Some((line.number, diagnostic));
                break;
            }
        }
        parsed.lines = lines.lines_read();
        parsed
    }

    fn push(&mut self, line: u64, row: &mut Row, wants_ids: bool) -> Option<Diagnostic> {
        let session = (row.session_key != SessionKey::None).then(|| {
            let last = self.headers.last().and_then(|h| h.session.clone());
            last.filter(|span| self.text[span.clone()] == row.session_id).unwrap_or_else(|| self.name(&row.session_id))
        });
        let parent = row.parent_session_id.as_deref().map(|name| self.name(name));
        let end_reason = match row.end_reason.as_deref().map(|reason| self.reason(reason)) {
            Some(None) => {
                return Some(Diagnostic::new("range", "the 129th end_reason", "at most 128 different ones"));
            }
            known => known.flatten(),
        };
        self.headers.push(RowHeader {
            line,
            session,
            input_length: row.input_length,
            output_length: row.output_length,
            timestamp: row.timestamp,
            delay: row.delay,
            group_id: row.group_id,
            is_restart: row.is_restart,
            parent,
            end_reason,
            links: row.links.take(),
        });
        if wants_ids {
            self.hash_ids.extend_from_slice(&row.hash_ids);
            self.offsets.push(self.hash_ids.len() as i64);
        }
        None
    }

    fn name(&mut self, name: &str) -> Span {
        let start = self.text.len();
        self.text.push_str(name);
        start..self.text.len()
    }

    /// The index of an end reason; `None` if there are more than an `i8` can count.
    fn reason(&mut self, reason: &str) -> Option<i8> {
        let known = self.reasons.iter().position(|r| r == reason);
        i8::try_from(known.unwrap_or_else(|| {
            self.reasons.push(reason.to_owned());
            self.reasons.len() - 1
        }))
        .ok()
    }
}
