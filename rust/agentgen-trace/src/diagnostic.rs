//! What parsers, readers and validators find wrong.

use std::fmt;

use serde::Serialize;

/// A rule that a row breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Short name of the rule (`type`, `range`, `missing-field`, ...).
    pub rule: &'static str,
    /// What the row has, with the field's name.
    pub found: String,
    /// What the rule asks for.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: found {}, expected {}", self.rule, self.found, self.expected)
    }
}

impl Fault {
    /// A broken rule, by its name.
    pub fn new(rule: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { rule, found: found.into(), expected: expected.into() }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The trace breaks a rule.
    Error,
    /// Worth knowing; the trace may be used.
    Warning,
}

/// Where something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index of the file.
    pub file: u32,
    /// 1-based; 0 for the file as a whole.
    pub line: u64,
}

/// A finding whose file is still an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// Name of the rule.
    pub rule: &'static str,
    /// What the trace has.
    pub found: String,
    /// What the rule asks for.
    pub expected: String,
}

impl Issue {
    /// An error.
    #[must_use]
    pub fn error(place: Place, rule: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, rule, found: found.into(), expected: expected.into() }
    }
}
