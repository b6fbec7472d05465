//! The last requests, for `/debug/requests`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::metrics::Outcome;

/// The most requests kept.
const REMEMBERED: usize = 100_000;

/// A request, as `/debug/requests` returns it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Number of the request, in order of arrival.
    pub number: u64,
    /// Value of its header `X-Session-ID`.
    pub session: Option<String>,
    /// Its API path.
    pub path: &'static str,
    /// Time at which its body was read, ns since the server started.
    pub arrived_ns: u64,
    /// Time at which its answer ended, ns; null while it is open.
    pub ended_ns: Option<u64>,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Those of them in the cache; null while it waits.
    pub cached_tokens: Option<u32>,
    /// Output tokens.
    pub output_tokens: u32,
    /// Open requests at its arrival, itself included.
    pub concurrent: usize,
    /// Its outcome; null while it is open.
    pub outcome: Option<Outcome>,
}

/// The last requests.
#[derive(Debug, Default)]
pub struct Records(Mutex<Log>);

#[derive(Debug, Default)]
struct Log {
    records: VecDeque<Record>,
    open: usize,
}

impl Records {
    /// Adds a request that has arrived.
    pub fn add(&self, mut record: Record) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.open += 1;
        record.concurrent = log.open;
        if log.records.len() == REMEMBERED {
            log.records.pop_front();
        }
        log.records.push_back(record);
    }

    /// Records the admission of a request.
    pub fn admitted(&self, number: u64, cached_tokens: u32) {
        self.change(number, |record| record.cached_tokens = Some(cached_tokens));
    }

    /// Records the end of a request.
    pub fn ended(&self, number: u64, now: u64, outcome: Outcome) {
        let known = self.change(number, |record| {
            record.ended_ns = Some(now);
            record.outcome = Some(outcome);
        });
        if known {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
        }
    }

    /// All requests as JSON.
    pub fn to_json(&self) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::json!(log.records).to_string()
    }

    fn change(&self, number: u64, change: impl FnOnce(&mut Record)) -> bool {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = log.records.iter_mut().rev().find(|record| record.number == number);
        record.map(change).is_some()
    }
}
