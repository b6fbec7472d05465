//! Reads rollouts from files, several at a time, and writes them as Parquet.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};
use agentgen_trace::ordered::{Cancel, Ordered};
use agentgen_trace::sink::file::PartialFile;
use agentgen_trace::sink::parquet::{Writer, parquet_error};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_schema::SchemaRef;
use serde::Serialize;

use super::index::Indexes;
use super::model::Rollout;
use super::select::{RolloutOptions, select};
use super::{atif, claude, codex, hermes, pi, table};
use crate::import::discover::{SourceFile, discover};
use crate::import::formats::{Format, detect, named};
use crate::import::model::{Problem, Recording};
use crate::import::{Progress, ShownProblem, unread};

/// A batch, and so a row group, has at least so many bytes of text or rows, except for the last one.
const BATCH_BYTES: usize = 16 << 20;
const BATCH_ROWS: usize = 1024;

type Read = fn(&Path, &Indexes, &mut Recording) -> Result<Vec<Rollout>>;

/// The reader of a format's rollouts.
pub(super) struct Reader {
    /// Name of the import format.
    pub format: &'static str,
    read: Read,
}

pub(super) const READERS: &[Reader] = &[
    Reader { format: "claude-code", read: claude::read },
    Reader { format: "codex", read: |path, _, recording| codex::read(path, recording) },
    Reader { format: "pi", read: |path, _, recording| pi::read(path, recording) },
    Reader { format: "atif", read: |path, _, recording| atif::read(path, recording) },
    Reader { format: "hermes", read: hermes::read },
];

fn reader(format: &str) -> Result<&'static Reader> {
    READERS.iter().find(|reader| reader.format == format).ok_or_else(|| {
        let names: Vec<_> = READERS.iter().map(|reader| reader.format).collect();
        let expected = format!("one of {}, whose messages can be read", names.join(", "));
        TraceError::usage("format", Diagnostic::unnamed(format, expected))
    })
}

/// What could not be read, and what was left out on purpose; complete when all batches are taken.
#[derive(Debug, Clone, Default)]
pub struct RolloutProblems(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
    left_out: BTreeMap<&'static str, u64>,
    files: u64,
    files_of_other_formats: u64,
}

/// Rollouts that are read while they are taken.
pub struct Rollouts {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows.
    pub batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
    /// What could not be read.
    pub problems: RolloutProblems,
}

impl std::fmt::Debug for Rollouts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rollouts").field("problems", &self.problems).finish_non_exhaustive()
    }
}

/// Rollouts that were written.
#[derive(Debug, Serialize)]
pub struct WrittenRollouts {
    /// Whether the file was written: not if it had to be complete and is not.
    is_written: bool,
    rows: u64,
    messages: u64,
    tool_calls: u64,
    files: u64,
    files_of_other_formats: u64,
    bytes: u64,
    left_out: BTreeMap<&'static str, u64>,
    problems: Vec<ShownProblem>,
}

/// Finds the files; rows are read when they are taken.
pub fn open(options: &RolloutOptions, progress: &Progress, cancel: &Cancel) -> Result<Rollouts> {
    let format = options.format.as_deref().map(reader).transpose()?;
    let names: Vec<_> = format.map_or_else(super::formats, |reader| vec![reader.format]);
    let known = names.into_iter().map(named).collect::<Result<Vec<&Format>>>()?;
    let found = discover(&options.sources, &known, &|name| std::env::var_os(name))?;
    let problems = RolloutProblems::default();
    problems.add(|all| all.problems = found.problems);
    let files = select(found.files, options)?;
    let size = |file: &SourceFile| file.path.metadata().map_or(0, |metadata| metadata.len());
    progress.total.store(files.iter().map(size).sum(), Ordering::Relaxed);
    let (threads, indexes) = (options.threads, Arc::new(Indexes::default()));
    let read = Ordered::start(threads, threads * 2, cancel, files.into_iter(), || {
        let (indexes, done) = (Arc::clone(&indexes), Arc::clone(&progress.done));
        move |file: SourceFile| {
            let read = read_file(&file, format, &indexes);
            done.fetch_add(size(&file), Ordering::Relaxed);
            match read {
                // Of a folder, a file that cannot be read costs itself only.
                Err(error) if !file.is_named => unread(file.path, error).map(|problem| FileRead {
                    recording: Recording { problems: vec![problem], ..Recording::default() },
                    rollouts: Some(Vec::new()),
                }),
                read => read,
            }
        }
    });
    let left = options.limit.unwrap_or(u64::MAX);
    let batches = Box::new(Batches { files: read, waiting: Vec::new(), bytes: 0, left, problems: problems.clone() });
    Ok(Rollouts { schema: table::schema(), batches, problems })
}

