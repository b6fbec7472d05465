//! Number of distinct blocks used since a request: a Fenwick tree over requests.

/// For each request in order, the number of blocks whose last use it is.
#[derive(Debug, Clone)]
pub(super) struct Recency {
    /// The Fenwick tree, 1-based.
    sums: Vec<u64>,
    /// Numbers assigned since the last renumbering.
    used: u32,
    blocks: u64,
}

/// Initial number of requests.
const ROOM: usize = 1 << 10;

impl Recency {
    pub(super) fn new() -> Self {
        Self { sums: vec![0; ROOM + 1], used: 0, blocks: 0 }
    }

    /// All blocks.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Whether [`Self::renumber`] is needed before the next request.
    pub(super) fn is_full(&self) -> bool {
        self.used as usize + 1 == self.sums.len()
    }

    /// Number of the next request, valid until the next renumbering.
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

    /// Number of blocks used after `request`.
    pub(super) fn after(&self, request: u32) -> u64 {
        let mut until = 0;
        let mut at = request as usize;
        while at > 0 {
            until += self.sums[at];
            at &= at - 1;
        }
        self.blocks - until
    }

    /// Renumbers the requests that are the last use of a block, and drops the others. `each` must call its argument
    /// with the request and the blocks of every tree node, and replace the request by the returned one.
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
