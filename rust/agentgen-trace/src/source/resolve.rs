//! Resolves the paths that a user gives to data files, layout and block size.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::blocks::MAX_LINE_BYTES;
use super::foreign::{foreign, import, refuse_foreign};
use super::infer;
use super::messages::is_messages;
use super::model::{DataFile, ExpectedFile, Format, Provenance, ReadOptions, Source};
use super::parquet_file::parquet_meta;
use crate::diagnostic::{Diagnostic, TRACE_BLOCK_SIZE, TRACE_LAYOUT};
use crate::error::{Result, TraceError};
use crate::manifest::{self, FileEntry, Manifest, Part, Shard};
use crate::meta::{Layout, Origin, TraceMeta};
use crate::sink::file::{digest, open_plain};
use agentgen_core::config::MAX_TOKENS;

/// Data files of a run directory, in order of preference.
const DATA_FILES: [&str; 4] = ["dataset.parquet", "dataset.jsonl", "dataset.jsonl.zst", "dataset.jsonl.gz"];

/// Layout, block size and origin as stated by a manifest or by a file's metadata.
struct Statement {
    meta: TraceMeta,
    provenance: Provenance,
    /// The manifest or file that states it.
    path: PathBuf,
}

/// Files and statements collected from the given paths.
#[derive(Default)]
struct Collected {
    files: Vec<DataFile>,
    /// Those that differ from the one before, and the number of all: shards of a set state the same.
    statements: Vec<Statement>,
    statement_count: usize,
    /// Indices of the given shards, and the number of shards in the data set.
    shards: BTreeSet<u64>,
    shard_count: u64,
    expected_files: Vec<ExpectedFile>,
}

/// Finds the data files of `paths` (data files, run directories, sets of shards, manifests) and how to read them.
/// Refuses a data file that differs from its manifest, which describes other rows then.
pub fn resolve(paths: &[PathBuf], options: ReadOptions) -> Result<Source> {
    let source = find(paths, options)?;
    let files: HashSet<&Path> = source.files.iter().map(|file| &*file.path).collect();
    for expected in &source.expected_files {
        if files.contains(&*expected.path)
            && let Some(difference) = expected.difference(false)
        {
            return Err(expected.refused(difference));
        }
    }
    Ok(source)
}

/// Like [`resolve`], but does not compare files with their manifests.
pub fn find(paths: &[PathBuf], options: ReadOptions) -> Result<Source> {
    let mut found = Collected::default();
    for path in paths {
        found.add(path)?;
    }
    if found.files.is_empty() {
        return Err(Diagnostic::unnamed("no trace", "at least one path").into());
    }
    if found.statements.is_empty() {
        refuse_foreign(&found.files[0].path)?;
    }
    if found.statements.is_empty() && is_messages(&found.files[0].path)? {
        let diagnostic = Diagnostic::unnamed("multi-turn messages", "a block-hash trace (rows with hash_ids)");
        let diagnostic = diagnostic.with_help("validate and replay take multi-turn messages");
        return Err(diagnostic.in_file(&found.files[0].path).into());
    }
    let layout =
        agreed_value(["layout", TRACE_LAYOUT], options.trace_layout, &found.statements, |m| m.layout, Layout::name)?;
    let size = agreed_value(
        ["block_size", TRACE_BLOCK_SIZE],
        options.trace_block_size,
        &found.statements,
        |m| m.block_size,
        |b| b,
    )?;
    if size.is_some_and(|(size, _)| size == 0) {
        return Err(TraceError::usage(TRACE_BLOCK_SIZE, Diagnostic::unnamed("0", "at least 1")));
    }
    let ((layout, layout_from), (block_size, block_size_from)) = match (layout, size) {
        (Some(layout), Some(size)) => (layout, size),
        (layout, size) => {
            let inferred = infer::infer(&found.files[0], layout.map(|l| l.0), size.map(|s| s.0))?;
            (layout.unwrap_or((inferred.0, Provenance::Inferred)), size.unwrap_or((inferred.1, Provenance::Inferred)))
        }
    };
    let partial = found.shard_count > found.shards.len() as u64;
    let mut meta = found.merged(layout, block_size);
    if found.statements.is_empty() {
        meta.linked = infer::has_links(&found.files[0])?;
    }
    Ok(Source { files: found.files, meta, layout_from, block_size_from, partial, expected_files: found.expected_files })
}

