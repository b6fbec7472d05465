//! Requests as tests want to see them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::metrics::Outcome;

/// How many are remembered.
const REMEMBERED: usize = 100_000;

/// A request.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// Its number.
    pub number: u64,
    /// What its header `X-Session-ID` says.
    pub session: Option<String>,
    /// Where it went.
    pub path: &'static str,
    /// When it had been read, in nanoseconds since the server started.
    pub arrived_ns: u64,
    /// When its answer ended; null while it has not.
    pub ended_ns: Option<u64>,
    /// Tokens of its prompt.
    pub prompt_tokens: u64,
    /// Of these, cached; null while it waits.
    pub cached_tokens: Option<u32>,
    /// Tokens of the output.
    pub output_tokens: u32,
    /// Requests open when it came, itself included.
    pub concurrent: usize,
    /// What became of it; null while it is open.
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
    /// Remembers a request that has come.
    pub fn add(&self, mut record: Record) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.open += 1;
        record.concurrent = log.open;
        if log.records.len() == REMEMBERED {
            log.records.pop_front();
        }
        log.records.push_back(record);
    }

    /// A request has been admitted.
    pub fn admitted(&self, number: u64, cached_tokens: u32) {
        self.change(number, |record| record.cached_tokens = Some(cached_tokens));
    }

    /// A request is over.
    pub fn over(&self, number: u64, now: u64, outcome: Outcome) {
        let known = self.change(number, |record| {
            record.ended_ns = Some(now);
            record.outcome = Some(outcome);
        });
        if known {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).open -= 1;
        }
    }

    /// All of them as JSON.
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
