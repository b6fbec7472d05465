//! Byte buffers that are reused, so that their pages are not cleared again.

use std::sync::{Arc, Mutex, PoisonError};

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

    /// Returns a buffer to the pool.
    pub fn put_back(&self, buffer: Vec<u8>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
