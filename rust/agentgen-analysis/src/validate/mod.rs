//! Validates traces against the rules of the trace model.
//!
//! Blocks of the file are parsed, checked row by row and summarized as [`digest`]s in parallel. [`merge`] processes the
//! digests in order and stores what rules across rows need: the open session, intervals of ids, hashes of session names.
//! Only ids that occur twice can break an id rule; if some may do so, [`resolve`] reads the file again and looks for
//! these ids. Memory never holds all rows or all ids.

mod cumulative;
mod digest;
mod expected_ids;
mod files;
mod findings;
mod incremental;
mod intervals;
mod layout;
mod links;
mod merge;
mod parts;
mod pending_checks;
mod regenerated;
mod resolve;
mod rows;
pub(crate) mod rules;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod trace_rules;
mod transcripts;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use agentgen_trace::source::{self, ReadOptions, Source};
use agentgen_trace::{Cancel, Layout, Result, TraceError};

use self::digest::{Digest, Digester};
pub(crate) use self::findings::Findings;
use self::findings::SCHEMA_VERSION;
pub use self::findings::ValidationReport;
use self::merge::{Merge, Merged};
use self::parts::{Consumed, Content, Part, for_each_part, parts};
use self::resolve::{Matches, SecondPass, Seen, Wanted};
use self::trace_rules::TraceRules;
pub use agentgen_trace::diagnostic::{Diagnostic, Severity};

/// Options of a validation.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Layout of files that do not state it.
    pub trace_layout: Option<Layout>,
    /// Block size of files that do not state it, tokens.
    pub trace_block_size: Option<u32>,
    /// Maximum errors, and maximum warnings, to list; all are counted.
    pub max_errors: usize,
    /// Worker threads.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { trace_layout: None, trace_block_size: None, max_errors: 20, threads: 1 }
    }
}

/// Validates the traces at `paths` as one data set: files, run directories, shards in their order.
///
/// `progress` is called with the bytes read so far and the bytes in all.
pub fn validate(
    paths: &[PathBuf],
    options: &Options,
    cancel: &Cancel,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ValidationReport> {
    if let Some(report) = transcripts::validate(paths, options, cancel, progress)? {
        return Ok(report);
    }
    let read = ReadOptions { trace_layout: options.trace_layout, trace_block_size: options.trace_block_size };
    match source::find(paths, read) {
        Ok(source) => Validation::new(&source, options, cancel)?.run(progress),
        Err(error @ (TraceError::Diagnostic(_) | TraceError::Usage(_))) => {
            // Inference also fails if no row is valid; then the rows are validated with assumed values.
            let assumed = ReadOptions {
                trace_layout: read.trace_layout.or(Some(Layout::Incremental)),
                trace_block_size: read.trace_block_size.or(Some(1)),
            };
            let Ok(source) = source::find(paths, assumed) else { return Err(error) };
            let mut run = Validation::new(&source, options, cancel)?;
            if run.has_valid_rows()? {
                return Err(error);
            }
            (run.layout_from, run.block_size_from) = (ASSUMED, ASSUMED);
            run.run(progress)
        }
        Err(error) => Err(error),
    }
}

const ASSUMED: &str = "assumed";

/// One validation.
struct Validation<'a> {
    source: &'a Source,
    names: Vec<String>,
    bytes: u64,
    layout_from: &'static str,
    block_size_from: &'static str,
    trace_rules: Arc<TraceRules>,
    options: &'a Options,
    cancel: &'a Cancel,
    consumed: Consumed,
}

impl<'a> Validation<'a> {
    fn new(source: &'a Source, options: &'a Options, cancel: &'a Cancel) -> Result<Self> {
        let mut bytes = 0;
        for file in &source.files {
            bytes += std::fs::metadata(&file.path).map_err(|e| TraceError::io(&file.path, e))?.len();
        }
        Ok(Self {
            source,
            names: source
                .files
                .iter()
                .map(|f| &f.path)
                .chain(source.expected_files.iter().map(|p| &p.path))
                .map(|path| path.display().to_string())
                .collect(),
            bytes,
            layout_from: source.layout_from.name(),
            block_size_from: source.block_size_from.name(),
            trace_rules: Arc::new(TraceRules::new(&source.meta, source.partial)?),
            options,
            cancel,
            consumed: Consumed::default(),
        })
    }

