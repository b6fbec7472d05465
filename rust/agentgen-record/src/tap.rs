//! Sees calls as they pass: times, the request's body, and the answer, which is read as it comes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use agentgen_replay::answer::{Answer, End, Endpoint};
use agentgen_server::proxy::{CallEnd, Headers, Observer, Tap};

use crate::client;
use crate::decode::Decoder;
use crate::request::{self, MAX_BYTES};

/// Most bytes of requests that wait to be written; further ones are recorded without their prompts.
const MAX_WAITING_BYTES: u64 = 256 << 20;

/// Most bytes of a request for which memory is reserved before they have come.
const MAX_RESERVED_BYTES: usize = 1 << 20;

/// A call that has ended.
pub struct Ended {
    pub endpoint: Endpoint,
    /// The id of its session in the headers.
    pub client: Option<String>,
    /// The id of the session that started it.
    pub parent: Option<String>,
    /// `Content-Encoding` of the request.
    pub encoding: Option<String>,
    /// Its body; `None` if it is too large.
    pub request: Option<Vec<u8>>,
    /// When the request came in, ms since the Unix epoch.
    pub sent_ms: f64,
    pub status: Option<u16>,
    /// From then to the first part of the response's body, ns.
    pub first_byte_ns: Option<u64>,
    /// To the last part, or to the end without one.
    pub end_ns: u64,
    /// Of a response without an error status; its times count from when the request came in.
    pub answer: Option<Answer>,
    pub end: CallEnd,
}

/// Begins to watch calls, and hands them on when they have ended.
pub struct Watch {
    ended: Mutex<Sender<Ended>>,
    session_headers: Vec<String>,
    /// Bytes of requests that wait to be written.
    waiting: Arc<AtomicU64>,
    other_requests: Arc<AtomicU64>,
}

impl Watch {
    pub fn new(
        ended: Sender<Ended>,
        session_headers: Vec<String>,
        waiting: Arc<AtomicU64>,
        other_requests: Arc<AtomicU64>,
    ) -> Self {
        Self { ended: Mutex::new(ended), session_headers, waiting, other_requests }
    }
}

impl Observer for Watch {
    fn begin(&self, method: &str, path: &str, headers: &Headers<'_>) -> Option<Box<dyn Tap>> {
        let Some(endpoint) = request::endpoint(method, path) else {
            self.other_requests.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let expected = headers.get("content-length").and_then(|length| length.parse().ok());
        let ended = Ended {
            endpoint,
            client: client::of_headers(headers, &self.session_headers),
            parent: client::parent_of_headers(headers),
            encoding: headers.get("content-encoding").map(str::to_owned),
            request: Some(Vec::with_capacity(expected.unwrap_or(0).min(MAX_RESERVED_BYTES))),
            sent_ms: since_epoch.as_micros() as f64 / 1e3,
            status: None,
            first_byte_ns: None,
            end_ns: 0,
            answer: None,
            end: CallEnd::Cancelled,
        };
        Some(Box::new(CallTap {
            ended,
            begun: Instant::now(),
            decoder: Decoder::Plain,
            is_read: false,
            sender: self.ended.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            waiting: self.waiting.clone(),
        }))
    }
}

struct CallTap {
    ended: Ended,
    begun: Instant,
    decoder: Decoder,
    /// The answer needs no more.
    is_read: bool,
    sender: Sender<Ended>,
    waiting: Arc<AtomicU64>,
}

impl CallTap {
    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }
}

impl Tap for CallTap {
    fn request(&mut self, data: &[u8]) {
        if let Some(request) = &mut self.ended.request {
            if request.len() + data.len() > MAX_BYTES {
                self.ended.request = None;
            } else {
                request.extend_from_slice(data);
            }
        }
    }

    fn response(&mut self, status: u16, headers: &Headers<'_>) {
        self.ended.status = Some(status);
        if (200..300).contains(&status) {
            let is_stream = headers.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
            self.ended.answer = Some(Answer::new(self.ended.endpoint, is_stream).with_max_bytes(u64::MAX));
            self.decoder = Decoder::new(headers.get("content-encoding"));
        }
    }

    fn answer(&mut self, data: &[u8]) {
        let now = self.now();
        self.ended.first_byte_ns.get_or_insert(now);
        self.ended.end_ns = now;
        let (answer, is_read) = (&mut self.ended.answer, &mut self.is_read);
        if let (Some(answer), false) = (answer, *is_read) {
            self.decoder.add(data, |data| *is_read = !answer.feed(data, now as i64));
        }
    }

    fn end(mut self: Box<Self>, end: CallEnd) {
        let now = self.now();
        let ended = &mut self.ended;
        ended.end = end;
        if ended.end_ns == 0 || end == CallEnd::Cancelled {
            ended.end_ns = now;
        }
        if !self.decoder.is_readable() {
            ended.answer = None;
        }
        if let Some(answer) = &mut ended.answer {
            let end = match end {
                CallEnd::Complete => End::Complete,
                CallEnd::Closed => End::Closed,
                CallEnd::Lost | CallEnd::Cancelled | CallEnd::Unreachable => End::Lost,
            };
            answer.end(end, now as i64);
        }
        let bytes = ended.request.as_ref().map_or(0, Vec::len) as u64;
        if self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_WAITING_BYTES {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
            ended.request = None;
        }
        // Without the thread of the journal nothing is recorded any more.
        let _ = self.sender.send(self.ended);
    }
}
