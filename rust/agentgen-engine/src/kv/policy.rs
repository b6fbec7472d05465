//! Which block is evicted first.

/// The eviction policy: blocks with the smallest rank are evicted first. Under every policy a block that others follow
/// stays, so a chain loses its tail before its head, and pinned blocks stay.
///
/// A new policy is a variant here and an arm in both methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The least recently used block, as in vLLM.
    Lru,
}

impl Policy {
    /// The rank of blocks after release number `clock`, at least 1.
    pub(super) fn rank(self, clock: u64) -> u64 {
        match self {
            Self::Lru => clock,
        }
    }

    /// Whether a release gives all blocks of a chain the same rank, so that new blocks may share the node that they
    /// follow.
    pub(super) fn ranks_whole_chains(self) -> bool {
        match self {
            Self::Lru => true,
        }
    }
}
