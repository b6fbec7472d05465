//! A proxy that forwards requests to another server, unchanged and unbuffered, and shows an observer what passes.
//!
//! `upstream` connects to the server (`tls`), `forward` sends a request and its response on, `body` are their bodies on the
//! way, `run` starts and stops the threads.

mod body;
mod forward;
mod options;
mod run;
mod tls;
mod upstream;

pub use options::ProxyOptions;
pub use run::Proxy;

use hyper::HeaderMap;

/// Sees the calls that pass through a proxy.
pub trait Observer: Send + Sync + 'static {
    /// A request's head has come; `None` if the observer does not care about the request.
    fn begin(&self, method: &str, path: &str, headers: &Headers<'_>) -> Option<Box<dyn Tap>>;
}

/// Sees one call. What it is shown has been received, and is sent on right afterwards: it must not wait.
pub trait Tap: Send {
    /// A part of the request's body.
    fn request(&mut self, data: &[u8]);
    /// The response's head.
    fn response(&mut self, status: u16, headers: &Headers<'_>);
    /// A part of the response's body.
    fn answer(&mut self, data: &[u8]);
    /// The call is over.
    fn end(self: Box<Self>, end: CallEnd);
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// The response is complete.
    Complete,
    /// The server closed the connection, and nothing says whether the response is complete.
    Closed,
    /// The connection to the server was lost within the response.
    Lost,
    /// The client disconnected, or the proxy was stopped.
    Cancelled,
    /// No response came.
    Unreachable,
}

/// Headers of a request or response.
#[derive(Debug)]
pub struct Headers<'a>(&'a HeaderMap);

impl Headers<'_> {
    /// The first value of a header, if it is text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str().ok())
    }
}
