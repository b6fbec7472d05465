//! What validation reports, and the bounded list it is collected in.

use agentgen_trace::Layout;
pub use agentgen_trace::diagnostic::Severity;
pub(crate) use agentgen_trace::diagnostic::{Issue, Place};
use serde::Serialize;

/// One broken rule at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: String,
    /// 1-based line (of a table: row); 0 for the file as a whole.
    pub line: u64,
    /// Name of the rule.
    pub rule: &'static str,
    /// What the trace has.
    pub found: String,
    /// What the rule asks for.
    pub expected: String,
}

/// The result of a validation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// No errors.
    pub ok: bool,
    /// `hashed` rows, or `messages` in text; the latter have neither layout nor blocks.
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
    pub findings: Vec<Finding>,
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
    list: Vec<Issue>,
}

impl Kept {
    fn add(&mut self, found: Issue, limit: usize) {
        self.count += 1;
        self.list.push(found);
        // Most findings come in order; cutting at twice the limit makes the sort rare.
        if self.list.len() >= 2 * limit.max(64) {
            self.cut(limit);
        }
    }

    fn cut(&mut self, limit: usize) {
        self.list.sort_by(|a, b| (a.place, a.rule, &a.found).cmp(&(b.place, b.rule, &b.found)));
        self.list.truncate(limit);
    }
}

impl Findings {
    pub fn new(limit: usize) -> Self {
        Self { limit, errors: Kept::default(), warnings: Kept::default() }
    }

    pub fn add(&mut self, found: Issue) {
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
    pub fn finish(self, names: &[String]) -> (u64, u64, Vec<Finding>) {
        let named = |found: Issue| Finding {
            severity: found.severity,
            file: names.get(found.place.file as usize).cloned().unwrap_or_default(),
            line: found.place.line,
            rule: found.rule,
            found: found.found,
            expected: found.expected,
        };
        let (errors, warnings, list) = self.sorted();
        (errors, warnings, list.into_iter().map(named).collect())
    }

    /// The same, files still as indices.
    pub fn sorted(mut self) -> (u64, u64, Vec<Issue>) {
        self.errors.cut(self.limit);
        self.warnings.cut(self.limit);
        let mut list = self.errors.list;
        list.append(&mut self.warnings.list);
        list.sort_by(|a, b| (a.place, a.rule, &a.found).cmp(&(b.place, b.rule, &b.found)));
        (self.errors.count, self.warnings.count, list)
    }
}