    fn has_valid_rows(&self) -> Result<bool> {
        for part in parts(self.source, self.cancel, &self.consumed) {
            let mut found = false;
            part?.content.rows(self.trace_rules.layout, |_, _, _, diagnostics| found |= diagnostics.is_empty())?;
            self.cancel.check()?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<ValidationReport> {
        let mut rows = parts(self.source, self.cancel, &self.consumed).peekable();
        if let Some(Ok(first)) = rows.peek()
            && let Some(found) = layout::wrong_layout(first, &self.trace_rules, self.layout_from)?
        {
            let mut findings = Findings::new(self.options.max_errors);
            findings.add(found);
            return Ok(self.report(findings, 0, 0));
        }
        let mut show = || progress(self.consumed.load(Ordering::Relaxed), self.bytes);
        let again = || parts(self.source, self.cancel, &self.consumed);
        let (source, names) = (self.source, &self.names[..self.source.files.len()]);
        let (merged, diagnostics) = std::thread::scope(|scope| {
            let diagnostics = scope.spawn(|| files::check(&source.expected_files, source.files.len(), self.cancel));
            let merged = check(rows, again, &self.trace_rules, names, self.options, self.cancel, &mut show);
            (merged, diagnostics.join())
        });
        let mut merged = merged?;
        for diagnostic in diagnostics.map_err(|_| TraceError::internal("hashing panicked"))? {
            merged.findings.add(diagnostic);
        }
        Ok(self.report(merged.findings, merged.rows, merged.sessions))
    }

    fn report(&self, findings: Findings, rows: u64, sessions: u64) -> ValidationReport {
        let (errors, warnings, findings) = findings.finish(&self.names);
        ValidationReport {
            schema_version: SCHEMA_VERSION,
            ok: errors == 0,
            format: "block-hash",
            layout: Some(self.source.meta.layout),
            layout_from: Some(self.layout_from.to_owned()),
            block_size: Some(self.source.meta.block_size),
            block_size_from: Some(self.block_size_from.to_owned()),
            files: self.names[..self.source.files.len()].to_vec(),
            rows,
            sessions,
            bytes: self.bytes,
            errors,
            warnings,
            findings,
        }
    }
}

/// Reads all parts once, and again if findings must be resolved.
fn check<P, Q>(
    first: P,
    again: impl FnOnce() -> Q,
    trace_rules: &Arc<TraceRules>,
    files: &[String],
    options: &Options,
    cancel: &Cancel,
    show: &mut dyn FnMut(),
) -> Result<Merged>
where
    P: Iterator<Item = Result<Part>> + Send + 'static,
    Q: Iterator<Item = Result<Part>> + Send + 'static,
{
    let mut merge = Merge::new(trace_rules, options.max_errors);
    let own = Arc::clone(trace_rules);
    for_each_part(
        first,
        options.threads,
        cancel,
        move |content| digest(content, &own),
        |file, mut digest| {
            merge.take(file, &mut digest);
            show();
            Ok(())
        },
    )?;
    let mut merged = merge.finish(files.len());
    if let Some(wanted) = Wanted::new(&merged) {
        let (own, wanted, mut seen) = (Arc::clone(trace_rules), Arc::new(wanted), Seen::default());
        let work = move |content: &Content| find_matches(content, &own, &wanted);
        for_each_part(again(), options.threads, cancel, work, |file, matches| {
            seen.take(file, matches, trace_rules.layout);
            show();
            Ok(())
        })?;
        seen.resolve(&mut merged, trace_rules, files);
    }
    Ok(merged)
}

fn digest(content: &Content, trace_rules: &TraceRules) -> Result<Digest> {
    let mut digester = Digester::new(trace_rules);
    let lines = content
        .rows(trace_rules.layout, |line, row, derived, diagnostics| digester.push(line, row, derived, diagnostics))?;
    Ok(digester.finish(lines))
}

fn find_matches(content: &Content, trace_rules: &TraceRules, wanted: &Wanted) -> Result<Matches> {
    let mut second_pass = SecondPass::new(trace_rules, wanted);
    let lines =
        content.rows(trace_rules.layout, |line, row, _, diagnostics| second_pass.push(line, row, diagnostics))?;
    Ok(second_pass.finish(lines))
}
