//! The interfaces of requests and observers, and the results of serving.

use crate::kv::{Admitted, Evicted, MatchHint, Prompt, Released};

use super::Replica;

/// A request to be served.
pub trait Request {
    /// Breaks ties: of two events of one kind at the same time, the one with the lower number happens first. Below 2^62,
    /// and unique among the requests in the engine; if requests are cancelled, among all requests.
    fn number(&self) -> u64;
    /// Tokens of the prompt.
    fn context_tokens(&self) -> u32;
    /// Tokens of the output.
    fn output_tokens(&self) -> u32;
    /// The prompt, followed by this many tokens of the output.
    fn prompt(&self, output_tokens: u32) -> Prompt<'_>;
    /// The replica of its session under [`Routing::Sticky`](super::Routing::Sticky).
    fn home(&self) -> usize {
        0
    }
    /// Hint of an earlier request whose tokens this one continues, for the cache of a replica. Affects speed only.
    fn hint(&self, replica: usize) -> MatchHint {
        let _ = replica;
        MatchHint::NOTHING
    }
    /// Reported with the request's blocks when they are evicted.
    fn tag(&self) -> u32 {
        0
    }
}

/// The reused blocks and the times of an admitted request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Service {
    /// Time at which its prefill begins, ms.
    pub admitted_ms: f64,
    /// Time at which its prefill ends and its first token is available, ms.
    pub prefill_end_ms: f64,
    /// Time of its last token, ms.
    pub end_ms: f64,
    /// Reused blocks of its prompt.
    pub hit_blocks: u32,
    /// Reused tokens of its prompt.
    pub hit_tokens: u32,
}

/// A request needs more blocks than a replica has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// Needed blocks.
    pub needed_blocks: u64,
}

/// A request that has left the engine.
#[derive(Debug)]
pub struct Finished<R> {
    /// The request.
    pub request: R,
    /// The replica that it was sent to.
    pub replica: usize,
    /// Time at which it was sent, ms.
    pub sent_ms: f64,
    /// Its service; [`TooLarge`] if it failed.
    pub outcome: Result<Service, TooLarge>,
}

/// A change of a request, for an [`Observer`].
#[derive(Debug)]
pub struct Change<'a, R> {
    /// The request.
    pub request: &'a R,
    /// Its prompt and output.
    pub prompt: Prompt<'a>,
    /// Number of its replica.
    pub replica: usize,
    /// The replica after the change.
    pub state: &'a Replica,
    /// Time at which the request was sent, ms.
    pub sent_ms: f64,
    /// Its service.
    pub service: Service,
}

/// Observes the engine in virtual time. Every method does nothing by default.
pub trait Observer<R> {
    /// A request joins the queue of its replica.
    fn queued(&mut self, request: &R) {
        let _ = request;
    }
    /// A request is admitted: its prefill begins.
    fn admitted(&mut self, change: &Change<'_, R>, admitted: &Admitted) {
        let _ = (change, admitted);
    }
    /// The prefill of a request ends.
    fn first_token(&mut self, request: &R, sent_ms: f64, service: &Service) {
        let _ = (request, sent_ms, service);
    }
    /// A request ends.
    fn ended(&mut self, change: &Change<'_, R>, released: &Released) {
        let _ = (change, released);
    }
    /// A replica evicts blocks to make room.
    fn evicted(&mut self, replica: usize, evicted: Evicted) {
        let _ = (replica, evicted);
    }
    /// A replica drops blocks that were not used within the time to live.
    fn expired(&mut self, replica: usize, expired: Evicted) {
        let _ = (replica, expired);
    }
}
