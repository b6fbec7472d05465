//! Checks files against their manifests: all files of a given run directory, in every format.

use agentgen_trace::Cancel;
use agentgen_trace::diagnostic::{Diagnostic, Place};
use agentgen_trace::source::ExpectedFile;

/// Checks the size and digest of each expected file; the first of them has index `first` in findings.
pub(super) fn check(expected_files: &[ExpectedFile], first: usize, cancel: &Cancel) -> Vec<Diagnostic> {
    let numbered = expected_files.iter().enumerate().take_while(|_| !cancel.is_cancelled());
    let place = |index: usize| Place { file: (first + index) as u32, line: 0 };
    // Hashing a large single file that was named for its rows would take longer than checking them.
    numbered.filter_map(|(index, file)| Some(file.difference(file.whole_run)?.at(place(index)))).collect()
}
