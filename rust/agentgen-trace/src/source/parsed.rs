//! The rows of one block as its worker leaves them: everything that can be known without the rows before.

use super::blocks::Block;
use crate::diagnostic::Diagnostic;
use crate::row::{Row, SessionKey};

/// Bytes of [`Parsed::text`].
pub(super) type Span = std::ops::Range<usize>;

/// A block's rows.
#[derive(Debug)]
pub(super) struct Parsed {
    pub heads: Vec<Head>,
    /// Names of sessions, one after the other.
    pub text: String,
    pub hash_ids: Vec<i64>,
    /// Ends of the rows' ids.
    pub offsets: Vec<i64>,
    /// The distinct end reasons; rows hold indices.
    pub reasons: Vec<String>,
    /// Lines gone over, blank ones included: all of the block, unless one is faulty.
    pub lines: u64,
    /// The first faulty line, where reading stopped.
    pub diagnostic: Option<(u64, Diagnostic)>,
}

/// A row without its ids.
#[derive(Debug)]
pub(super) struct Head {
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
}

impl Parsed {
    /// Reads a block's rows; their ids are kept only if somebody wants them.
    pub(super) fn read(block: &Block, wants_ids: bool) -> Self {
        let mut parsed = Self {
            heads: Vec::new(),
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
            if let Some(diagnostic) = diagnostics.drain(..).next().or_else(|| parsed.push(line.number, &row, wants_ids))
            {
                parsed.diagnostic = Some((line.number, diagnostic));
                break;
            }
        }
        parsed.lines = lines.passed();
        parsed
    }

    fn push(&mut self, line: u64, row: &Row, wants_ids: bool) -> Option<Diagnostic> {
        let session = (row.session_key != SessionKey::None).then(|| {
            let last = self.heads.last().and_then(|h| h.session.clone());
            last.filter(|span| self.text[span.clone()] == row.session_id).unwrap_or_else(|| self.name(&row.session_id))
        });
        let parent = row.parent_session_id.as_deref().map(|name| self.name(name));
        let end_reason = match row.end_reason.as_deref().map(|reason| self.reason(reason)) {
            Some(None) => {
                return Some(Diagnostic::new("range", "the 129th end_reason", "at most 128 different ones"));
            }
            known => known.flatten(),
        };
        self.heads.push(Head {
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

    /// The index of a reason, if there is room for it.
    fn reason(&mut self, reason: &str) -> Option<i8> {
        let known = self.reasons.iter().position(|r| r == reason);
        i8::try_from(known.unwrap_or_else(|| {
            self.reasons.push(reason.to_owned());
            self.reasons.len() - 1
        }))
        .ok()
    }
}
