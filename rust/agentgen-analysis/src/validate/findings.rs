//! The validation report, and the bounded list of findings.

use std::borrow::Cow;

use agentgen_trace::Layout;
use agentgen_trace::diagnostic::{Diagnostic, Severity};
use schemars::JsonSchema;
use serde::Serialize;

use super::rules;

/// Version of the JSON form of [`ValidationReport`].
pub(super) const SCHEMA_VERSION: u32 = 2;

/// The result of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ValidationReport {
    /// Version of this JSON form.
    pub schema_version: u32,
    /// Whether there are no errors.
    pub ok: bool,
    /// `block-hash`, or `messages` for multi-turn messages, which have neither layout nor blocks.
    pub format: &'static str,
    /// The layout with which the rows were read.
    #[schemars(with = "Option<String>")]
    pub layout: Option<Layout>,
    /// Where the layout comes from.
    pub layout_from: Option<String>,
    /// Tokens per block.
    pub block_size: Option<u32>,
    /// Where the block size comes from.
    pub block_size_from: Option<String>,
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// Rows read, invalid ones included.
    pub rows: u64,
    /// Sessions; a row that names none counts as one.
    pub sessions: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// All errors, including those not in `findings`.
    pub errors: u64,
    /// All warnings, including those not in `findings`.
    pub warnings: u64,
    /// The first findings, by file and line.
    pub findings: Vec<Diagnostic>,
}

/// Counts all findings and keeps the first of each severity, by place.
#[derive(Debug)]
pub(crate) struct Findings {
    limit: usize,
    errors: BoundedList,
    warnings: BoundedList,
}

#[derive(Debug, Default)]
struct BoundedList {
    count: u64,
    list: Vec<Diagnostic>,
}

impl BoundedList {
    fn add(&mut self, found: Diagnostic, limit: usize) {
        self.count += 1;
        self.list.push(found);
        // Most findings come in order; truncating at twice the limit makes sorting rare.
        if self.list.len() >= 2 * limit.max(64) {
            self.truncate(limit);
        }
    }

    fn truncate(&mut self, limit: usize) {
        self.list.sort_by(|a, b| (a.place(), a.rule, &a.found).cmp(&(b.place(), b.rule, &b.found)));
        self.list.truncate(limit);
    }
}

impl Findings {
    pub fn new(limit: usize) -> Self {
        Self { limit, errors: BoundedList::default(), warnings: BoundedList::default() }
    }

    pub fn add(&mut self, mut found: Diagnostic) {
        found.field = found.field.or_else(|| rules::field(found.rule).map(Cow::Borrowed));
        match found.severity {
            Severity::Error => self.errors.add(found, self.limit),
            Severity::Warning => self.warnings.add(found, self.limit),
        }
    }

    /// Counts errors that are not listed.
    pub fn count_errors(&mut self, count: u64) {
        self.errors.count += count;
    }

    /// Number of errors, number of warnings, and the findings with file names.
    pub fn finish(self, names: &[String]) -> (u64, u64, Vec<Diagnostic>) {
        let (errors, warnings, list) = self.sorted();
        (errors, warnings, list.into_iter().map(|found| found.resolve(names)).collect())
    }

    /// Like [`Self::finish`], with file indices in place of names.
    pub fn sorted(mut self) -> (u64, u64, Vec<Diagnostic>) {
        self.errors.truncate(self.limit);
        self.warnings.truncate(self.limit);
        let mut list = self.errors.list;
        list.append(&mut self.warnings.list);
        list.sort_by(|a, b| (a.place(), a.rule, &a.found).cmp(&(b.place(), b.rule, &b.found)));
        (self.errors.count, self.warnings.count, list)
    }
}
