//! Destinations of evicted blocks.

/// The destination of evicted blocks. A tier below the GPU cache adds a variant here, which
/// [`PrefixCache`](super::PrefixCache) chooses where it drops blocks; every observer must then handle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The KV is discarded: a request that needs the blocks again computes them again.
    Discarded,
}
