//! Merges the shards of a data set: checks them, merges their statistics and lists them in a manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentgen_core::DatasetSpec;
use agentgen_trace::manifest::{FILE_NAME, Manifest, Part, Shard, Written};
use agentgen_trace::observer::{Observer as _, RunFacts};
use agentgen_trace::schema::Column;
use agentgen_trace::sink::file::{digest, write_whole};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, Result, TraceError};

use super::statistics::{STATISTICS, Statistics};
use crate::reuse::FileOrder;

pub(super) fn format_error(error: impl std::fmt::Display) -> TraceError {
    TraceError::Format(format!("internal error: {error}"))
}

fn refuse<T>(directory: &Path, what: &str) -> Result<T> {
    Err(TraceError::Format(format!("{}: {what}", directory.display())))
}

/// Merges all shards of a data set: writes `manifest.json`, `quality.json` and `comparison.txt` to `directory`.
///
/// Fails unless each shard of the same configuration, seed, session count, layout and format version is present exactly
/// once, and all its files match their digests.
pub fn merge_runs(
    runs: &[PathBuf],
    directory: &Path,
    created: &str,
    threads: usize,
    cancel: &Cancel,
) -> Result<Manifest> {
    let mut shards = runs.iter().map(|run| Ok((run, Manifest::read(run)?))).collect::<Result<Vec<_>>>()?;
    shards.sort_by_key(|(_, manifest)| manifest.shard.index);
    let Some((first_run, first)) = shards.first().cloned() else {
        return refuse(directory, "no shards were named; expected the run directories of all of them");
    };
    check_complete(&shards)?;
    let same =
        |a: &Path, b: &Path| std::fs::canonicalize(a).is_ok_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b));
    if let Some((run, _)) = shards.iter().find(|(run, _)| same(run, directory)) {
        return refuse(run, "is one of the shards, expected another directory for the whole");
    }
    for (run, manifest) in &shards {
        if let Some(difference) = difference(&first, manifest) {
            return refuse(run, &format!("does not belong with {}: another {difference}", first_run.display()));
        }
        for file in &manifest.files {
            if digest(&run.join(&file.name))? != *file {
                return refuse(run, &format!("{} is not as its manifest says (size or SHA-256)", file.name));
            }
        }
    }
    let origin = &first.origin;
    let spec = DatasetSpec::new(&origin.config, origin.overrides, origin.seed, origin.sessions, first.layout)?;
    let mut statistics = Statistics::default();
    let mut written = Written::default();
    for (run, manifest) in &shards {
        let path = run.join(STATISTICS);
        let text = std::fs::read(&path).map_err(|e| TraceError::io(&path, e))?;
        let part = serde_json::from_slice(&text)
            .map_err(|e| TraceError::Format(format!("{}: not the statistics of a shard: {e}", path.display())))?;
        statistics.merge(part);
        written.add(manifest.written);
    }
    // Hit rates cannot be merged: the parent of a continuation may be in another shard.
    let in_order: Vec<PathBuf> = shards.iter().map(|(run, _)| (*run).clone()).collect();
    let source = source::resolve(&in_order, ReadOptions::default())?;
    let mut reuse = FileOrder::new(&source.meta);
    reuse.read(&source.meta, source::open(&source, &Column::ALL, threads, cancel)?)?;
    std::fs::create_dir_all(directory).map_err(|e| TraceError::io(directory, e))?;
    let facts = RunFacts { origin, written, is_part: false };
    let mut files = Vec::new();
    for (name, bytes) in statistics.finish(reuse, &Arc::new(spec), &facts)? {
        files.push(write_whole(&directory.join(name), bytes)?);
    }
    let parts = shards.iter().map(|(run, _)| part(run, directory)).collect::<Result<_>>()?;
    let shard = Shard { index: 0, count: 1 };
    let manifest = Manifest { created: created.to_owned(), shard, written, files, parts, ..first };
    manifest.write(directory)?;
    Ok(manifest)
}

/// Checks that each shard is present exactly once.
fn check_complete(shards: &[(&PathBuf, Manifest)]) -> Result<()> {
    let count = shards.first().map_or(0, |(_, m)| m.shard.count);
    if let Some((run, _)) = shards.iter().find(|(_, m)| m.shard.count == 1 || m.file(STATISTICS).is_none()) {
        return refuse(run, "is a whole data set, expected one of its shards");
    }
    for (expected, (run, manifest)) in shards.iter().enumerate() {
        let Shard { index, count: of } = manifest.shard;
        if of != count {
            return refuse(run, &format!("is shard {index} of {of}, expected one of {count}"));
        }
        if index < expected as u64 {
            return refuse(run, &format!("is shard {index} of {of} a second time"));
        }
        if index > expected as u64 {
            return refuse(run, &format!("is shard {index} of {of}, but shard {expected} is missing"));
        }
    }
    match shards.last() {
        Some((run, m)) if m.shard.index + 1 < count => {
            refuse(run, &format!("is the last one given, but shard {} of {count} is missing", m.shard.index + 1))
        }
        _ => Ok(()),
    }
}

/// The first property in which two shards differ but must not.
fn difference(a: &Manifest, b: &Manifest) -> Option<&'static str> {
    [
        (a.origin.config != b.origin.config, "config"),
        (a.origin.overrides != b.origin.overrides, "limit of prompts or outputs (max_isl, max_osl)"),
        (a.origin.seed != b.origin.seed, "seed"),
        (a.origin.sessions != b.origin.sessions, "session count"),
        (a.layout != b.layout, "layout"),
        (a.formats != b.formats, "format"),
        (a.compression != b.compression, "compression"),
        (a.format_version != b.format_version, "format version"),
    ]
    .into_iter()
    .find_map(|(differs, what)| differs.then_some(what))
}

/// The entry of a shard, with its path relative to the merged set.
fn part(run: &Path, directory: &Path) -> Result<Part> {
    let absolute = |path: &Path| std::fs::canonicalize(path).map_err(|e| TraceError::io(path, e));
    let (run, directory) = (absolute(run)?, absolute(directory)?);
    let path = relative(&run, &directory);
    Ok(Part { path: path.to_string_lossy().replace('\\', "/"), manifest_sha256: digest(&run.join(FILE_NAME))?.sha256 })
}

/// `path` relative to `from`; both must be absolute.
fn relative(path: &Path, from: &Path) -> PathBuf {
    let common = path.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    if common == 0 {
        return path.to_owned();
    }
    let up = from.components().skip(common).map(|_| PathBuf::from(".."));
    up.chain(path.components().skip(common).map(|c| PathBuf::from(c.as_os_str()))).collect()
}
