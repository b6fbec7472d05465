//! Response bodies: a document, or a stream that writes each event when it is due.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use agentgen_engine::serving::System;
use bytes::Bytes;
use futures_timer::Delay;
use hyper::body::{Body, Frame, SizeHint};

use crate::answer::Answer;
use crate::document;
use crate::engine::{Admission, Sent, nanoseconds};
use crate::fault::{Faults, Split};
use crate::gzip::Gzip;
use crate::metrics::Outcome;
use crate::options::Events;
use crate::shared::Ticket;
use crate::steps::{Part, Steps};
use crate::wire::Wire;

/// Bytes of events that are encoded at a time.
const MAX_WRITE_BYTES: usize = 1 << 20;

/// The connection is dropped by an injected fault.
#[derive(Debug, thiserror::Error)]
#[error("connection dropped by an injected fault")]
pub struct Dropped;

/// A response body.
pub enum Reply {
    /// A document; `None` once it is written.
    Document(Option<Bytes>),
    /// An answer as one document.
    Answer {
        /// What is still to be written.
        document: document::Document,
        /// Whether the connection is dropped at its end.
        dropped: bool,
        /// Whether all of it has been flushed.
        flushed: bool,
    },
    /// A stream of events.
    Stream(Box<Stream>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Dropped;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context) -> Poll<Option<Result<Frame<Bytes>, Dropped>>> {
        match self.get_mut() {
            Self::Document(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Answer { document, dropped, flushed } => {
                if let Some(bytes) = document.next_chunk() {
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                if !*dropped {
                    return Poll::Ready(None);
                }
                if std::mem::replace(flushed, true) {
                    return Poll::Ready(Some(Err(Dropped)));
                }
                // hyper flushes its buffer when the body has nothing more.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Stream(stream) => stream.poll(context).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Document(bytes) => bytes.is_none(),
            Self::Answer { document, dropped, .. } => !dropped && document.left() == 0,
            Self::Stream(stream) => stream.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Document(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Answer { document, dropped: false, .. } => SizeHint::with_exact(document.left()),
            Self::Answer { .. } | Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// When each event of a stream is due, by the model.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    system: System,
    first_token: u64,
    end: u64,
    tokens: u32,
}

impl Schedule {
    /// The schedule of an admitted request with this many output tokens.
    pub fn new(system: System, admission: &Admission, tokens: u32) -> Self {
        Self { system, first_token: admission.first_token, end: admission.end, tokens }
    }

    /// Due time of the event after `tokens` tokens, ns.
    pub fn due(&self, tokens: u32) -> u64 {
        if tokens < self.tokens { self.first_token + nanoseconds(self.system.decode_ms(tokens)) } else { self.end }
    }
}

/// A stream of events, each written when it is due.
pub struct Stream {
    ticket: Ticket,
    answer: Answer,
    sent: Sent,
    /// `None` until the request is admitted.
    schedule: Option<Schedule>,
    faults: Faults,
    wire: Wire,
    /// Whether every event is a write of its own.
    apart: bool,
    /// Injected delay of the headers, ns.
    late: u64,
    steps: Steps,
    next: usize,
    /// Frames still to be returned.
    pieces: VecDeque<Bytes>,
    /// Whether the last frame must be flushed before the next.
    flush: bool,
    dropped: bool,
    delay: Option<Delay>,
    gzip: Option<Gzip>,
    /// From the last event to the end of the body; 0 once it has passed.
    late_end: Duration,
}

impl Stream {
    /// The events of `answer`, all `late` ns later than the model says.
    pub fn new(ticket: Ticket, answer: Answer, sent: Sent, steps: Steps, faults: Faults, late: u64) -> Self {
        let apart = faults.split.is_some() || (ticket.shared.options.events == Events::Token && !faults.one_write);
        let wire = Wire::new(&faults, ticket.number());
        let gzip = faults.gzip.then(Gzip::default);
        let late_end = faults.late_end;
        Self {
            ticket,
            answer,
            sent,
            schedule: None,
            faults,
            wire,
            apart,
            late,
            steps,
            next: 0,
            pieces: VecDeque::new(),
            flush: false,
            dropped: false,
            delay: None,
            gzip,
            late_end,
        }
    }

    fn is_over(&self) -> bool {
        self.is_written() && self.late_end.is_zero()
    }

    fn is_written(&self) -> bool {
        self.next == self.steps.len() && self.pieces.is_empty() && !self.dropped
    }

    fn poll(&mut self, context: &mut Context) -> Poll<Option<Result<Bytes, Dropped>>> {
        if self.flush {
            // hyper flushes its buffer when the body has nothing more.
            self.flush = false;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pieces.is_empty() {
            if self.dropped {
                self.ticket.finish(Outcome::Fault);
                return Poll::Ready(Some(Err(Dropped)));
            }
            if self.next == self.steps.len() {
                std::task::ready!(self.poll_late_end(context));
                return Poll::Ready(None);
            }
            std::task::ready!(self.poll_events(context));
        }
        self.flush = self.apart || self.dropped;
        let piece = self.pieces.pop_front().unwrap_or_default();
        if self.is_written() {
            let outcome = if self.faults == Faults::default() { Outcome::Answered } else { Outcome::Fault };
            self.ticket.finish(outcome);
        }
        Poll::Ready(Some(Ok(piece)))
    }

    /// Waits until the body may end.
    fn poll_late_end(&mut self, context: &mut Context) -> Poll<()> {
        if !self.late_end.is_zero() {
            let delay = self.delay.get_or_insert_with(|| Delay::new(self.late_end));
            std::task::ready!(Pin::new(delay).poll(context));
            self.late_end = Duration::ZERO;
        }
        Poll::Ready(())
    }

    /// Waits until an event is due, and encodes the events that are written then.
    fn poll_events(&mut self, context: &mut Context) -> Poll<()> {
        let schedule = std::task::ready!(self.poll_admitted(context));
        let now = loop {
            let due = self.due(&schedule, self.next);
            let now = self.ticket.shared.now();
            if now >= due {
                self.ticket.shared.metrics.lag.add(now - due);
                break now;
            }
            let delay = self.delay.get_or_insert_with(|| self.ticket.shared.delay_until(due));
            std::task::ready!(Pin::new(delay).poll(context));
            self.delay = None;
        };
        let first = self.next;
        let mut bytes = Vec::with_capacity(if self.apart { 256 } else { 200 * (self.steps.len() - first).min(64) });
        while let Some(step) = self.steps.get(self.next)
            && self.due(&schedule, self.next) <= now
            && bytes.len() < MAX_WRITE_BYTES
        {
            self.next += 1;
            if step.part == Part::Drop {
                self.wire.halve(&mut bytes, &self.faults);
                self.dropped = true;
                break;
            }
            self.wire.event(&self.answer, step, &mut bytes);
            let drop_follows = self.steps.get(self.next).is_some_and(|next| next.part == Part::Drop);
            if self.apart && !drop_follows {
                break;
            }
        }
        if let Some(gzip) = &mut self.gzip {
            bytes = gzip.add(&bytes);
            if self.next == self.steps.len() && !self.dropped {
                bytes.extend(gzip.end());
            }
        }
        match self.faults.split {
            None => self.pieces.push_back(bytes.into()),
            Some(split) => self.cut(&bytes, split),
        }
        Poll::Ready(())
    }

    fn poll_admitted(&mut self, context: &mut Context) -> Poll<Schedule> {
        if let Some(schedule) = self.schedule {
            return Poll::Ready(schedule);
        }
        let admission = match &mut self.sent {
            Sent::Admitted(admission) => *admission,
            // The sender is dropped only when the request is cancelled, which dropping this stream does.
            Sent::Waiting(receiver) => match std::task::ready!(Pin::new(receiver).poll(context)) {
                Ok(admission) => admission,
                Err(_) => return Poll::Pending,
            },
        };
        self.ticket.admitted(&admission);
        self.answer.cached_tokens = admission.cached_tokens;
        let schedule = Schedule::new(self.ticket.shared.system, &admission, self.answer.tokens());
        Poll::Ready(*self.schedule.insert(schedule))
    }

    fn due(&self, schedule: &Schedule, step: usize) -> u64 {
        let Faults { delay_first, delay_between, .. } = &self.faults;
        let asked = delay_first.as_nanos() as u64 + delay_between.as_nanos() as u64 * step as u64;
        schedule.due(self.steps.get(step).map_or(0, |step| step.token)) + self.late + asked
    }

    fn cut(&mut self, bytes: &[u8], split: Split) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = match split {
                Split::Every(length) => length,
                Split::Random => self.wire.random_length(),
            };
            let (piece, after) = rest.split_at(length.min(rest.len()));
            self.pieces.push_back(Bytes::copy_from_slice(piece));
            rest = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn due_times_do_not_accumulate_rounding_errors() {
        let system = Options { decode_tokens_per_second: 3.0, ..Options::default() }.system();
        let first_token = 1_000;
        let end = first_token + nanoseconds(system.decode_ms(9000));
        let admission = Admission { sent: 0, admitted: 10, first_token, end, cached_tokens: 0 };
        let schedule = Schedule::new(system, &admission, 9000);
        assert_eq!([schedule.due(0), schedule.due(1), schedule.due(3)], [1_000, 333_334_333, 1_000_001_000]);
        assert_eq!(schedule.due(8_997), 2_999_000_001_000, "no rounding error of 8,997 tokens");
        assert_eq!(schedule.due(9_000), end);
        assert_eq!(end, 3_000_000_001_000);
    }
}
