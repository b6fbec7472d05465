//! Files to import: those named, those of folders and patterns, and those in the default directories of the tools.
//!
//! The list is sorted, so that the same files always give the same names. Links to directories inside a folder are not
//! followed: a walk ends, whatever links to what.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use glob::{MatchOptions, Pattern};
use walkdir::{DirEntry, WalkDir};

pub use super::formats::Environment;
use super::formats::Format;
use super::model::Problem;

/// Files of tools that hold no session.
const INDEX_FILES: [&str; 5] =
    ["sessions-index.json", "session_index.jsonl", "sessions.json", "history.jsonl", "settings.json"];

/// Folders of tools that hold no session.
const OTHER_FOLDERS: [&str; 2] = ["tool-results", "file-history"];

/// The files to import.
#[derive(Debug, Default)]
pub struct Sources {
    /// The files, sorted by path, each once.
    pub files: Vec<SourceFile>,
    /// Folders that could not be read.
    pub problems: Vec<Problem>,
}

/// A file to import.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceFile {
    /// Its path.
    pub path: PathBuf,
    /// Whether it was named itself, so that it is an error if its format is unknown.
    pub is_named: bool,
}

/// Finds the files of `given`: files, folders and patterns (`*`, `**`, `?`, `[a-z]`). Without any, looks into the default
/// directories of `formats`.
pub fn discover(given: &[PathBuf], formats: &[&Format], environment: Environment) -> Result<Sources> {
    let mut found = Found::new(formats);
    if given.is_empty() {
        let roots: BTreeSet<PathBuf> = formats.iter().flat_map(|f| (f.default_folders)(environment)).collect();
        for root in &roots {
            if root.is_dir() {
                found.folder(root);
            }
        }
        if found.files.is_empty() {
            return Err(nothing_found(&roots));
        }
    }
    for source in given {
        found.source(source)?;
    }
    if found.files.is_empty() {
        let names: Vec<_> = given.iter().map(|p| p.display().to_string()).collect();
        let expected = format!("files that end in {}", found.extensions.join(", "));
        return Err(TraceError::usage(
            "sources",
            Diagnostic::unnamed(format!("none in {}", names.join(", ")), expected),
        ));
    }
    Ok(found.finish())
}

fn nothing_found(roots: &BTreeSet<PathBuf>) -> TraceError {
    let looked: Vec<_> = roots.iter().map(|r| r.display().to_string()).collect();
    let found = "no recorded sessions in the default directories".to_owned();
    let expected = if looked.is_empty() {
        "a file or folder (these formats have no default directory)".to_owned()
    } else {
        format!("files in {}", looked.join(", "))
    };
    TraceError::usage("sources", Diagnostic::unnamed(found, expected).with_help("name a file or a folder"))
}

/// Files found so far.
struct Found {
    extensions: Vec<&'static str>,
    /// By canonical path, so that no file is read twice.
    files: BTreeMap<PathBuf, SourceFile>,
    problems: Vec<Problem>,
}

impl Found {
    fn new(formats: &[&Format]) -> Self {
        let extensions: BTreeSet<&str> = formats.iter().flat_map(|f| f.extensions.iter().copied()).collect();
        Self { extensions: extensions.into_iter().collect(), files: BTreeMap::new(), problems: Vec::new() }
    }

    fn source(&mut self, source: &Path) -> Result<()> {
        if source.is_dir() {
            self.folder(source);
        } else if source.exists() {
            self.add(source.to_owned(), true);
        } else {
            let pattern = source.to_str().filter(|s| s.contains(['*', '?', '[']));
            let Some(pattern) = pattern else {
                let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
                return Err(TraceError::io(source, missing));
            };
            let pattern = Pattern::new(pattern).map_err(|e| {
                let diagnostic = Diagnostic::unnamed(format!("the pattern {pattern}"), "a valid pattern");
                TraceError::usage("sources", diagnostic.with_help(e.msg))
            })?;
            self.pattern(source, &pattern);
        }
        Ok(())
    }

    /// Adds the files that a pattern matches, and those in the folders that it matches.
    fn pattern(&mut self, source: &Path, pattern: &Pattern) {
        let is_plain = |part: &Component| !part.as_os_str().to_string_lossy().contains(['*', '?', '[']);
        let base: PathBuf = source.components().take_while(is_plain).collect();
        let parts = source.components().count() - base.components().count();
        let any_depth = source.components().any(|part| part.as_os_str() == "**");
        let root = if base.as_os_str().is_empty() { Path::new(".") } else { &base };
        let walk = WalkDir::new(root).min_depth(1).max_depth(if any_depth { usize::MAX } else { parts });
        let options = MatchOptions { require_literal_separator: true, ..MatchOptions::new() };
        let mut entries = walk.into_iter().filter_entry(may_hold_sessions);
        while let Some(entry) = entries.next() {
            let Some(entry) = self.readable(root, entry) else { continue };
            // The walk of the current directory begins with `.`, the pattern does not.
            let path = base.join(entry.path().strip_prefix(root).unwrap_or(entry.path()));
            if !pattern.matches_path_with(&path, options) {
                continue;
            }
            if path.is_dir() {
                self.folder(&path);
                if entry.file_type().is_dir() {
                    entries.skip_current_dir();
                }
            } else {
                self.candidate(path);
            }
        }
    }

    /// Adds the files of a folder and the folders in it.
    fn folder(&mut self, root: &Path) {
        for entry in WalkDir::new(root).into_iter().filter_entry(may_hold_sessions) {
            if let Some(entry) = self.readable(root, entry) {
                self.candidate(entry.into_path());
            }
        }
    }

    /// An entry of a walk; one that cannot be read becomes a problem.
    fn readable(&mut self, root: &Path, entry: walkdir::Result<DirEntry>) -> Option<DirEntry> {
        entry
            .map_err(|e| {
                let reason = e.io_error().map_or_else(|| "not read".to_owned(), |e| format!("not read: {}", e.kind()));
                self.problems.push(Problem { file: e.path().unwrap_or(root).to_owned(), line: None, reason });
            })
            .ok()
    }

    /// Adds a file that may hold sessions; a pipe or device is none.
    fn candidate(&mut self, path: PathBuf) {
        if self.is_candidate(&path) && path.is_file() {
            self.add(path, false);
        }
    }

    fn is_candidate(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return false };
        let plain = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(name);
        let is_index =
            INDEX_FILES.contains(&plain) || plain.ends_with(".meta.json") || plain.starts_with("request_dump_");
        !is_index && self.extensions.iter().any(|e| plain.strip_suffix(e).is_some_and(|stem| stem.ends_with('.')))
    }

    fn add(&mut self, path: PathBuf, is_named: bool) {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        let file = self.files.entry(canonical).or_insert_with(|| SourceFile { path: path.clone(), is_named });
        // The order of a folder's entries must not matter.
        file.path = path.min(std::mem::take(&mut file.path));
        file.is_named |= is_named;
    }

    fn finish(self) -> Sources {
        let mut files: Vec<_> = self.files.into_values().collect();
        files.sort();
        Sources { files, problems: self.problems }
    }
}

/// Whether an entry of a walk is not one of the folders of tools that hold no session.
fn may_hold_sessions(entry: &DirEntry) -> bool {
    let is_other = OTHER_FOLDERS.iter().any(|other| entry.file_name() == *other);
    entry.depth() == 0 || !(is_other && entry.file_type().is_dir())
}
