//! The records of a run, and the definitions of what is measured of a request.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::{Result, TraceError};

use super::SUMMARY;
use super::statistics::ms;
use crate::durations::Durations;
use crate::records::{self, Measured, Outcome, Phase, Record, Request, Session, VERSION};

/// Folder of the record files in a run directory.
pub const RECORDS: &str = "records";

/// The records of a run. About 400 bytes per request.
#[derive(Debug, Default)]
pub struct Run {
    /// Requests, in the order of the files and of the lines in them.
    pub requests: Vec<Sent>,
    /// Sessions, in the same order.
    pub sessions: Vec<ReplayedSession>,
    /// Gaps between the reads of requests that succeeded.
    pub(super) gaps: BTreeMap<Phase, Durations>,
    /// Lags of the workers' event loops.
    pub(super) loop_lag: Durations,
    /// Record files, in order.
    pub(super) files: Vec<PathBuf>,
    /// Number of files whose last line is truncated.
    pub(super) truncated: u64,
    /// Number of lines that are not records.
    pub(super) damaged: u64,
}

/// A request of a run: its record without texts and gaps. Dereferences to the record.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Number of the worker.
    pub worker: u32,
    /// Number of the session's name, equal for equal names.
    pub key: u32,
    pub(super) record: Request,
}

/// A session of a run: its record without the name. Dereferences to the record.
#[derive(Debug, Clone)]
pub struct ReplayedSession {
    /// Number of the worker.
    pub worker: u32,
    /// Number of the session's name, equal for equal names.
    pub key: u32,
    pub(super) record: Session,
}

impl Deref for Sent {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.record
    }
}

impl Deref for ReplayedSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.record
    }
}

impl Run {
    /// Reads all record files of a run directory.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut run = Self { files: files(directory)?, ..Self::default() };
        let mut keys: HashMap<String, u32> = HashMap::new();
        let mut key = |name: String| {
            let next = keys.len() as u32;
            *keys.entry(name).or_insert(next)
        };
        for path in run.files.clone() {
            let mut worker = 0;
            let errors = read(&path, |record| {
                match record {
                    Record::Worker(of) if of.version != VERSION => {
                        let found = format!("version {}", of.version);
                        return Err(Diagnostic::unnamed(found, VERSION.to_string()).in_file(&path).into());
                    }
                    Record::Worker(of) => worker = of.worker,
                    Record::LoopLag(lag) => run.loop_lag.merge(&lag),
                    Record::Session(mut record) => {
                        let key = key(std::mem::take(&mut record.key));
                        run.sessions.push(ReplayedSession { worker, key, record });
                    }
                    Record::Request(mut record) => {
                        let key = key(std::mem::take(&mut record.key));
                        record.message = String::new();
                        if let Some(answer) = &mut record.answer {
                            let gaps = std::mem::take(&mut answer.gaps);
                            answer.finish_reason = None;
                            if record.outcome == Outcome::Ok {
                                run.gaps.entry(record.phase).or_default().merge(&gaps);
                            }
                        }
                        run.requests.push(Sent { worker, key, record });
                    }
                }
                Ok(())
            })?;
            run.truncated += u64::from(errors.truncated);
            run.damaged += errors.damaged.len() as u64;
        }
        Ok(run)
    }

    /// Reads all request records again, in the order of `requests`; calls `each` with the worker and the record.
    pub(super) fn reread(&self, mut each: impl FnMut(u32, Request) -> Result<()>) -> Result<()> {
        for path in &self.files {
            let mut worker = 0;
            read(path, |record| match record {
                Record::Worker(of) => {
                    worker = of.worker;
                    Ok(())
                }
                Record::Request(request) => each(worker, request),
                _ => Ok(()),
            })?;
        }
        Ok(())
    }
}

/// Reads one file; errors name it.
fn read(path: &Path, mut each: impl FnMut(Record) -> Result<()>) -> Result<records::ReadErrors> {
    enum Error {
        Reading(io::Error),
        Taking(TraceError),
    }
    impl From<io::Error> for Error {
        fn from(error: io::Error) -> Self {
            Self::Reading(error)
        }
    }
    records::read(path, |record| each(record).map_err(Error::Taking)).map_err(|error| match error {
        Error::Reading(source) => TraceError::Io { path: path.to_owned(), source },
        Error::Taking(error) => error,
    })
}

