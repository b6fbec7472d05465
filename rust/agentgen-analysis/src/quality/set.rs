//! Merges the shards of a data set: checks them, merges their statistics and lists them in a manifest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agentgen_core::DatasetSpec;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::manifest::{FILE_NAME, Manifest, Part, Shard, Written};
use agentgen_trace::meta::Origin;
use agentgen_trace::observer::{Observer as _, RunFacts};
use agentgen_trace::run_directory::NewDirectory;
use agentgen_trace::schema::Column;
use agentgen_trace::sink::file::{digest, sealed};
use agentgen_trace::source::{self, ReadOptions};
use agentgen_trace::{Cancel, Result, TraceError};

use super::statistics::{STATISTICS, Statistics};
use crate::reuse::FileOrder;

fn refuse<T>(directory: &Path, found: &str, expected: &str) -> Result<T> {
    Err(Diagnostic::unnamed(found, expected).in_file(directory).into())
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
        return refuse(directory, "no shards", "the run directories of all of them");
    };
    check_complete(&shards)?;
    let same =
        |a: &Path, b: &Path| std::fs::canonicalize(a).is_ok_and(|a| std::fs::canonicalize(b).is_ok_and(|b| a == b));
    if let Some((run, _)) = shards.iter().find(|(run, _)| same(run, directory)) {
        return refuse(run, "one of the shards", "another directory for the whole");
    }
    for (run, manifest) in &shards {
        if let Some(difference) = difference(&first, manifest) {
            let found = format!("another {difference} than {} has", first_run.display());
            return refuse(run, &found, "shards of one data set");
        }
        for file in &manifest.files {
            if digest(&run.join(&file.name))? != *file {
                let found = format!("another size or SHA-256 of {} than its manifest states", file.name);
                return refuse(run, &found, "the file as it was written");
            }
        }
    }
    let Some(origin) = first.origin.clone() else {
        return refuse(first_run, "an imported run", "shards that agentgen generate wrote");
    };
    let spec = DatasetSpec::new(&origin.config, origin.overrides, origin.seed, origin.sessions, first.layout)?;
    let mut statistics = Statistics::default();
    let mut written = Written::default();
    for (run, manifest) in &shards {
        let path = run.join(STATISTICS);
        let text = std::fs::read(&path).map_err(|e| TraceError::io(&path, e))?;
        let part = serde_json::from_slice(&text)
            .map_err(|e| Diagnostic::unnamed(e.to_string(), "the statistics of a shard").in_file(&path))?;
        statistics.merge(part);
        written.add(manifest.written);
    }
    // Hit rates cannot be merged: the parent of a continuation may be in another shard.
    let in_order: Vec<PathBuf> = shards.iter().map(|(run, _)| (*run).clone()).collect();
    let source = source::resolve(&in_order, ReadOptions::default())?;
    let mut reuse = FileOrder::new(&source.meta);
    reuse.read(&source.meta, source::open(&source, &Column::ALL, threads, cancel)?)?;
    let target = NewDirectory::create(directory)?;
    let facts = RunFacts { origin: &origin, written, is_part: false };
    let mut files = Vec::new();
    for (name, bytes) in statistics.finish(reuse, &Arc::new(spec), &facts)? {
        files.push(sealed(&directory.join(name), bytes)?);
    }
    let parts = shards.iter().map(|(run, _)| part(run, directory)).collect::<Result<_>>()?;
    let shard = Shard { index: 0, count: 1 };
    let entries = files.iter().map(|file| file.entry().clone()).collect();
    let manifest = Manifest { created: created.to_owned(), shard, written, files: entries, parts, ..first };
    files.push(manifest.sealed(directory)?);
    target.clear()?;
    for file in files {
        file.publish()?;
    }
    target.keep();
    Ok(manifest)
}

/// Checks that each shard is present exactly once.
fn check_complete(shards: &[(&PathBuf, Manifest)]) -> Result<()> {
    let count = shards.first().map_or(0, |(_, m)| m.shard.count);
    if let Some((run, _)) = shards.iter().find(|(_, m)| m.shard.count == 1 || m.file(STATISTICS).is_none()) {
        return refuse(run, "a whole data set", "one of its shards");
    }
    for (expected, (run, manifest)) in shards.iter().enumerate() {
        let Shard { index, count: of } = manifest.shard;
        if of != count {
            return refuse(run, &format!("shard {index} of {of}"), &format!("one of {count} shards"));
        }
        if index < expected as u64 {
            return refuse(run, &format!("shard {index} of {of} a second time"), "every shard once");
        }
        if index > expected as u64 {
            return refuse(run, &format!("shard {index} of {of}, but not shard {expected}"), "every shard");
        }
    }
    match shards.last() {
        Some((run, m)) if m.shard.index + 1 < count => {
            refuse(run, &format!("the last shard given, but not shard {} of {count}", m.shard.index + 1), "every shard")
        }
        _ => Ok(()),
    }
}

/// The first property in which two shards differ but must not.
fn difference(a: &Manifest, b: &Manifest) -> Option<&'static str> {
    let differs = |is_same: fn(&Origin, &Origin) -> bool| !a.origin.iter().zip(&b.origin).all(|(a, b)| is_same(a, b));
    [
        (differs(|a, b| a.config == b.config), "config"),
        (differs(|a, b| a.overrides == b.overrides), "limit of prompts or outputs (max_isl, max_osl)"),
        (differs(|a, b| a.seed == b.seed), "seed"),
        (differs(|a, b| a.sessions == b.sessions), "session count"),
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
