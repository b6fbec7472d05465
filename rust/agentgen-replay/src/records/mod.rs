//! What happened to each request, in files: one a worker, which nobody else writes to.
//!
//! A file is JSON, one record a line. What was flushed is there whatever happens to the worker; a line that its end cut
//! off is counted and left out.

mod read;
mod write;

pub use read::{Trouble, read};
pub use write::Recorder;

use serde::Serialize;

use crate::answer::{Answer, Failure};
use crate::durations::Durations;

/// Increased when a field changes its meaning.
pub const VERSION: u32 = 2;

/// A line of a record file.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // one at a time is held
pub enum Record {
    /// The first line.
    Worker(Worker),
    /// A request that is over, however.
    Request(Request),
    /// A session that is over, however.
    Session(Session),
    /// How late the worker's event loop was since the last such record.
    LoopLag(Durations),
}

/// Whose file it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Worker {
    /// [`VERSION`].
    pub version: u32,
    /// Number of the worker.
    pub worker: u32,
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Before anything counts.
    Warmup,
    /// What is measured.
    Run,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a whole answer.
    Ok,
    /// With a status of HTTP that is not 200.
    HttpError,
    /// No connection.
    ConnectError,
    /// The connection was lost before an answer began.
    ConnectionLost,
    /// The body ended before the answer did.
    StreamTruncated,
    /// The server told of an error in its answer.
    ServerError,
    /// What came is no answer.
    BadResponse,
    /// No connection in time.
    TimeoutConnect,
    /// No output in time.
    TimeoutFirstToken,
    /// Not over in time.
    TimeoutTotal,
    /// The request could not be made from what was answered before.
    History,
    /// The run ended first.
    Cancelled,
    /// The worker that had sent it died.
    WorkerLost,
}

impl Outcome {
    /// The name as it stands in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::HttpError => "http_error",
            Self::ConnectError => "connect_error",
            Self::ConnectionLost => "connection_lost",
            Self::StreamTruncated => Failure::StreamTruncated.name(),
            Self::ServerError => Failure::ServerError.name(),
            Self::BadResponse => Failure::BadResponse.name(),
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutFirstToken => "timeout_first_token",
            Self::TimeoutTotal => "timeout_total",
            Self::History => "history",
            Self::Cancelled => "cancelled",
            Self::WorkerLost => "worker_lost",
        }
    }
}

/// One request. Stamps are nanoseconds of one monotonic clock, lengths are tokens.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Number of the session in the trace.
    pub session: u64,
    /// Name of the session on the wire.
    pub key: String,
    /// Number of the request in its session, from 0.
    pub turn: u32,
    /// Warm-up or not.
    pub phase: Phase,
    /// Number of the server.
    pub url: u32,
    /// Scheduled time: the actual end of the response before, plus the delay.
    pub scheduled_ns: i64,
    /// Intended time: the intended end of the response before, plus the delay.
    pub intended_ns: i64,
    /// When it was handed to the operating system; nothing if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_ns: Option<i64>,
    /// Length of the prompt in the trace.
    pub context_tokens: u64,
    /// What is new of it.
    pub input_tokens: u64,
    /// Length of the output in the trace.
    pub output_tokens: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Status of HTTP; 0 without one.
    pub status: u16,
    /// How often it was sent again before.
    pub retries: u32,
    /// What went wrong, in one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Measured>,
}

/// What is kept of an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, serde::Deserialize)]
pub struct Measured {
    /// First byte of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ns: Option<i64>,
    /// First output of any kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ns: Option<i64>,
    /// First output that is not reasoning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_answer_ns: Option<i64>,
    /// Last output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_token_ns: Option<i64>,
    /// Last byte of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_byte_ns: Option<i64>,
    /// Network reads.
    pub reads: u64,
    /// Events that were understood.
    pub events: u64,
    /// Events that brought output.
    pub output_events: u64,
    /// Events that were not understood.
    pub malformed_events: u64,
    /// Tokens of the prompt, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the output, as the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Tokens of the prompt found in the server's cache, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Why the server stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Times between reads that brought output.
    pub gaps: Durations,
}

impl From<&Answer> for Measured {
    fn from(answer: &Answer) -> Self {
        let (stamps, counts) = (answer.stamps(), answer.counts());
        Self {
            first_byte_ns: stamps.first_byte_ns,
            first_token_ns: stamps.first_token_ns,
            first_answer_ns: stamps.first_answer_ns,
            last_token_ns: stamps.last_token_ns,
            last_byte_ns: stamps.last_byte_ns,
            reads: counts.reads,
            events: counts.events,
            output_events: counts.output_events,
            malformed_events: counts.malformed_events,
            prompt_tokens: counts.prompt_tokens,
            completion_tokens: counts.completion_tokens,
            cached_tokens: counts.cached_tokens,
            finish_reason: answer.finish_reason().map(str::to_owned),
            gaps: stamps.gaps.clone(),
        }
    }
}

/// One session. `planned` requests are those of the trace; each of them has a request record (succeeded, failed or
/// cancelled) or is counted here as skipped or never issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Number of the session in the trace.
    pub session: u64,
    /// Name of the session on the wire.
    pub key: String,
    /// Warm-up or not.
    pub phase: Phase,
    /// Requests of the trace.
    pub planned: u32,
    /// When it took its slot.
    pub opened_ns: i64,
    /// When it gave its slot back.
    pub closed_ns: i64,
    /// Requests left out because one before failed.
    pub skipped: u32,
    /// Requests whose records say that they were cancelled.
    pub cancelled: u32,
    /// Requests that were not due yet when the run ended.
    pub never_issued: u32,
}
