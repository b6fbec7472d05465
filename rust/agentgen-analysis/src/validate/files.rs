//! Checks files against their manifests: all files of a given run directory, in every format.

use agentgen_engine::text::counted;
use agentgen_trace::Cancel;
use agentgen_trace::sink::file::digest;
use agentgen_trace::source::ExpectedFile;

use super::rules::DIGEST;
use agentgen_trace::diagnostic::{Diagnostic, Place};

/// Checks the size and digest of each expected file; the first of them has index `first` in findings.
pub(super) fn check(expected_files: &[ExpectedFile], first: usize, cancel: &Cancel) -> Vec<Diagnostic> {
    let numbered = expected_files.iter().enumerate().take_while(|_| !cancel.is_cancelled());
    numbered.filter_map(|(i, file)| check_file(file, Place { file: (first + i) as u32, line: 0 })).collect()
}

fn check_file(file: &ExpectedFile, place: Place) -> Option<Diagnostic> {
    let expected = &file.entry;
    let diagnostic = |found: String, expected: String| Some(Diagnostic::new(DIGEST, found, expected).at(place));
    let bytes = match std::fs::metadata(&file.path) {
        Ok(metadata) => metadata.len(),
        Err(_) => return diagnostic("no such file".into(), "the file that manifest.json lists".into()),
    };
    if bytes != expected.bytes {
        return diagnostic(
            counted(bytes, "byte"),
            format!("{}, as manifest.json says", counted(expected.bytes, "byte")),
        );
    }
    // Hashing a single data file would take longer than validating its rows.
    if !file.whole_run {
        return None;
    }
    match digest(&file.path) {
        Ok(found) if found.sha256 == expected.sha256 => None,
        Ok(found) => diagnostic(
            format!("SHA-256 {}...", &found.sha256[..12]),
            format!("{}..., as manifest.json says", expected.sha256.get(..12).unwrap_or_default()),
        ),
        Err(error) => diagnostic(error.to_string(), "a readable file".into()),
    }
}
