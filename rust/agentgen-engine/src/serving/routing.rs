//! Which replica serves a request. A new rule is a variant of [`Routing`] and an arm in [`Router::route`], which sees the
//! request with its prompt, and every replica with its queue and its cache.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Replica, Request};

/// Which replica serves a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Routing {
    /// Requests in turn, in the order in which they are sent.
    RoundRobin,
    /// Sessions in turn, in the order in which they start; all requests of a session go to its replica.
    Sticky,
}

/// Routes requests by one rule.
#[derive(Debug)]
pub(super) struct Router {
    rule: Routing,
    sessions: u64,
    requests: u64,
}

impl Router {
    pub(super) fn new(rule: Routing) -> Self {
        Self { rule, sessions: 0, requests: 0 }
    }

    /// The home replica of the next session.
    pub(super) fn home(&mut self, replicas: usize) -> usize {
        let home = self.sessions % replicas as u64;
        self.sessions += 1;
        home as usize
    }

    /// The replica that serves a request.
    pub(super) fn route(&mut self, request: &impl Request, replicas: &[Replica]) -> usize {
        let next = self.requests % replicas.len() as u64;
        self.requests += 1;
        match self.rule {
            Routing::RoundRobin => next as usize,
            Routing::Sticky => request.home(),
        }
    }
}
