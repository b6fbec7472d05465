//! What the first look at the rows leaves open.

use roaring::RoaringTreemap;

use super::digest::{Name, Run};
use super::findings::Findings;
use super::incremental::Reuse;
use super::rules;
use super::trace_rules::TraceRules;
use agentgen_trace::diagnostic::{Diagnostic, Place};

/// How a session ended that another continues.
#[derive(Debug, Clone, Default)]
pub(crate) struct Split {
    /// Its last prompt and output, tokens.
    pub next_context: Option<u64>,
    pub group: Option<u32>,
    pub prompt: Vec<Run>,
    /// The run, of a generated session, and its last row.
    pub run: Option<(u64, Place)>,
    /// New tokens of its turns, where ids of the continuation follow from them and none was lost.
    pub inputs: Option<Box<[u32]>>,
}

/// What only a second look at the rows can tell.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    /// Where was this id first?
    pub reuses: Vec<(Place, Reuse)>,
    /// Which session has this name already?
    pub duplicates: Vec<Duplicate>,
    /// How did the parent end, which was not split?
    pub children: Vec<Child>,
    /// Do these ids always name the same block?
    pub suspects: RoaringTreemap,
}

/// The first row of a session whose name is not new.
#[derive(Debug)]
pub(crate) struct Duplicate {
    pub place: Place,
    pub name: Name,
    /// Its row looks like the first of a session.
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

/// Keeps a question about a certain error, or only counts the error when nobody would read the answer.
pub(crate) fn ask<T>(pending_checks: &mut Vec<T>, question: T, limit: usize, findings: &mut Findings) {
    if pending_checks.len() < limit {
        pending_checks.push(question);
    } else {
        findings.count_errors(1);
    }
}

impl Child {
    /// Holds it against the end of its parent.
    pub fn check(&self, parent: &Split, trace_rules: &TraceRules, out: &mut Findings) {
        let name = &self.parent.text;
        if let (Some(theirs), Some(ours)) = (parent.group, self.group)
            && theirs != ours
        {
            let found = format!("group_id {ours}, of the parent {name:?} {theirs}");
            out.add(Diagnostic::new(rules::PARENT_GROUP, found, "the parent's group").at(self.place));
        }
        let Some(next) = parent.next_context else { return };
        // Where the cap is unknown, any shorter prompt may have been capped.
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
