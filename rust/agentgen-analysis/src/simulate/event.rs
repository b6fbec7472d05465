//! What happens next.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Of equal times the first goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A request is over.
    End,
    /// A request's first token is there.
    PrefillEnd,
    /// A request is sent.
    Send,
}

/// An event of the session at a place. Ties of time and kind go by session number, and a session has one event at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// The time's bits, which are in the order of times from 0 on.
    time: u64,
    /// Kind, then number.
    order: u64,
    pub place: usize,
}

/// Session numbers are below 2 to this power.
const NUMBER_BITS: u32 = 62;

impl Event {
    pub(super) fn new(time_ms: f64, kind: Kind, number: u64, place: usize) -> Self {
        // Adding 0 makes a negative zero a positive one.
        Self { time: (time_ms + 0.0).to_bits(), order: (kind as u64) << NUMBER_BITS | number, place }
    }

    pub(super) fn time_ms(&self) -> f64 {
        f64::from_bits(self.time)
    }

    pub(super) fn kind(&self) -> Kind {
        match self.order >> NUMBER_BITS {
            0 => Kind::End,
            1 => Kind::PrefillEnd,
            _ => Kind::Send,
        }
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap's greatest is the earliest.
        (other.time, other.order).cmp(&(self.time, self.order))
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Events to come.
pub(super) type Events = BinaryHeap<Event>;
