//! Reads all files of an import, several at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::ordered::{Cancel, Ordered};
use agentgen_trace::sink::file::{FileEntry, digest};
use serde::Serialize;

use super::discover::{SourceFile, discover};
use super::formats::{FORMATS, Format, detect, named};
use super::model::{Problem, Prompt, RecordedSession, Recording};
use super::names::is_identifier;

/// How a source tells what prompts share.
const IDENTITIES: [&str; 3] = ["ids", "content", "accounting"];

/// Files of so many bytes are hashed in a thread of their own.
const LARGE_FILE_BYTES: u64 = 8 << 20;

/// A file that was imported. It holds no name and no text of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct SourceEntry {
    /// Its number in the sorted list of files, from 1.
    pub source: usize,
    /// Name of the format.
    pub format: &'static str,
    /// Versions of the programs that wrote it.
    pub versions: BTreeSet<String>,
    pub bytes: u64,
    pub sha256: String,
    /// What it holds, before calls that several files have are counted once.
    pub sessions: u64,
    pub calls: u64,
    /// How it tells what prompts share: block ids, content, or counts of tokens (`accounting`).
    pub identity: BTreeSet<&'static str>,
    /// Parts of it that could not be used.
    pub problems: u64,
    /// What was left out on purpose, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
}

/// All that was read.
#[derive(Debug)]
pub(crate) struct ReadFiles {
    pub recording: Recording,
    pub sources: Vec<SourceEntry>,
    /// Files in folders that have no known format.
    pub skipped: u64,
}

/// Bytes of files that were read, and of all.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub(crate) done: Arc<AtomicU64>,
    pub(crate) total: Arc<AtomicU64>,
}

impl Progress {
    /// Bytes read so far, and of all files; 0 while they are being looked for.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }
}

/// Finds and reads the files. `format`: the name of the format of all of them.
pub(crate) fn read(
    given: &[PathBuf],
    format: Option<&str>,
    threads: usize,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<ReadFiles> {
    let format = format.map(named).transpose()?;
    let known: Vec<&Format> = format.map_or_else(|| FORMATS.iter().collect(), |format| vec![format]);
    let found = discover(given, &known, &|name| std::env::var_os(name))?;
    let size = |file: &SourceFile| file.path.metadata().map_or(0, |metadata| metadata.len());
    progress.total.store(found.files.iter().map(size).sum(), Ordering::Relaxed);
    let read_files = Ordered::start(threads, threads * 2, cancel, found.files.into_iter(), || {
        let done = Arc::clone(&progress.done);
        move |file: SourceFile| {
            let read = read_file(&file, format);
            done.fetch_add(size(&file), Ordering::Relaxed);
            match read {
                // Of a folder, a file that cannot be read costs itself only.
                Err(error) if !file.is_named => unread(file.path, error).map(Err),
                read => read.map(Ok),
            }
        }
    });
    let mut all = Recording { problems: found.problems, ..Recording::default() };
    let (mut sources, mut skipped) = (Vec::new(), 0);
    for file in read_files {
        let (recording, mut entry) = match file? {
            Ok(Some(read)) => read,
            Ok(None) => {
                skipped += 1;
                continue;
            }
            Err(problem) => {
                all.problems.push(problem);
                continue;
            }
        };
        entry.source = sources.len() + 1;
        sources.push(entry);
        all.append(recording);
    }
    Ok(ReadFiles { recording: all, sources, skipped })
}

/// Reads a file; none if its format is unknown and nobody named it.
fn read_file(file: &SourceFile, format: Option<&'static Format>) -> Result<Option<(Recording, SourceEntry)>> {
    let format = match format {
        Some(format) => Some(format),
        None => detect(&file.path)?,
    };
    let Some(format) = format else {
        if file.is_named {
            return Err(unknown(&file.path));
        }
        return Ok(None);
    };
    let (recording, digest) = read_and_digest(&file.path, format)?;
    let mut entry = SourceEntry {
        source: 0,
        format: format.name,
        versions: BTreeSet::new(),
        bytes: digest.bytes,
        sha256: digest.sha256,
        sessions: recording.sessions.len() as u64,
        calls: recording.sessions.iter().map(|session| session.calls.len() as u64).sum(),
        identity: recording.sessions.iter().flat_map(identities).collect(),
        problems: recording.problems.len() as u64,
        left_out: recording.left_out.clone(),
    };
    // A version is written as the source names it, if it looks like one.
    let versions = recording.sessions.iter().filter_map(|session| session.client.version.clone());
    entry.versions.extend(versions.filter(|version| is_identifier(version)));
    Ok(Some((recording, entry)))
}

/// Reads a file; a large one is hashed meanwhile, since it may be the only one.
fn read_and_digest(path: &Path, format: &Format) -> Result<(Recording, FileEntry)> {
    if path.metadata().map_or(0, |metadata| metadata.len()) < LARGE_FILE_BYTES {
        return Ok(((format.read)(path)?, digest(path)?));
    }
    std::thread::scope(|scope| {
        let hashing = scope.spawn(|| digest(path));
        let recording = (format.read)(path)?;
        let digest = hashing.join().map_err(|_| TraceError::internal("hashing panicked"))?;
        Ok((recording, digest?))
    })
}

/// The problem of a file that cannot be read; its message holds no text of the file.
pub(crate) fn unread(file: PathBuf, error: TraceError) -> Result<Problem> {
    let reason = match error {
        TraceError::Io { source, .. } => format!("not read: {}", source.kind()),
        TraceError::Diagnostic(_) => "not read: not a file of its format".to_owned(),
        other => return Err(other),
    };
    Ok(Problem { file, line: None, reason })
}

fn identities(session: &RecordedSession) -> impl Iterator<Item = &'static str> {
    session.calls.iter().map(|call| match call.prompt {
        Prompt::Blocks { .. } => IDENTITIES[0],
        Prompt::Parts(_) | Prompt::Appended(_) => IDENTITIES[1],
        Prompt::Counted => IDENTITIES[2],
    })
}

fn unknown(path: &Path) -> TraceError {
    let names: Vec<_> = FORMATS.iter().map(|format| format.name).collect();
    let diagnostic = Diagnostic::unnamed("a file of no known format", format!("one of {}", names.join(", ")));
    diagnostic.with_help("name the format").in_file(path).into()
}

/// The error of sources without a single model call.
pub(crate) fn nothing(files: usize, problems: &[Problem]) -> TraceError {
    let found = format!("no model calls in {files} {}", if files == 1 { "file" } else { "files" });
    let diagnostic = Diagnostic::unnamed(found, "at least one");
    match problems.first() {
        Some(problem) => diagnostic.with_help(problem.to_string()),
        None => diagnostic,
    }
    .into()
}
