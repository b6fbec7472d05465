//! Every finding about files of messages: the reader, which goes on.

use std::path::PathBuf;

use agentgen_trace::source::is_messages;
use agentgen_trace::{Cancel, Result, TraceError};

use super::{Findings, Options, Report};
use agentgen_trace::transcript::flat::Reader;

/// Validates files of messages as one set of conversations; nothing if `paths` are not such files.
pub(crate) fn validate(
    paths: &[PathBuf],
    options: &Options,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<Report>> {
    let are = paths.iter().map(|path| is_messages(path)).collect::<Result<Vec<_>>>()?;
    let Some(first) = are.iter().position(|is| *is) else { return Ok(None) };
    let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
    if let Some(other) = are.iter().position(|is| !is) {
        let (first, other) = (&names[first], &names[other]);
        return Err(TraceError::Format(format!(
            "{other}: found another kind of trace, expected multi-turn messages as in {first} (check them apart)"
        )));
    }
    if options.layout.is_some() || options.block_size.is_some() {
        return Err(TraceError::Format(format!(
            "{}: found multi-turn messages, which have neither layout nor block size (leave both options out)",
            names[first]
        )));
    }
    let mut bytes = 0;
    for path in paths {
        bytes += std::fs::metadata(path).map_err(|e| TraceError::io(path, e))?.len();
    }
    let (mut findings, mut issues) = (Findings::new(options.max_errors), Vec::new());
    let mut reader = Reader::new(paths);
    while reader.step(&mut issues, drop)? {
        issues.drain(..).for_each(|issue| findings.add(issue));
        progress(reader.bytes(), bytes);
        cancel.check()?;
    }
    let (errors, warnings, findings) = findings.finish(&names);
    Ok(Some(Report {
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
