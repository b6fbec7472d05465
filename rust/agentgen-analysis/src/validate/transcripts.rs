//! Validates files of multi-turn messages.

use std::path::PathBuf;

use agentgen_trace::diagnostic::{Diagnostic, TRACE_BLOCK_SIZE, TRACE_LAYOUT};
use agentgen_trace::source::is_messages;
use agentgen_trace::{Cancel, Result, TraceError};

use super::findings::SCHEMA_VERSION;
use super::{Findings, Options, ValidationReport};
use agentgen_trace::transcript::flat::Reader;

/// Validates files of multi-turn messages as one set of conversations; `None` if `paths` are other files.
pub(crate) fn validate(
    paths: &[PathBuf],
    options: &Options,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<ValidationReport>> {
    let are = paths.iter().map(|path| is_messages(path)).collect::<Result<Vec<_>>>()?;
    let Some(first) = are.iter().position(|is| *is) else { return Ok(None) };
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if let Some(other) = are.iter().position(|is| !is) {
        let expected = format!("multi-turn messages as in {}", paths[first].display());
        let diagnostic = Diagnostic::unnamed("another kind of trace", expected).with_help("validate them separately");
        return Err(diagnostic.in_file(&paths[other]).into());
    }
    for (parameter, is_given) in
        [(TRACE_LAYOUT, options.trace_layout.is_some()), (TRACE_BLOCK_SIZE, options.trace_block_size.is_some())]
    {
        if is_given {
            let expected = "none: multi-turn messages have neither layout nor block size";
            let diagnostic = Diagnostic::unnamed("a value", expected).with_help("leave it out");
            return Err(TraceError::usage(parameter, diagnostic.in_file(&paths[first])));
        }
    }
    let mut bytes = 0;
    for path in paths {
        bytes += std::fs::metadata(path).map_err(|e| TraceError::io(path, e))?.len();
    }
    let (mut findings, mut diagnostics) = (Findings::new(options.max_errors), Vec::new());
    let mut reader = Reader::new(paths);
    while reader.step(&mut diagnostics, drop)? {
        diagnostics.drain(..).for_each(|diagnostic| findings.add(diagnostic));
        progress(reader.bytes(), bytes);
        cancel.check()?;
    }
    let (errors, warnings, findings) = findings.finish(&names);
    Ok(Some(ValidationReport {
        schema_version: SCHEMA_VERSION,
        ok: errors == 0,
        format: "messages",
        layout: None,
        layout_from: None,
        block_size: None,
        block_size_from: None,
        files: names,
        rows: reader.rows,
        sessions: reader.conversations(),
        bytes,
        errors,
        warnings,
        findings,
    }))
}
