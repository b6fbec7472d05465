//! Byte buffers that are reused, so that their pages are not cleared again.

use std::sync::{Arc, Mutex, PoisonError};

/// Unused buffers that are kept hold at most this much: a writer may return more than anyone takes.
const KEPT_BYTES: usize = 64 << 20;

/// A pool of buffers that threads share.
#[derive(Debug, Clone, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A used buffer with its old content, if the pool has one.
    #[must_use]
    pub fn take(&self) -> Option<Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// An empty buffer, with the capacity of a used one if the pool has one.
    #[must_use]
    pub fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.take().unwrap_or_default();
        buffer.clear();
        buffer
    }

    /// Returns a buffer to the pool; one too many is freed.
    pub fn put_back(&self, buffer: Vec<u8>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.iter().map(Vec::capacity).sum::<usize>() + buffer.capacity() <= KEPT_BYTES {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_takes_is_not_kept_without_bound() {
        let pool = Buffers::default();
        (0..20).for_each(|_| pool.put_back(vec![0; KEPT_BYTES / 8]));
        assert_eq!(std::iter::from_fn(|| pool.take()).count(), 8);
    }
}
