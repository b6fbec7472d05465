//! Checks that need a second pass over the rows.

use roaring::RoaringTreemap;

use super::digest::{IdRun, Name};
use super::findings::Findings;
use super::incremental::Reuse;
use super::rules;
use super::trace_rules::TraceRules;
use agentgen_trace::diagnostic::{Diagnostic, Place};

/// The end of a session that another session continues.
#[derive(Debug, Clone, Default)]
pub(crate) struct Split {
    /// Its last prompt and output, tokens.
    pub next_context: Option<u64>,
    pub group: Option<u32>,
    pub prompt: Vec<IdRun>,
    /// Of a generated session: the root session's index, and the place of its last row.
    pub root: Option<(u64, Place)>,
    /// New tokens of all its turns, if they are known and determine the ids of the continuation.
    pub inputs: Option<Box<[u32]>>,
}

/// Checks that need a second pass over the rows.
#[derive(Debug, Default)]
pub(crate) struct PendingChecks {
    /// Repeated ids, whose first place is needed.
    pub reuses: Vec<(Place, Reuse)>,
    /// Repeated session names, whose first place is needed.
    pub duplicates: Vec<Duplicate>,
    /// Continuations of parents that have not ended with a split so far.
    pub children: Vec<Child>,
    /// Ids that may name different blocks.
    pub suspects: RoaringTreemap,
}

/// The first row of a session whose name is not new.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub place: Place,
    pub name: Name,
    /// Whether the row looks like the first of a session.
    pub starts: bool,
}

/// A continuation's first row.
#[derive(Debug)]
pub(crate) struct Child {
    pub place: Place,
    pub parent: Name,
    pub input: u32,
    pub group: Option<u32>,
}

/// Stores a check of a certain error; only counts the error if its text would not be listed.
pub(crate) fn add_check<T>(pending_checks: &mut Vec<T>, check: T, limit: usize, findings: &mut Findings) {
    if pending_checks.len() < limit {
        pending_checks.push(check);
    } else {
        findings.count_errors(1);
    }
}

impl Child {
    /// Checks the continuation against the end of its parent.
    pub fn check(&self, parent: &Split, trace_rules: &TraceRules, out: &mut Findings) {
        let name = &self.parent.text;
        if let (Some(theirs), Some(ours)) = (parent.group, self.group)
            && theirs != ours
        {
            let found = format!("group_id {ours}, of the parent {name:?} {theirs}");
            out.add(Diagnostic::new(rules::PARENT_GROUP, found, "the parent's group").at(self.place));
        }
        let Some(next) = parent.next_context else { return };
        // If the limit of prompts is unknown, any shorter prompt may have been truncated.
        let input = u64::from(self.input);
        let cap = trace_rules.max_prompt_tokens().map_or(input, |max| u64::from(max) - 1);
        let expected = next.min(cap);
        if input != expected {
            let found = format!("input_length {input}");
            let expected = format!("{expected}: context and output of the parent's last row");
            out.add(Diagnostic::new(rules::PARENT_CONTEXT, found, expected).at(self.place));
        }
    }
}
