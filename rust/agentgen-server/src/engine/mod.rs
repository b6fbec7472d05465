//! Drives the serving engine on a real clock: notifies waiting requests over channels and counts events.
//!
//! Times are nanoseconds since the server started; the engine's are ms as f64, and are rounded here. No clock is read:
//! the caller says what time it is.

use std::collections::HashMap;

use agentgen_engine::kv::{Admitted, Prompt, Released, TokenSeq};
use agentgen_engine::serving::{self, Change, Observer, Request, RequestId, Service, System, TooLarge};
use tokio::sync::oneshot;

use crate::histogram::Histogram;

/// What the engine needs to know of a request.
#[derive(Debug)]
pub struct EngineRequest {
    /// Full blocks of the prompt and of the output after it.
    pub stream: TokenSeq,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Tokens of the output.
    pub output_tokens: u32,
}

/// What an admitted request gets, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// Time at which it was sent.
    pub sent: u64,
    /// Time at which its prefill begins.
    pub admitted: u64,
    /// Time of its first token.
    pub first_token: u64,
    /// Time of its last token.
    pub end: u64,
    /// Tokens of its prompt that were in the cache.
    pub cached_tokens: u32,
}

/// The state of a request that was just sent.
#[derive(Debug)]
pub enum Sent {
    /// It runs.
    Admitted(Admission),
    /// It waits; the receiver gets the admission.
    Waiting(oneshot::Receiver<Admission>),
}

/// Totals since the server started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Tokens of admitted prompts.
    pub queried: u64,
    /// Those of them that were in the cache.
    pub hits: u64,
    /// Requests that ended.
    pub finished: u64,
    /// Tokens of prompts whose prefill ended, computed or in the cache.
    pub prompt: u64,
    /// Tokens of the outputs of requests that ended.
    pub generated: u64,
}

/// Durations of requests, each counted when vLLM counts it.
#[derive(Debug)]
pub struct Times {
    /// From sending to the first token, counted at the first token.
    pub first_token: Histogram,
    /// From sending to the beginning of the prefill, of requests that ended.
    pub queue: Histogram,
    /// From sending to the last token, of requests that ended.
    pub end: Histogram,
}

/// The server's request in the engine.
#[derive(Debug)]
struct Numbered {
    number: u64,
    block_tokens: u32,
    request: EngineRequest,
}

impl Request for Numbered {
    fn number(&self) -> u64 {
        self.number
    }

    fn context_tokens(&self) -> u32 {
        self.request.context_tokens
    }

    fn output_tokens(&self) -> u32 {
        self.request.output_tokens
    }

    fn prompt(&self, output_tokens: u32) -> Prompt<'_> {
        let EngineRequest { stream, context_tokens, .. } = &self.request;
        Prompt::new(stream, *context_tokens, Some(output_tokens), self.block_tokens)
    }
}

/// Who waits, and what was counted.
#[derive(Debug)]
struct Clients {
    /// Waiting requests by number.
    waiting: HashMap<u64, oneshot::Sender<Admission>>,
    totals: Totals,
    times: Times,
}

/// One replica on a real clock.
pub struct Engine {
    serving: serving::Engine<Numbered>,
    clients: Clients,
    /// Time of the last event or call, ms.
    now_ms: f64,
    next_number: u64,
}

impl Engine {
    /// An idle replica with an empty cache.
    #[must_use]
    pub fn new(system: System) -> Self {
        let times =
            Times { first_token: Histogram::of_times(), queue: Histogram::of_times(), end: Histogram::of_times() };
        Self {
            serving: serving::Engine::new(system),
            clients: Clients { waiting: HashMap::new(), totals: Totals::default(), times },
            now_ms: 0.0,
            next_number: 0,
        }
    }

