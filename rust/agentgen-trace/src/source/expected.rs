//! Files against the manifests that list them.

use std::path::Path;

use agentgen_engine::text::counted;

use super::model::ExpectedFile;
use crate::diagnostic::Diagnostic;
use crate::error::{Result, TraceError};
use crate::manifest::{self, Manifest};
use crate::sink::file::digest;

/// Rule: a file is not as its manifest says.
pub const DIGEST: &str = "digest";

/// Files up to this size are hashed whenever they are read: a fraction of a second.
const CHEAP_BYTES: u64 = 64 << 20;

/// Refuses a file that the manifest beside it lists and that differs from its entry. A missing file is none.
pub fn check_listed(path: &Path) -> Result<()> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.exists()) else { return Ok(()) };
    // Some other program's manifest.json says nothing about it.
    let manifest = Manifest::read(&path.with_file_name(manifest::FILE_NAME)).ok();
    let Some(entry) = manifest.as_ref().and_then(|manifest| manifest.file(name)) else { return Ok(()) };
    let file = ExpectedFile { path: path.to_owned(), entry: entry.clone(), whole_run: false };
    file.difference(true).map_or(Ok(()), |difference| Err(file.refused(difference)))
}

impl ExpectedFile {
    /// The error of a reader that needs the file as it was.
    pub(super) fn refused(&self, difference: Diagnostic) -> TraceError {
        let help = "it is not the file of this run: generate it again, or read a copy in another directory";
        difference.with_help(help).in_file(&self.path).into()
    }

    /// In what the file differs from its entry: size, then digest. A large file is hashed only on request.
    #[must_use]
    pub fn difference(&self, hash_large: bool) -> Option<Diagnostic> {
        let expected = &self.entry;
        let issue = |found: String, expected: String| Some(Diagnostic::new(DIGEST, found, expected));
        let bytes = match std::fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => metadata.len(),
            Ok(_) => return issue("no plain file".into(), "the file that manifest.json lists".into()),
            Err(_) => return issue("no such file".into(), "the file that manifest.json lists".into()),
        };
        if bytes != expected.bytes {
            return issue(
                counted(bytes, "byte"),
                format!("{}, as manifest.json says", counted(expected.bytes, "byte")),
            );
        }
        if !hash_large && bytes > CHEAP_BYTES {
            return None;
        }
        match digest(&self.path) {
            Ok(found) if found.sha256 == expected.sha256 => None,
            Ok(found) => issue(
                format!("SHA-256 {}...", &found.sha256[..12]),
                format!("{}..., as manifest.json says", expected.sha256.get(..12).unwrap_or_default()),
            ),
            Err(error) => issue(error.to_string(), "a readable file".into()),
        }
    }
}
