//! How many blocks were used after a given request: a Fenwick tree over requests.

/// Requests in the order in which they came, each with the blocks whose last use it was.
#[derive(Debug, Clone)]
pub(super) struct Recency {
    /// 1-based sums.
    sums: Vec<u64>,
    /// Requests so far since the last renumbering.
    used: u32,
    blocks: u64,
}

/// The room to begin with.
const ROOM: usize = 1 << 10;

impl Recency {
    pub(super) fn new() -> Self {
        Self { sums: vec![0; ROOM + 1], used: 0, blocks: 0 }
    }

    /// Blocks in all.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Whether there is no room for another request: see [`Self::renumber`].
    pub(super) fn is_full(&self) -> bool {
        self.used as usize + 1 == self.sums.len()
    }

    /// The next request; its number is valid until the next renumbering.
    pub(super) fn next(&mut self) -> u32 {
        self.used += 1;
        self.used
    }

    pub(super) fn add(&mut self, request: u32, blocks: u64) {
        self.blocks += blocks;
        let mut at = request as usize;
        while at < self.sums.len() {
            self.sums[at] += blocks;
            at += at & at.wrapping_neg();
        }
    }

    pub(super) fn remove(&mut self, request: u32, blocks: u64) {
        self.blocks -= blocks;
        let mut at = request as usize;
        while at < self.sums.len() {
            self.sums[at] -= blocks;
            at += at & at.wrapping_neg();
        }
    }

    /// Blocks that were used after `request`.
    pub(super) fn after(&self, request: u32) -> u64 {
        let mut until = 0;
        let mut at = request as usize;
        while at > 0 {
            until += self.sums[at];
            at &= at - 1;
        }
        self.blocks - until
    }

    /// Makes room: only requests that are some block's last use keep a number. `each` calls its argument with every
    /// extent's request and blocks, and changes the request to what the call returns.
    pub(super) fn renumber(&mut self, mut each: impl FnMut(&mut dyn FnMut(u32, u64) -> u32)) {
        let mut blocks = vec![0; self.sums.len()];
        each(&mut |request, n| {
            blocks[request as usize] += n;
            request
        });
        let mut numbers = vec![0; blocks.len()];
        let mut used = 0;
        for (number, n) in numbers.iter_mut().zip(&blocks) {
            used += u32::from(*n > 0);
            *number = used;
        }
        *self = Self { sums: vec![0; (2 * used as usize).max(ROOM) + 1], used, blocks: 0 };
        for (number, n) in numbers.iter().zip(&blocks).filter(|(_, n)| **n > 0) {
            self.add(*number, *n);
        }
        each(&mut |request, _| numbers[request as usize]);
    }
}