    /// Sends a request at `now`, or at the time of the last event if that is later.
    pub fn send(&mut self, now: u64, request: EngineRequest) -> Result<(RequestId, Sent), TooLarge> {
        self.advance(now);
        let number = self.next_number;
        self.next_number += 1;
        let numbered = Numbered { number, block_tokens: self.serving.system().block_tokens, request };
        let id = self.serving.send(self.now_ms, numbered, &mut self.clients)?;
        let sent = if let Some(service) = self.serving.service(id) {
            Sent::Admitted(admission(self.now_ms, service))
        } else {
            let (sender, receiver) = oneshot::channel();
            self.clients.waiting.insert(number, sender);
            Sent::Waiting(receiver)
        };
        // Without prefill and decode time it ends now.
        self.advance(now);
        Ok((id, sent))
    }

    /// Handles every event that is due at `now`; returns the time of the next event.
    pub fn advance(&mut self, now: u64) -> Option<u64> {
        while let Some(time_ms) = self.serving.next_event_ms()
            && nanoseconds(time_ms) <= now
        {
            self.now_ms = self.now_ms.max(time_ms);
            self.serving.step(&mut self.clients);
        }
        self.now_ms = self.now_ms.max(milliseconds(now));
        self.next_event()
    }

    /// Cancels a request whose client has disconnected: what it holds is free at once, and the blocks computed so far
    /// stay in the cache. Does nothing if the request has ended.
    pub fn cancel(&mut self, now: u64, id: RequestId) {
        self.advance(now);
        if let Some(cancelled) = self.serving.cancel(self.now_ms, id, &mut self.clients) {
            self.clients.waiting.remove(&cancelled.number);
        }
        self.advance(now);
    }

    /// Empties the prefix cache, except for what running requests use.
    pub fn clear_cache(&mut self) {
        self.serving.clear_caches(&mut self.clients);
    }

    /// Running and waiting requests.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let replicas = self.serving.replicas();
        replicas.iter().fold((0, 0), |(running, waiting), r| (running + r.running(), waiting + r.queued()))
    }

    /// Time of the next event.
    #[must_use]
    pub fn next_event(&self) -> Option<u64> {
        self.serving.next_event_ms().map(nanoseconds)
    }

    /// Blocks in the cache or reserved.
    #[must_use]
    pub fn used_blocks(&self) -> u64 {
        let caches = self.serving.replicas().iter().map(serving::Replica::cache);
        caches.map(|cache| cache.used_blocks() + cache.reserved_blocks()).sum()
    }

    /// Totals since the server started.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.clients.totals
    }

    /// Durations of requests since the server started.
    #[must_use]
    pub fn times(&self) -> &Times {
        &self.clients.times
    }
}

impl Observer<Numbered> for Clients {
    fn admitted(&mut self, change: &Change<'_, Numbered>, _: &Admitted) {
        let Change { request, sent_ms, ref service, .. } = *change;
        self.totals.queried += u64::from(request.context_tokens());
        self.totals.hits += u64::from(service.hit_tokens);
        if let Some(waiting) = self.waiting.remove(&request.number) {
            // A receiver that is gone cancels the request.
            let _ = waiting.send(admission(sent_ms, service));
        }
    }

    fn first_token(&mut self, request: &Numbered, sent_ms: f64, service: &Service) {
        let Admission { sent, first_token, .. } = admission(sent_ms, service);
        self.times.first_token.add(first_token - sent);
        self.totals.prompt += u64::from(request.context_tokens());
    }

    fn ended(&mut self, change: &Change<'_, Numbered>, _: &Released) {
        let Admission { sent, admitted, end, .. } = admission(change.sent_ms, &change.service);
        self.times.queue.add(admitted - sent);
        self.times.end.add(end - sent);
        self.totals.finished += 1;
        self.totals.generated += u64::from(change.request.output_tokens());
    }
}

fn admission(sent_ms: f64, service: &Service) -> Admission {
    let Service { admitted_ms, prefill_end_ms, end_ms, hit_tokens, .. } = *service;
    Admission {
        sent: nanoseconds(sent_ms),
        admitted: nanoseconds(admitted_ms),
        first_token: nanoseconds(prefill_end_ms),
        end: nanoseconds(end_ms),
        cached_tokens: hit_tokens,
    }
}

/// Rounded to whole nanoseconds.
pub fn nanoseconds(ms: f64) -> u64 {
    (ms * 1e6).round() as u64
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;
