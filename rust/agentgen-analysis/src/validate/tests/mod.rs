//! Validates rows written in the tests, split into blocks at any line.
#![allow(clippy::unwrap_used)] // clippy's exception for tests does not reach their helpers

mod bad;
mod naive;
mod tables;

use std::fmt::Write as _;
use std::sync::Arc;

use agentgen_core::Config;
use agentgen_core::config::{Overrides, preset};
use agentgen_trace::{Cancel, Layout, Origin, Result, TraceMeta};

use super::parts::{Content, Part};
use super::trace_rules::TraceRules;
use super::{Options, Severity, check};
use agentgen_trace::diagnostic::Diagnostic;

/// Tokens per block in these tests.
pub const BLOCK_SIZE: u32 = 10;

/// A trace of another program.
pub fn foreign(layout: Layout) -> TraceMeta {
    TraceMeta { layout, block_size: BLOCK_SIZE, linked: false, format_version: None, origin: None }
}

/// A trace of 4 root sessions: L1 is ids 0 and 1, root session r has ids 2 + 12r to 13 + 12r, tails of whole prompts from
/// 10 + 12r.
pub fn generated(layout: Layout) -> TraceMeta {
    let mut config = Config::from_json(preset("default").unwrap()).unwrap();
    (config.max_prompt_tokens, config.block_size, config.cache.layer1_tokens) = (100, BLOCK_SIZE, 20);
    config.restart_initial_probability = 1.0;
    let origin = Origin { config, overrides: Overrides::default(), seed: 7, sessions: 4 };
    TraceMeta { origin: Some(origin), ..foreign(layout) }
}

/// Name of a generated session.
pub fn name(run: u64, is_continuation: bool) -> String {
    let trace_rules = TraceRules::new(&generated(Layout::Incremental), false).unwrap();
    trace_rules.origin.unwrap().names.name(run, is_continuation).to_string()
}

/// The files as parts of at most `bytes` bytes, or one line.
fn parts(files: &[&str], bytes: usize) -> Vec<Result<Part>> {
    let mut parts = Vec::new();
    for (file, text) in files.iter().enumerate() {
        let mut block = Vec::new();
        for line in text.split_inclusive('\n') {
            if !block.is_empty() && block.len() + line.len() > bytes {
                parts.push((file, std::mem::take(&mut block)));
            }
            block.extend_from_slice(line.as_bytes());
        }
        parts.push((file, block));
    }
    let part = |(file, bytes): (usize, Vec<u8>)| Ok(Part { file: file as u32, content: Content::Lines(bytes.into()) });
    parts.into_iter().map(part).collect()
}

/// Errors, warnings and findings of files that make one data set.
fn findings(
    files: &[&str],
    trace_rules: &Arc<TraceRules>,
    bytes: usize,
    threads: usize,
    max_errors: usize,
) -> (u64, u64, Vec<Diagnostic>) {
    let names: Vec<String> = (0..files.len()).map(|i| format!("file-{i}")).collect();
    let options = Options { max_errors, threads, ..Options::default() };
    let (first, again) = (parts(files, bytes).into_iter(), || parts(files, bytes).into_iter());
    let merged = check(first, again, trace_rules, &names, &options, &Cancel::default(), &mut || {}).unwrap();
    merged.findings.sorted()
}

/// The findings; asserts that they depend neither on how the text is split nor on the number of threads.
pub fn validate(files: &[&str], trace_rules: TraceRules) -> Vec<Diagnostic> {
    let trace_rules = Arc::new(trace_rules);
    let (errors, _, whole) = findings(files, &trace_rules, usize::MAX, 1, usize::MAX / 4);
    assert_eq!(errors, whole.iter().filter(|f| f.severity == Severity::Error).count() as u64, "{whole:#?}");
    for (bytes, threads) in [(1, 1), (1, 2), (300, 2), (700, 7), (1, 7)] {
        let (_, _, cut) = findings(files, &trace_rules, bytes, threads, usize::MAX / 4);
        assert_eq!(cut, whole, "blocks of {bytes} bytes, {threads} threads");
    }
    // The first findings do not depend on the limit.
    for max_errors in [0, 1, 2] {
        let (count, _, some) = findings(files, &trace_rules, 300, 2, max_errors);
        let some: Vec<_> = some.into_iter().filter(|f| f.severity == Severity::Error).collect();
        let all: Vec<_> = whole.iter().filter(|f| f.severity == Severity::Error).cloned().collect();
        assert_eq!((count, &some[..]), (errors, &all[..max_errors.min(all.len())]));
    }
    whole
}

/// The rules that rows of a trace with links break; blocks have 4 tokens, outputs 5.
pub fn linked(rows: &[&str]) -> Vec<&'static str> {
    let meta = TraceMeta { linked: true, block_size: 4, ..foreign(Layout::Cumulative) };
    let mut text = String::new();
    for row in rows {
        writeln!(text, "{{{row},\"output_length\":5}}").unwrap();
    }
    let found = validate(&[&text], TraceRules::new(&meta, false).unwrap());
    found.iter().map(|diagnostic| diagnostic.rule).collect()
}

/// A row: its session (`key=name`, or nothing), tokens, ids and further members.
pub fn row(session: &str, input: u32, ids: &[i64], rest: &str) -> String {
    let mut text = String::from("{");
    if let Some((key, name)) = session.split_once('=') {
        write!(text, r#""{key}":"{name}","#).unwrap();
    }
    let ids = format!("{ids:?}").replace(' ', "");
    write!(text, r#""input_length":{input},"output_length":5,"hash_ids":{ids}"#).unwrap();
    if !rest.is_empty() {
        write!(text, ",{rest}").unwrap();
    }
    text + "}\n"
}
