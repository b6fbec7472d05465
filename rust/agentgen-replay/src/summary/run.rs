//! The records of a run, as far as figures need them.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use agentgen_trace::{Result, TraceError};

use super::SUMMARY;
use super::statistics::ms;
use crate::durations::Durations;
use crate::records::{self, Outcome, Phase, Record, Request, VERSION};

/// The folder of a run directory that record files are in.
pub const RECORDS: &str = "records";

/// All that happened. About 250 bytes a request.
#[derive(Debug, Default)]
pub struct Run {
    /// Requests, in the order of the files and of the lines in them.
    pub requests: Vec<Sent>,
    /// Sessions, likewise.
    pub sessions: Vec<Held>,
    /// Gaps between reads of requests that succeeded.
    pub(super) gaps: BTreeMap<Phase, Durations>,
    /// How late event loops were.
    pub(super) loop_lag: Durations,
    /// Record files, in order.
    pub(super) files: Vec<PathBuf>,
    /// Of these, how many end within a record.
    pub(super) torn: u64,
    /// Lines that are no records.
    pub(super) damaged: u64,
}

/// A request. Stamps in nanoseconds, lengths in tokens, as in [`Request`].
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // documented in `Request` and `Measured`
pub struct Sent {
    pub worker: u32,
    pub session: u64,
    /// Number of the session's name, equal for equal names.
    pub key: u32,
    pub turn: u32,
    /// Number of the server.
    pub url: u32,
    pub phase: Phase,
    pub scheduled_ns: i64,
    pub intended_ns: i64,
    pub sent_ns: Option<i64>,
    pub first_token_ns: Option<i64>,
    pub first_answer_ns: Option<i64>,
    pub last_token_ns: Option<i64>,
    pub last_byte_ns: Option<i64>,
    pub context_tokens: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub cached_tokens: Option<u64>,
    pub output_events: u64,
    pub malformed_events: u64,
    pub outcome: Outcome,
    pub status: u16,
    pub retries: u32,
}