/// The error about a directory that is not a run directory.
fn no_run(directory: &Path, found: &str) -> TraceError {
    let expected =
        format!("a run directory that agentgen replay wrote ({RECORDS}/*.jsonl, one per worker, and {SUMMARY} in it)");
    Diagnostic::unnamed(found, expected).in_file(directory).into()
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let folder = directory.join(RECORDS);
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => no_run(directory, "no records"),
        _ => TraceError::Io { path: folder.clone(), source },
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(no_run(directory, "no files in records"));
    }
    files.sort();
    Ok(files)
}

impl Sent {
    /// What was measured of its answer: nothing if the response did not start.
    pub(super) fn measured(&self) -> &Measured {
        static NOTHING: LazyLock<Measured> = LazyLock::new(Measured::default);
        self.record.answer.as_ref().unwrap_or(&NOTHING)
    }

    /// Whether its answer is complete.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// Time from sent to the first token of any kind, ms.
    #[must_use]
    pub fn ttft_ms(&self) -> Option<f64> {
        self.since_sent(self.measured().first_token_ns)
    }

    /// Time from sent to the first token that is not reasoning, ms.
    #[must_use]
    pub fn ttfa_ms(&self) -> Option<f64> {
        self.since_sent(self.measured().first_answer_ns)
    }

    /// End-to-end time: from sent to the last byte, ms.
    #[must_use]
    pub fn e2e_ms(&self) -> Option<f64> {
        self.since_sent(self.measured().last_byte_ns)
    }

    /// Time per output token after the first, between the reads of the first and the last token, ms. `None` of an output
    /// of one token, and of one that came in one read.
    #[must_use]
    pub fn tpot_ms(&self) -> Option<f64> {
        let more = self.further_tokens()?;
        let (first, last) = (self.measured().first_token_ns?, self.measured().last_token_ns?);
        (first < last).then(|| ms(last - first) / more as f64)
    }

    /// Output tokens after the first; `None` without any.
    pub(super) fn further_tokens(&self) -> Option<u64> {
        self.output_reported()?.checked_sub(1).filter(|&more| more > 0)
    }

    /// Whether it has further tokens in a stream, and they came in the read of the first.
    pub(super) fn came_in_one_read(&self) -> bool {
        let measured = self.measured();
        self.further_tokens().is_some()
            && measured.first_token_ns.is_some()
            && measured.first_token_ns == measured.last_token_ns
    }

    /// Output tokens: as the server reports them, else the number of events that brought output.
    #[must_use]
    pub fn output_reported(&self) -> Option<u64> {
        self.measured()
            .completion_tokens
            .or((self.measured().output_events > 0).then_some(self.measured().output_events))
    }

    /// From the scheduled time to sent, ms. `None` of retries: the server makes them late.
    #[must_use]
    pub fn lag_ms(&self) -> Option<f64> {
        self.sent_first().map(|sent| ms(sent - self.scheduled_ns))
    }

    /// From the intended time to sent, ms. `None` of retries.
    #[must_use]
    pub fn intended_lag_ms(&self) -> Option<f64> {
        self.sent_first().map(|sent| ms(sent - self.intended_ns))
    }

    /// From the intended time to the first token, ms.
    #[must_use]
    pub fn intended_ttft_ms(&self) -> Option<f64> {
        self.measured().first_token_ns.map(|stamp| ms(stamp - self.intended_ns))
    }

    /// From the intended time to the last byte, ms.
    #[must_use]
    pub fn intended_e2e_ms(&self) -> Option<f64> {
        self.measured().last_byte_ns.map(|stamp| ms(stamp - self.intended_ns))
    }

    fn sent_first(&self) -> Option<i64> {
        self.sent_ns.filter(|_| self.retries == 0)
    }

    fn since_sent(&self, stamp: Option<i64>) -> Option<f64> {
        Some(ms(stamp? - self.sent_ns?))
    }
}
