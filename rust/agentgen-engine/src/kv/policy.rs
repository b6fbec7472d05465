//! Which block is evicted first.

/// The eviction policy: the block with the smallest rank goes first. Under every policy a block that others follow
/// stays, so a chain loses its tail before its head, and pinned blocks stay.
///
/// [`Policy::rank`] is the one place where a rank is decided; a new policy is a variant and an arm there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The least recently used block, as in vLLM.
    Lru,
    /// The block that was inserted first.
    Fifo,
    /// The block whose next use is farthest away. Only an offline run knows it
    /// ([`insert_until`](super::PrefixCache::insert_until)); greedy Belady, a bound.
    Belady,
}

/// The next use of a block that is never used again.
pub const NEVER: u64 = u64::MAX;

/// A use of blocks, as policies rank it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    /// Insertions and releases up to this one, at least 1.
    pub(super) clock: u64,
    /// Time of the next use; [`NEVER`] if there is none or it is unknown.
    pub(super) next: u64,
}

impl Policy {
    /// The rank of blocks after a use; `before` is their rank so far, 0 if they have none yet.
    pub(super) fn rank(self, before: u64, used: Use) -> u64 {
        match self {
            Self::Fifo if before > 0 => before,
            Self::Lru | Self::Fifo => used.clock,
            Self::Belady => NEVER - used.next,
        }
    }

    /// Whether a use gives all blocks of a chain the same rank, so that new blocks may share the node that they follow.
    pub(super) fn ranks_whole_chains(self) -> bool {
        self == Self::Lru
    }
}
