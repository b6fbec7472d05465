//! Interim responses (1xx) as a fault: hyper sends none, so they are put before the next bytes that it writes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </early>; rel=preload\r\n\r\n";

/// Asks for an interim response on a connection.
#[derive(Debug, Clone, Default)]
pub struct Interim(Arc<AtomicBool>);

impl Interim {
    /// Sends one before the response that follows, in the same write.
    pub fn send(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.load(Ordering::Relaxed) && self.0.swap(false, Ordering::Relaxed)
    }
}

/// A connection that can send interim responses.
#[derive(Debug)]
pub struct WithInterim<S> {
    connection: S,
    interim: Interim,
    /// The rest of an interim response.
    pending: &'static [u8],
}

impl<S> WithInterim<S> {
    pub fn new(connection: S, interim: Interim) -> Self {
        Self { connection, interim, pending: &[] }
    }

    fn has_pending(&mut self) -> bool {
        if self.interim.take() {
            self.pending = HINTS;
        }
        !self.pending.is_empty()
    }
}

impl<S: AsyncWrite + Unpin> WithInterim<S> {
    /// Writes the pending bytes with those that follow; returns how many of these were written.
    fn write_both(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let both = [self.pending, bytes].concat();
            let written = ready!(Pin::new(&mut self.connection).poll_write(context, &both))?;
            let of_pending = written.min(self.pending.len());
            self.pending = &self.pending[of_pending..];
            if written == 0 || written > of_pending {
                return Poll::Ready(Ok(written - of_pending));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WithInterim<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WithInterim<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.has_pending() {
            return self.write_both(context, bytes);
        }
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.has_pending() {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            return self.write_both(context, &bytes);
        }
        Pin::new(&mut self.connection).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