/// The value that the option and all statements agree on; `None` if nothing states it. `field` is its name in statements,
/// `parameter` its name as an option.
fn agreed_value<T: Copy + PartialEq, D: Display>(
    [field, parameter]: [&'static str; 2],
    option: Option<T>,
    statements: &[Statement],
    of: impl Fn(&TraceMeta) -> T,
    shown: impl Fn(T) -> D,
) -> Result<Option<(T, Provenance)>> {
    let first = statements.first().map(|s| (of(&s.meta), s));
    if let (Some(option), Some((value, statement))) = (option, first)
        && option != value
    {
        let (option, value, place) = (shown(option), shown(value), statement.path.display());
        let diagnostic = Diagnostic::unnamed(option.to_string(), format!("{value}, as {place} says"));
        return Err(TraceError::usage(parameter, diagnostic.with_help("leave it out")));
    }
    if let Some((value, one)) = first
        && let Some(other) = statements.iter().find(|s| of(&s.meta) != value)
    {
        let (a, b) = (shown(value), shown(of(&other.meta)));
        let expected = format!("{a}, as in {}", one.path.display());
        let diagnostic = Diagnostic::unnamed(b.to_string(), expected).with_help("read them apart");
        return Err(diagnostic.with_field(field).in_file(&other.path).into());
    }
    Ok(option.map(|o| (o, Provenance::Option)).or(first.map(|(value, s)| (value, s.provenance))))
}

impl Collected {
    fn add(&mut self, path: &Path) -> Result<()> {
        let is_manifest = path.file_name().is_some_and(|name| name == manifest::FILE_NAME);
        if is_manifest && path.is_file() {
            // `manifest.json` alone has an empty parent.
            let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            self.add_run(dir)
        } else if path.is_dir() {
            self.add_run(path)
        } else {
            self.add_file(path)
        }
    }

    /// Adds a run directory or a set of shards.
    fn add_run(&mut self, dir: &Path) -> Result<()> {
        let place = dir.join(manifest::FILE_NAME);
        let manifest = if place.is_file() { Some(Manifest::read(dir)?) } else { None };
        if let Some(manifest) = &manifest
            && !manifest.parts.is_empty()
        {
            // A missing part is an error of its own, so a set is never partial.
            let count = manifest.parts.len() as u64;
            let shards = (0..).map(|index| Shard { index, count });
            return manifest.parts.iter().zip(shards).try_for_each(|(part, shard)| self.add_part(dir, part, shard));
        }
        // Other files in the directory do not belong to the run.
        let is_listed = |name: &str| manifest.as_ref().is_none_or(|manifest| manifest.file(name).is_some());
        let names = || DATA_FILES.into_iter().filter(|name| is_listed(name));
        let Some(path) = names().map(|name| dir.join(name)).find(|p| p.is_file()) else {
            let listed = manifest.as_ref().map(|_| names().collect::<Vec<_>>().join(", "));
            return Err(not_a_run(dir, listed));
        };
        if let Some(manifest) = &manifest {
            let expected =
                |entry: &FileEntry| ExpectedFile { path: dir.join(&entry.name), entry: entry.clone(), whole_run: true };
            self.expected_files.extend(manifest.files.iter().map(expected));
        }
        self.push(path, manifest, place)
    }

    /// Adds a shard of a set, if it still is the one that was merged.
    fn add_part(&mut self, set: &Path, part: &Part, shard: Shard) -> Result<()> {
        let dir = set.join(&part.path);
        let refuse = |found: &str, expected: &str| {
            let diagnostic = Diagnostic::unnamed(found, expected).with_help("merge the shards again");
            Err(diagnostic.in_file(&dir).into())
        };
        let manifest = Manifest::read(&dir)?;
        if !manifest.parts.is_empty() {
            return refuse("a set of shards as a part of a set", "one shard");
        }
        // A shard given many times would be read many times.
        if manifest.shard != shard || digest(&dir.join(manifest::FILE_NAME))?.sha256 != part.manifest_sha256 {
            return refuse("another shard", "the one that was merged");
        }
        self.add_run(&dir)
    }

    fn add_file(&mut self, path: &Path) -> Result<()> {
        let place = path.with_file_name(manifest::FILE_NAME);
        // A manifest.json of another program beside a data file is ignored.
        let manifest = Manifest::read(&place).ok();
        let manifest =
            manifest.filter(|m| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| m.file(n).is_some()));
        if let Some(manifest) = &manifest {
            let named = manifest.files.iter().filter(|entry| path.file_name().is_some_and(|n| *n == *entry.name));
            let expected =
                |entry: &FileEntry| ExpectedFile { path: path.to_owned(), entry: entry.clone(), whole_run: false };
            self.expected_files.extend(named.map(expected));
        }
        self.push(path.to_owned(), manifest, place)
    }

    fn push(&mut self, path: PathBuf, manifest: Option<Manifest>, place: PathBuf) -> Result<()> {
        let (format, mut max_line) = (format_of(&path)?, MAX_LINE_BYTES);
        if let Some(manifest) = manifest {
            self.add_shard(manifest.shard);
            max_line = longest_line(&manifest);
            self.state(Statement { meta: manifest.meta(), provenance: Provenance::Manifest, path: place });
        } else if format == Format::Parquet
            && let Some(meta) = parquet_meta(&path)?
        {
            self.state(Statement { meta, provenance: Provenance::Metadata, path: path.clone() });
        }
        self.files.push(DataFile { path, format, max_line });
        Ok(())
    }

    fn state(&mut self, statement: Statement) {
        self.statement_count += 1;
        if self
            .statements
            .last()
            .is_none_or(|last| last.meta != statement.meta || last.provenance != statement.provenance)
        {
            self.statements.push(statement);
        }
    }

    fn add_shard(&mut self, shard: Shard) {
        self.shards.insert(shard.index);
        self.shard_count = self.shard_count.max(shard.count);
    }

    /// The metadata of all files together; it has an origin if all files state the same one.
    fn merged(&self, layout: Layout, block_size: u32) -> TraceMeta {
        let first = self.statements.first().map(|s| &s.meta).filter(|first| {
            self.statement_count == self.files.len() && self.statements.iter().all(|s| s.meta == **first)
        });
        let linked = self.statements.iter().any(|statement| statement.meta.linked);
        let unknown = TraceMeta { layout, block_size, linked, format_version: None, origin: None };
        first.cloned().unwrap_or(unknown)
    }
}

