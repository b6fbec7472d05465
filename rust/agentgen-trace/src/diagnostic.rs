//! Findings of parsers, readers and validators, as data. `Display` makes their text where it is shown.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

/// Parameter for the layout of a trace that does not state it.
pub const TRACE_LAYOUT: &str = "trace_layout";
/// Parameter for the block size, in tokens, of a trace that does not state it.
pub const TRACE_BLOCK_SIZE: &str = "trace_block_size";

/// Severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The trace breaks a rule.
    Error,
    /// The trace can be used.
    Warning,
}

/// The file that a diagnostic is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum File {
    /// None, or unknown where the diagnostic is made.
    #[default]
    Unknown,
    /// Index into the list of files that are read together; [`Diagnostic::resolve`] replaces it by the name.
    Index(u32),
    /// The file's name, as the user gave it.
    Name(String),
}

/// A line of one of several files that are read together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index of the file.
    pub file: u32,
    /// 1-based line (of a table: row); 0 for the file as a whole.
    pub line: u64,
}

/// A finding: where it is, what was found, what was expected, and what to do about it.
///
/// `Display` writes `file:line: rule: found X, expected Y (help)`, without the unknown parts; if the rule has no name, the
/// name of the field takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Diagnostic {
    /// Its severity.
    pub severity: Severity,
    /// The file.
    pub file: File,
    /// 1-based line (of a table: row); 0 for the file as a whole.
    pub line: u64,
    /// The field of the row, column of the table or parameter of the call, if it is a single one.
    pub field: Option<Cow<'static, str>>,
    /// Name of the broken rule (`type`, `range`, `missing-field`, ...); empty if it has none.
    pub rule: &'static str,
    /// What was found.
    pub found: String,
    /// What was expected.
    pub expected: String,
    /// What to do about it.
    pub help: Option<Cow<'static, str>>,
}

impl Diagnostic {
    /// An error at an unknown place, by the name of the broken rule.
    pub fn new(rule: &'static str, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            file: File::Unknown,
            line: 0,
            field: None,
            rule,
            found: cut(found.into()),
            expected: expected.into(),
            help: None,
        }
    }

    /// An error that breaks no named rule.
    pub fn unnamed(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new("", found, expected)
    }

    /// Turns it into a warning.
    #[must_use]
    pub fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    /// Sets the place.
    #[must_use]
    pub fn at(self, place: Place) -> Self {
        Self { file: File::Index(place.file), line: place.line, ..self }
    }

    /// Sets the line.
    #[must_use]
    pub fn on_line(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// Sets the file.
    #[must_use]
    pub fn in_file(self, path: &Path) -> Self {
        Self { file: File::Name(path.display().to_string()), ..self }
    }

    /// Sets the field.
    #[must_use]
    pub fn with_field(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Sets what to do about it.
    #[must_use]
    pub fn with_help(self, help: impl Into<Cow<'static, str>>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// The file's name, if known.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        if let File::Name(name) = &self.file { Some(name) } else { None }
    }

    /// The place, among files that are read together.
    #[must_use]
    pub fn place(&self) -> Place {
        let file = if let File::Index(index) = self.file { index } else { 0 };
        Place { file, line: self.line }
    }

    /// Replaces a file's index by its name.
    #[must_use]
    pub fn resolve(mut self, names: &[String]) -> Self {
        if let File::Index(index) = self.file {
            self.file = names.get(index as usize).cloned().map_or(File::Unknown, File::Name);
        }
        self
    }

    /// `found X, expected Y (help)`: the text without place and subject.
    #[must_use]
    pub fn reason(&self) -> String {
        let help = self.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
        format!("found {}, expected {}{help}", self.found, self.expected)
    }
}

/// Texts quote names and values from files, which may have any length; a message shows at most this much of them.
const SHOWN_BYTES: usize = 600;

fn cut(mut text: String) -> String {
    if text.len() > SHOWN_BYTES {
        text.truncate((0..=SHOWN_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0));
        text.push('…');
    }
    text
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.file {
            File::Name(name) if self.line > 0 => write!(f, "{name}:{}: ", self.line)?,
            File::Name(name) => write!(f, "{name}: ")?,
            File::Unknown | File::Index(_) if self.line > 0 => write!(f, "line {}: ", self.line)?,
            File::Unknown | File::Index(_) => {}
        }
        let subject = if self.rule.is_empty() { self.field.as_deref() } else { Some(self.rule) };
        if let Some(subject) = subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let found = Diagnostic::unnamed(format!("a{}", "ä".repeat(400)), "less").found;
        assert_eq!(found, format!("a{}…", "ä".repeat(299)));
    }

    #[test]
    fn the_text_omits_unknown_parts() {
        let bare = Diagnostic::unnamed("2 ids", "3");
        assert_eq!(bare.to_string(), "found 2 ids, expected 3");
        let placed = bare.clone().with_field("hash_ids").in_file(Path::new("t.jsonl"));
        assert_eq!(placed.to_string(), "t.jsonl: hash_ids: found 2 ids, expected 3");
        let ruled = Diagnostic { rule: "id-count", ..placed }.on_line(7).with_help("count again");
        assert_eq!(ruled.to_string(), "t.jsonl:7: id-count: found 2 ids, expected 3 (count again)");
        let indexed = bare.at(Place { file: 1, line: 4 });
        assert_eq!(indexed.to_string(), "line 4: found 2 ids, expected 3");
        assert_eq!(indexed.resolve(&["a".into(), "b".into()]).to_string(), "b:4: found 2 ids, expected 3");
    }
}
