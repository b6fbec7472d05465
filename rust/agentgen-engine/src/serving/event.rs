//! Events in the order in which they happen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// What happens. At one time the first variant happens first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A request ends.
    End,
    /// A prefill ends: the first token of the request is there.
    PrefillEnd,
    /// A request is sent.
    Send,
}

/// An event of the request in a slot. Ties of time and kind go by request number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// Bits of the time in ms: they are ordered like the times from 0 on.
    time: u64,
    /// Kind, then request number.
    order: u64,
    pub(super) slot: usize,
}

/// Request numbers are below 2 to this power.
const NUMBER_BITS: u32 = 62;

impl Event {
    pub(super) fn new(time_ms: f64, kind: Kind, number: u64, slot: usize) -> Self {
        // Adding 0 turns a negative zero into a positive one.
        Self { time: (time_ms + 0.0).to_bits(), order: (kind as u64) << NUMBER_BITS | number, slot }
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

    /// Time, kind and number as one integer, which is compared without a branch.
    fn key(&self) -> u128 {
        u128::from(self.time) << 64 | u128::from(self.order)
    }

    pub(super) fn number(&self) -> u64 {
        self.order & ((1 << NUMBER_BITS) - 1)
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        // A max-heap pops the greatest: the earliest event is the greatest.
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Events to come.
pub(super) type Events = BinaryHeap<Event>;
