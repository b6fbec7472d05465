//! Bodies on their way: each part is shown to the observer and sent on.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::{CallEnd, Headers, Tap};
use crate::body::{Dropped, Reply};

/// A call that is passing.
pub struct Passing {
    tap: Mutex<Option<Box<dyn Tap>>>,
    /// In the calls that are passing, of all connections and of its own, until it ends.
    counted: Mutex<Option<[Counted; 2]>>,
}

/// Counts something until it is dropped.
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    pub fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Passing {
    /// Begins a call that counts in both.
    pub fn new(tap: Option<Box<dyn Tap>>, counts: [&Arc<AtomicUsize>; 2]) -> Self {
        Self { tap: Mutex::new(tap), counted: Mutex::new(Some(counts.map(Counted::new))) }
    }

    fn show(&self, what: impl FnOnce(&mut dyn Tap)) {
        if let Some(tap) = self.tap.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            what(&mut **tap);
        }
    }

    /// Shows the head of the response.
    pub fn response(&self, status: u16, headers: &Headers<'_>) {
        self.show(|tap| tap.response(status, headers));
    }

    /// Ends the call; the first end counts.
    pub fn end(&self, end: CallEnd) {
        if let Some(tap) = self.tap.lock().unwrap_or_else(PoisonError::into_inner).take() {
            tap.end(end);
        }
        drop(self.counted.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

/// Ends a call as cancelled, unless it has ended.
pub struct Cancels(pub Arc<Passing>);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.end(CallEnd::Cancelled);
    }
}

/// The body of a request.
pub struct Upload {
    pub body: Incoming,
    pub call: Arc<Passing>,
    /// How long it may pause.
    pub pause: Duration,
    /// Runs while it pauses.
    pub timer: Option<Pin<Box<Sleep>>>,
}

/// Why a body is not sent on.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The client has disconnected.
    #[error(transparent)]
    Client(#[from] hyper::Error),
    /// It pauses for too long.
    #[error("the body is not complete")]
    Paused,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let Self { body, call, pause, timer } = &mut *self;
        match Pin::new(body).poll_frame(context) {
            Poll::Ready(frame) => {
                *timer = None;
                match &frame {
                    Some(Ok(frame)) => frame.data_ref().into_iter().for_each(|data| call.show(|tap| tap.request(data))),
                    // The server may see a lost connection before it is known that the client is gone.
                    Some(Err(_)) => call.end(CallEnd::Cancelled),
                    None => {}
                }
                Poll::Ready(frame.map(|frame| frame.map_err(UploadError::from)))
            }
            Poll::Pending => {
                let timer = timer.get_or_insert_with(|| Box::pin(sleep(*pause)));
                timer.as_mut().poll(context).map(|()| {
                    call.end(CallEnd::Cancelled);
                    Some(Err(UploadError::Paused))
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response: that of the server, or an error of the proxy.
pub enum Download {
    Server { body: Incoming, call: Cancels, end: CallEnd },
    Own(Reply),
}

/// A response ends early.
#[derive(Debug, thiserror::Error)]
#[error("the response ended early")]
pub struct EndedEarly;

impl Body for Download {
    type Data = Bytes;
    type Error = EndedEarly;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, EndedEarly>>> {
        let (body, Cancels(call), end) = match self.get_mut() {
            Self::Server { body, call, end } => (body, call, *end),
            Self::Own(reply) => {
                let frame = Pin::new(reply).poll_frame(context);
                return frame.map(|frame| frame.map(|frame| frame.map_err(|Dropped| EndedEarly)));
            }
        };
        Pin::new(&mut *body).poll_frame(context).map(|frame| match frame {
            None => {
                call.end(end);
                None
            }
            Some(Err(_)) => {
                call.end(CallEnd::Lost);
                // The connection to the client ends without the mark that the response is complete.
                Some(Err(EndedEarly))
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    call.show(|tap| tap.answer(data));
                }
                // Nobody may ask for more after the last part.
                if body.is_end_stream() {
                    call.end(end);
                }
                Some(Ok(frame))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Server { body, .. } => body.is_end_stream(),
            Self::Own(reply) => reply.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Server { body, .. } => body.size_hint(),
            Self::Own(reply) => reply.size_hint(),
        }
    }
}
