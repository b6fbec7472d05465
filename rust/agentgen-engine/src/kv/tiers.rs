//! What becomes of evicted blocks.

/// Where evicted blocks go. A tier below the GPU cache adds a variant here and decides it in
/// [`PrefixCache`](super::PrefixCache), where blocks are dropped; every observer then has to account for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// The KV is lost: whoever needs the blocks again computes them again.
    Discarded,
}