/// The longest line that a generated file can have: ids of up to 16 digits, and the other keys.
fn longest_line(manifest: &Manifest) -> usize {
    let limit = |origin: &Origin| origin.overrides.max_isl.unwrap_or(origin.config.max_prompt_tokens);
    let tokens = manifest.origin.as_ref().map_or(MAX_TOKENS, limit);
    let ids = tokens.div_ceil(manifest.block_size.max(1)) as usize + 1;
    MAX_LINE_BYTES.max(ids * 17 + 1024)
}

/// Files of a directory that are looked at to see whether it can be imported.
const RECOGNISED_FILES: usize = 16;

/// The error of a directory without data files; suggests the only JSONL file in it.
fn not_a_run(dir: &Path, listed: Option<String>) -> TraceError {
    if let Some(listed) = listed {
        let expected = format!("one that manifest.json lists ({listed})");
        return Diagnostic::unnamed("no data file", expected).in_file(dir).into();
    }
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => return TraceError::io(dir, error),
    };
    let is_rows = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "jsonl");
    let files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_foreign = |path: &&PathBuf| path.is_file() && foreign(path).is_some();
    let first_foreign = files.iter().take(RECOGNISED_FILES).find(is_foreign);
    let mut files = files.iter().filter(|path| is_rows(path));
    let meant = match (files.next(), files.next()) {
        (Some(only), None) => format!(" such as {}", only.display()),
        _ => String::new(),
    };
    let expected =
        format!("a directory that agentgen generate wrote ({} in it) or a trace's file{meant}", DATA_FILES.join(", "));
    let diagnostic = Diagnostic::unnamed("no data set", expected).in_file(dir);
    match first_foreign {
        Some(_) => diagnostic.with_help(import(dir)).into(),
        None => diagnostic.into(),
    }
}

fn format_of(path: &Path) -> Result<Format> {
    let mut magic = Vec::with_capacity(4);
    let file = open_plain(path)?;
    file.take(4).read_to_end(&mut magic).map_err(|e| TraceError::io(path, e))?;
    Ok(if magic == b"PAR1" { Format::Parquet } else { Format::Jsonl })
}