struct FileRead {
    recording: Recording,
    /// None for a file of another format.
    rollouts: Option<Vec<Rollout>>,
}

fn read_file(file: &SourceFile, format: Option<&Reader>, indexes: &Indexes) -> Result<FileRead> {
    let detected = match format {
        Some(_) => None,
        None => detect(&file.path)?,
    };
    let reader = match (format, detected) {
        (Some(reader), _) => Some(reader),
        (None, Some(detected)) => READERS.iter().find(|reader| reader.format == detected.name),
        (None, None) => None,
    };
    let mut recording = Recording::default();
    let Some(reader) = reader else {
        if file.is_named {
            let found = detected.map_or("a file of no known format", |format| format.title);
            let expected = format!("a file of {}", super::formats().join(", "));
            return Err(Diagnostic::unnamed(found, expected).in_file(&file.path).into());
        }
        return Ok(FileRead { recording, rollouts: None });
    };
    let rollouts = (reader.read)(&file.path, indexes, &mut recording)?;
    Ok(FileRead { recording, rollouts: Some(rollouts) })
}

/// Rows of several files in a batch.
struct Batches {
    files: Ordered<FileRead>,
    waiting: Vec<Rollout>,
    bytes: usize,
    /// Rows that may still come.
    left: u64,
    problems: RolloutProblems,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.left > 0 && self.bytes < BATCH_BYTES && self.waiting.len() < BATCH_ROWS {
            match self.files.next() {
                None => break,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(file)) => self.add(file),
            }
        }
        if self.waiting.is_empty() {
            return None;
        }
        self.bytes = 0;
        Some(table::batch(&std::mem::take(&mut self.waiting)))
    }
}

impl Batches {
    fn add(&mut self, file: FileRead) {
        let FileRead { recording, rollouts } = file;
        self.problems.add(|all| {
            all.files += u64::from(rollouts.is_some());
            all.files_of_other_formats += u64::from(rollouts.is_none());
            all.problems.extend(recording.problems);
            for (reason, count) in recording.left_out {
                *all.left_out.entry(reason).or_default() += count;
            }
        });
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        for rollout in rollouts.into_iter().flatten().take(most) {
            self.left -= 1;
            self.bytes += rollout.bytes();
            self.waiting.push(rollout);
        }
    }
}

impl RolloutProblems {
    fn add(&self, change: impl FnOnce(&mut Found)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn take(&self) -> Found {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The parts of the sources that could not be used so far.
    #[must_use]
    pub fn taken(&self) -> Vec<ShownProblem> {
        self.take().problems.into_iter().map(ShownProblem::from).collect()
    }
}

/// Writes rollouts as a Parquet file, which appears only when it is whole. `strict`: not if a part of the sources cannot be
/// used.
pub fn write(
    options: &RolloutOptions,
    path: &Path,
    strict: bool,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<WrittenRollouts> {
    let Rollouts { schema, batches, problems } = open(options, progress, cancel)?;
    let fail = |error| parquet_error(path, error);
    let (mut writer, encoder) = Writer::start(PartialFile::create(path)?, &schema)?;
    let threads = options.threads;
    let encoded = Ordered::start(threads, threads, cancel, batches, || {
        let encoder = encoder.clone();
        move |batch: Result<RecordBatch>| {
            let batch = batch?;
            let mut group = encoder.begin()?;
            group.add(&batch)?;
            let count = |name: &str| sum(&batch, name);
            Ok((group.finish()?, batch.num_rows() as u64, count("message_count"), count("tool_call_count")))
        }
    });
    let (mut rows, mut messages, mut tool_calls) = (0, 0, 0);
    for group in encoded {
        let (group, more_rows, more_messages, more_calls) = group?;
        writer.append(group).map_err(fail)?;
        (rows, messages, tool_calls) = (rows + more_rows, messages + more_messages, tool_calls + more_calls);
    }
    let found = problems.take();
    if rows == 0 {
        let diagnostic = Diagnostic::unnamed(format!("no session in {} files", found.files), "at least one");
        return Err(diagnostic.with_help(found.problems.first().map_or_else(String::new, Problem::to_string)).into());
    }
    let is_written = !strict || found.problems.is_empty();
    let file = writer.finish().map_err(fail)?.seal()?;
    let entry = if is_written { file.publish()? } else { file.entry().clone() };
    Ok(WrittenRollouts {
        is_written,
        rows,
        messages,
        tool_calls,
        files: found.files,
        files_of_other_formats: found.files_of_other_formats,
        bytes: entry.bytes,
        left_out: found.left_out,
        problems: found.problems.into_iter().map(ShownProblem::from).collect(),
    })
}

/// The sum of a column of counts.
fn sum(batch: &RecordBatch, name: &str) -> u64 {
    let column = batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>().values());
    column.map_or(0, |values| values.iter().sum::<i64>() as u64)
}
