//! Records of requests and sessions, one file for each worker.
//!
//! A file is JSON Lines, one record per line. Flushed records survive the worker's death; a truncated last line is counted
//! and skipped.
//!
//! [`Request`] and [`Measured`] define the fields of a request for the whole crate: the files, the figures and the columns
//! of the table of requests are derived from them.

mod read;
mod write;

pub use read::{ReadErrors, read};
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
    /// A request that ended, with any outcome.
    Request(Request),
    /// A session that ended, with any outcome.
    Session(Session),
    /// Lags of the worker's event loop since the last such record.
    LoopLag(Durations),
}

/// The worker that writes a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Worker {
    /// [`VERSION`].
    pub version: u32,
    /// Number of the worker.
    pub worker: u32,
}

/// Phase of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Warm-up, in no figure of the run.
    Warmup,
    /// The measured phase.
    Run,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A complete answer.
    Ok,
    /// An HTTP status other than 200.
    HttpError,
    /// No connection could be made.
    ConnectError,
    /// The connection was lost before the response started.
    ConnectionLost,
    /// The body ended before the answer was complete.
    StreamTruncated,
    /// The server reported an error in the response.
    ServerError,
    /// The response is not an answer.
    BadResponse,
    /// The response is larger than the limits allow.
    ResponseTooLarge,
    /// Connecting timed out.
    TimeoutConnect,
    /// The first output timed out.
    TimeoutFirstToken,
    /// The whole request timed out.
    TimeoutTotal,
    /// The request could not be built from the answers before it.
    History,
    /// There is nothing in the answer that the next prompt could hold.
    EmptyAnswer,
    /// The run ended before the answer was complete.
    Cancelled,
    /// The worker that sent it died.
    WorkerLost,
}

impl Outcome {
    /// Name in records.
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
            Self::ResponseTooLarge => Failure::TooLarge.name(),
            Self::TimeoutConnect => "timeout_connect",
            Self::TimeoutFirstToken => "timeout_first_token",
            Self::TimeoutTotal => "timeout_total",
            Self::History => "history",
            Self::EmptyAnswer => "empty_answer",
            Self::Cancelled => "cancelled",
            Self::WorkerLost => "worker_lost",
        }
    }
}

/// One request. Stamps are nanoseconds of one monotonic clock, lengths are tokens.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Number of the session in the trace, from 0.
    pub session: u64,
    /// Name of the session in HTTP headers.
    pub key: String,
    /// Turn of the request in its session, from 0.
    pub turn: u32,
    /// Phase of the replay.
    pub phase: Phase,
    /// Index of the server.
    pub url: u32,
    /// Scheduled time: the actual end of the response before, plus the delay.
    pub scheduled_ns: i64,
    /// Intended time: the intended end of the response before, plus the delay.
    pub intended_ns: i64,
    /// When it was handed to the operating system; `None` if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_ns: Option<i64>,
    /// Planned tokens of the prompt.
    pub context_tokens: u64,
    /// Planned new tokens of the prompt.
    pub input_tokens: u64,
    /// Planned tokens of the output.
    pub output_tokens: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status; 0 without one.
    pub status: u16,
    /// Number of retries.
    pub retries: u32,
    /// Error in one line; empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What was measured of the answer; `None` if the response did not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Measured>,
}

/// What is measured of an answer. Stamps are nanoseconds of the clock of [`Request`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, serde::Deserialize)]
pub struct Measured {
    /// First byte of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte_ns: Option<i64>,
    /// First output of any kind; streams only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ns: Option<i64>,
    /// First output that is not reasoning; streams only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_answer_ns: Option<i64>,
    /// Last output; streams only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_token_ns: Option<i64>,
    /// Last byte of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_byte_ns: Option<i64>,
    /// Network reads of the body.
    pub reads: u64,
    /// Events that were parsed.
    pub events: u64,
    /// Events that brought output.
    pub output_events: u64,
    /// Events that could not be parsed.
    pub malformed_events: u64,
    /// Tokens of the prompt, as the server reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the output, as the server reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// Tokens of the prompt found in the server's cache, as it reports them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Why the server stopped generating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Times between successive reads that brought output.
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

/// One session. Each of its `planned` requests has a request record (succeeded, failed or cancelled), or counts here as
/// skipped or never issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Number of the session in the trace, from 0.
    pub session: u64,
    /// Name of the session in HTTP headers.
    pub key: String,
    /// Phase of the replay.
    pub phase: Phase,
    /// Requests of the trace.
    pub planned: u32,
    /// When it took its slot, ns.
    pub opened_ns: i64,
    /// When it freed its slot, ns.
    pub closed_ns: i64,
    /// Requests not sent because an earlier one failed.
    pub skipped: u32,
    /// Requests with a record that were cancelled.
    pub cancelled: u32,
    /// Requests that were not due when the run ended.
    pub never_issued: u32,
}
