//! What validation reports, and the bounded list it is collected in.

use std::borrow::Cow;

use agentgen_trace::Layout;
use agentgen_trace::diagnostic::{Diagnostic, Severity};
use serde::Serialize;

use super::rules;

/// The result of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ValidationReport {
    /// No errors.
    pub ok: bool,
    /// `block-hash`, or `messages` (multi-turn messages, which have neither layout nor blocks).
    pub format: &'static str,
    /// How the rows were read.
    pub layout: Option<Layout>,
    /// Who said so.
    pub layout_from: Option<String>,
    /// Tokens a block.
    pub block_size: Option<u32>,
    /// Who said so.
    pub block_size_from: Option<String>,
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// Rows read, faulty ones included.
    pub rows: u64,
    /// Sessions; rows that name none count as one each.
    pub sessions: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// All errors, also those that `findings` leaves out.
    pub errors: u64,
    /// All warnings, also those that `findings` leaves out.
    pub warnings: u64,
    /// The first findings, by file and line.
    pub findings: Vec<Diagnostic>,
}

/// Counts every finding and keeps those that will be shown: the first of each severity, by place.
#[derive(Debug)]
pub(crate) struct Findings {
    limit: usize,
    errors: Kept,
    warnings: Kept,
}

#[derive(Debug, Default)]
struct Kept {
    count: u64,
    list: Vec<Diagnostic>,
}

impl Kept {
    fn add(&mut self, found: Diagnostic, limit: usize) {
        self.count += 1;
        self.list.push(found);
        // Most findings come in order; cutting at twice the limit makes the sort rare.
        if self.list.len() >= 2 * limit.max(64) {
            self.cut(limit);
        }
    }

    fn cut(&mut self, limit: usize) {
        self.list.sort_by(|a, b| (a.place(), a.rule, &a.found).cmp(&(b.place(), b.rule, &b.found)));
        self.list.truncate(limit);
    }
}

impl Findings {
    pub fn new(limit: usize) -> Self {
        Self { limit, errors: Kept::default(), warnings: Kept::default() }
    }

    pub fn add(&mut self, mut found: Diagnostic) {
        found.field = found.field.or_else(|| rules::field(found.rule).map(Cow::Borrowed));
        match found.severity {
            Severity::Error => self.errors.add(found, self.limit),
            Severity::Warning => self.warnings.add(found, self.limit),
        }
    }

    /// Counts errors that nothing will be said about.
    pub fn count_errors(&mut self, count: u64) {
        self.errors.count += count;
    }

    /// Errors, warnings and the list of both, with the files' names.
    pub fn finish(self, names: &[String]) -> (u64, u64, Vec<Diagnostic>) {
        let (errors, warnings, list) = self.sorted();
        (errors, warnings, list.into_iter().map(|found| found.resolve(names)).collect())
    }

    /// The same, files still as indices.
    pub fn sorted(mut self) -> (u64, u64, Vec<Diagnostic>) {
        self.errors.cut(self.limit);
        self.warnings.cut(self.limit);
        let mut list = self.errors.list;
        list.append(&mut self.warnings.list);
        list.sort_by(|a, b| (a.place(), a.rule, &a.found).cmp(&(b.place(), b.rule, &b.found)));
        (self.errors.count, self.warnings.count, list)
    }
}