/// A session that held a slot.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // documented in `records::Session`
pub struct Held {
    pub worker: u32,
    pub key: u32,
    pub phase: Phase,
    pub planned: u32,
    pub opened_ns: i64,
    pub closed_ns: i64,
    pub skipped: u32,
    pub cancelled: u32,
    pub never_issued: u32,
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
            let trouble = read(&path, |record| {
                match record {
                    Record::Worker(of) if of.version != VERSION => {
                        let message = format!("{}: found version {}, expected {VERSION}", path.display(), of.version);
                        return Err(TraceError::Format(message));
                    }
                    Record::Worker(of) => worker = of.worker,
                    Record::LoopLag(lag) => run.loop_lag.merge(&lag),
                    Record::Session(session) => run.sessions.push(Held {
                        worker,
                        key: key(session.key),
                        phase: session.phase,
                        planned: session.planned,
                        opened_ns: session.opened_ns,
                        closed_ns: session.closed_ns,
                        skipped: session.skipped,
                        cancelled: session.cancelled,
                        never_issued: session.never_issued,
                    }),
                    Record::Request(request) => {
                        if let (Outcome::Ok, Some(answer)) = (request.outcome, &request.answer) {
                            run.gaps.entry(request.phase).or_default().merge(&answer.gaps);
                        }
                        let sent = Sent::new(worker, &request, key(request.key.clone()));
                        run.requests.push(sent);
                    }
                }
                Ok(())
            })?;
            run.torn += u64::from(trouble.torn);
            run.damaged += trouble.damaged.len() as u64;
        }
        Ok(run)
    }

    /// Gives all request records once more, in the order of `requests`, each with its worker.
    pub(super) fn again(&self, mut each: impl FnMut(u32, Request) -> Result<()>) -> Result<()> {
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

/// Reads one file; names it in errors.
fn read(path: &Path, mut each: impl FnMut(Record) -> Result<()>) -> Result<records::Trouble> {
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

/// Says what the directory of a replay is.
fn no_run(directory: &Path, found: &str) -> TraceError {
    TraceError::Format(format!(
        "{}: found {found}, expected a run directory that agentgen replay wrote ({RECORDS}/*.jsonl, one a worker, and \
         {SUMMARY} in it)",
        directory.display()
    ))
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

/// The definitions of what is measured of a request.
impl Sent {
    pub(super) fn new(worker: u32, request: &Request, key: u32) -> Self {
        let answer = request.answer.as_ref();
        Self {
            worker,
            session: request.session,
            key,
            turn: request.turn,
            url: request.url,
            phase: request.phase,
            scheduled_ns: request.scheduled_ns,
            intended_ns: request.intended_ns,
            sent_ns: request.sent_ns,
            first_token_ns: answer.and_then(|answer| answer.first_token_ns),
            first_answer_ns: answer.and_then(|answer| answer.first_answer_ns),
            last_token_ns: answer.and_then(|answer| answer.last_token_ns),
            last_byte_ns: answer.and_then(|answer| answer.last_byte_ns),
            context_tokens: request.context_tokens,
            input_tokens: request.input_tokens,
            output_tokens: request.output_tokens,
            prompt_tokens: answer.and_then(|answer| answer.prompt_tokens),
            completion_tokens: answer.and_then(|answer| answer.completion_tokens),
            cached_tokens: answer.and_then(|answer| answer.cached_tokens),
            output_events: answer.map_or(0, |answer| answer.output_events),
            malformed_events: answer.map_or(0, |answer| answer.malformed_events),
            outcome: request.outcome,
            status: request.status,
            retries: request.retries,
        }
    }

    /// Whether it ended with a whole answer.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.outcome == Outcome::Ok
    }

    /// Time to the first token, of any kind, from when it was sent.
    #[must_use]
    pub fn ttft_ms(&self) -> Option<f64> {
        self.since_sent(self.first_token_ns)
    }

    /// Time to the first token that is not reasoning.
    #[must_use]
    pub fn ttfa_ms(&self) -> Option<f64> {
        self.since_sent(self.first_answer_ns)
    }

    /// End to end: to the last byte.
    #[must_use]
    pub fn e2e_ms(&self) -> Option<f64> {
        self.since_sent(self.last_byte_ns)
    }

    /// Time per output token after the first: from the first token's read to the last one's.
    #[must_use]
    pub fn tpot_ms(&self) -> Option<f64> {
        let more = self.output_reported()?.checked_sub(1).filter(|&more| more > 0)?;
        Some(ms(self.last_token_ns? - self.first_token_ns?) / more as f64)
    }

    /// Output tokens: as the server says or, if it does not, events that brought output.
    #[must_use]
    pub fn output_reported(&self) -> Option<u64> {
        self.completion_tokens.or((self.output_events > 0).then_some(self.output_events))
    }

    /// How late it was sent, as things went. A retry is late because of the server.
    #[must_use]
    pub fn lag_ms(&self) -> Option<f64> {
        self.sent_first().map(|sent| ms(sent - self.scheduled_ns))
    }

    /// How late it was sent, had no request before it been sent late.
    #[must_use]
    pub fn intended_lag_ms(&self) -> Option<f64> {
        self.sent_first().map(|sent| ms(sent - self.intended_ns))
    }

    /// Time to the first token from the intended moment.
    #[must_use]
    pub fn intended_ttft_ms(&self) -> Option<f64> {
        self.first_token_ns.map(|stamp| ms(stamp - self.intended_ns))
    }

    /// Time to the last byte from the intended moment.
    #[must_use]
    pub fn intended_e2e_ms(&self) -> Option<f64> {
        self.last_byte_ns.map(|stamp| ms(stamp - self.intended_ns))
    }

    fn sent_first(&self) -> Option<i64> {
        self.sent_ns.filter(|_| self.retries == 0)
    }

    fn since_sent(&self, stamp: Option<i64>) -> Option<f64> {
        Some(ms(stamp? - self.sent_ns?))
    }
}
