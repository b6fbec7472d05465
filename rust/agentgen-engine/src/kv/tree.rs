//! Chains of blocks as a radix tree: blocks that always move together are one extent.

use hashbrown::HashTable;

use super::token_seq::{TokenSeq, TokenSpan, common, join, pieces_after, take};

/// An extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The empty chain.
    pub const ROOT: Self = Self(0);

    /// Position in [`RadixTree::nodes`].
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// How far a stream's chain is in the tree: `blocks` blocks, the last of them in `node`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixMatch {
    /// The deepest extent that shares a block with the chain; the root if none does.
    pub node: NodeId,
    /// Blocks from the beginning of the chain.
    pub blocks: u32,
}

impl PrefixMatch {
    /// No block.
    pub const NOTHING: Self = Self { node: NodeId::ROOT, blocks: 0 };
}

/// A run of blocks that every chain has whole or not at all, and what the tree's user keeps of it.
#[derive(Debug, Clone)]
struct Node<T> {
    parent: NodeId,
    /// Blocks before it.
    start: u32,
    /// Blocks up to its end.
    end: u32,
    children: u32,
    /// Another one in its place has another number, and so has this one when it has lost blocks.
    generation: u64,
    /// Of the parent and the first block.
    hash: u64,
    label: Vec<TokenSpan>,
    data: T,
}

/// All chains seen. Comparison is of contents, never of hashes alone: nothing is approximate.
///
/// Time: in proportion to the extents on a chain and to its new pieces, not to its length. Memory: in proportion to
/// the extents.
#[derive(Debug, Clone)]
pub struct RadixTree<T> {
    block_tokens: u32,
    id_tokens: u32,
    /// The root first.
    nodes: Vec<Node<T>>,
    free: Vec<NodeId>,
    /// Extents made or shortened so far.
    generations: u64,
    /// Every extent but the root, by parent and first block.
    heads: HashTable<NodeId>,
}

impl<T: Copy + Default> RadixTree<T> {
    /// No chains. `id_tokens` is the trace's block size, `block_tokens` the cache's.
    ///
    /// # Panics
    /// If a size is 0.
    #[must_use]
    pub fn new(id_tokens: u32, block_tokens: u32) -> Self {
        assert!(id_tokens > 0 && block_tokens > 0, "blocks hold at least one token");
        let (parent, data) = (NodeId::ROOT, T::default());
        let root = Node { parent, start: 0, end: 0, children: 0, generation: 0, hash: 0, label: Vec::new(), data };
        Self { block_tokens, id_tokens, nodes: vec![root], free: Vec::new(), generations: 0, heads: HashTable::new() }
    }

    /// Tokens a block.
    #[must_use]
    pub fn block_tokens(&self) -> u32 {
        self.block_tokens
    }

    /// How many extents there are.
    #[must_use]
    pub fn extents(&self) -> usize {
        self.heads.len()
    }

    /// Bytes of memory in use.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let labels: usize = self.nodes.iter().map(|n| n.label.capacity()).sum();
        self.nodes.capacity() * size_of::<Node<T>>()
            + labels * size_of::<TokenSpan>()
            + self.heads.capacity() * size_of::<(NodeId, u8)>()
    }

    /// The first blocks of `stream`, at most `blocks` of them, that are a chain of the tree.
    #[must_use]
    pub fn find(&self, stream: &TokenSeq, blocks: u32) -> PrefixMatch {
        self.find_from(PrefixMatch::NOTHING, stream, blocks)
    }

    /// As [`Self::find`], where `known` was found earlier of a stream that begins the same, and nothing has been taken
    /// from the tree since: time in proportion to what is new.
    #[must_use]
    pub fn find_from(&self, known: PrefixMatch, stream: &TokenSeq, blocks: u32) -> PrefixMatch {
        let mut found =
            PrefixMatch { blocks: known.blocks.min(blocks), node: self.holder(known.node, known.blocks.min(blocks)) };
        loop {
            let (start, end) = self.span(found.node);
            if found.blocks < end {
                let label = pieces_after(
                    &self.nodes[found.node.index()].label,
                    self.tokens(found.blocks - start),
                    self.id_tokens,
                );
                let same = common(stream.pieces_from(self.tokens(found.blocks)), label, self.id_tokens);
                let until = found.blocks + (same / u64::from(self.block_tokens)) as u32;
                found.blocks = until.min(end).min(blocks);
            }
            if found.blocks < end || found.blocks >= blocks {
                return found;
            }
            let Some(child) = self.child(found, stream) else { return found };
            // Its first block is known to be the same.
            found = PrefixMatch { node: child, blocks: found.blocks + 1 };
        }
    }

    /// The extent on the chain of `node` that block number `blocks` from its beginning lies in.
    fn holder(&self, node: NodeId, blocks: u32) -> NodeId {
        let mut at = node;
        while at != NodeId::ROOT && blocks <= self.nodes[at.index()].start {
            at = self.nodes[at.index()].parent;
        }
        at
    }

    /// Makes the first `blocks` blocks of `stream` a chain that ends where an extent ends, and returns that extent.
    /// `found` is what [`Self::find`] says of the stream for a limit of at least `blocks`; new blocks get `data`.
    /// `extend`: new blocks become part of the extent they follow if nothing else does, since all of the chain is
    /// about to move together.
    pub fn grow(&mut self, found: PrefixMatch, stream: &TokenSeq, blocks: u32, data: T, extend: bool) -> NodeId {
        let common = found.blocks.min(blocks);
        let mut at = self.holder(found.node, common);
        if common < self.nodes[at.index()].end {
            at = self.split(at, common);
        }
        if common == blocks {
            return at;
        }
        let (from, to) = (self.tokens(common), self.tokens(blocks));
        let node = &mut self.nodes[at.index()];
        if extend && node.children == 0 && at != NodeId::ROOT {
            for piece in take(stream.pieces_from(from), to - from) {
                join(&mut node.label, piece, self.id_tokens);
            }
            node.end = blocks;
            return at;
        }
        let label = take(stream.pieces_from(from), to - from).collect();
        let hash = Self::hash_of(at, self.block(stream, common));
        self.nodes[at.index()].children += 1;
        self.add(Node { parent: at, start: common, end: blocks, children: 0, generation: 0, hash, label, data })
    }

    /// From `node` to the beginning of its chain.
    pub fn path(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let up = |at: &NodeId| Some(self.nodes[at.index()].parent);
        std::iter::successors(Some(node), up).take_while(|at| *at != NodeId::ROOT)
    }

    /// Calls `f` with the span of every extent from `node` to the beginning of its chain, and what is kept of it.
    #[inline]
    pub fn touch(&mut self, node: NodeId, mut f: impl FnMut((u32, u32), &mut T)) {
        let mut at = node;
        while at != NodeId::ROOT {
            let node = &mut self.nodes[at.index()];
            f((node.start, node.end), &mut node.data);
            at = node.parent;
        }
    }

    /// What is kept of an extent.
    #[must_use]
    pub fn data(&self, node: NodeId) -> &T {
        &self.nodes[node.index()].data
    }

    /// What is kept of an extent, to change it.
    pub fn data_mut(&mut self, node: NodeId) -> &mut T {
        &mut self.nodes[node.index()].data
    }

    /// Blocks before the extent and up to its end.
    #[must_use]
    pub fn span(&self, node: NodeId) -> (u32, u32) {
        let node = &self.nodes[node.index()];
        (node.start, node.end)
    }

    /// Tells an extent from others that had its id before or will have it, and from itself with blocks that it lost.
    #[must_use]
    pub(super) fn generation(&self, node: NodeId) -> u64 {
        let node = &self.nodes[node.index()];
        if node.end > node.start { node.generation } else { 0 }
    }

    /// The extent before this one.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> NodeId {
        self.nodes[node.index()].parent
    }

    /// Whether nothing follows the extent.
    #[must_use]
    pub fn is_leaf(&self, node: NodeId) -> bool {
        self.nodes[node.index()].children == 0
    }

    /// Every extent's span and data, in no order.
    pub fn for_each(&mut self, mut f: impl FnMut((u32, u32), &mut T)) {
        for node in self.nodes.iter_mut().filter(|node| node.end > node.start) {
            f((node.start, node.end), &mut node.data);
        }
    }

    /// Takes the last `blocks` blocks from the end of an extent that nothing follows; an extent without blocks is
    /// gone.
    pub fn shorten(&mut self, id: NodeId, blocks: u32) {
        let node = &mut self.nodes[id.index()];
        debug_assert!(node.children == 0 && blocks <= node.end - node.start, "what follows goes first");
        node.end -= blocks;
        if node.end > node.start {
            let left = u64::from(node.end - node.start) * u64::from(self.block_tokens);
            node.label = take(node.label.iter().copied(), left).collect();
            // Other blocks may come where these were: it is not the extent that it was.
            self.generations += 1;
            node.generation = self.generations;
            return;
        }
        let (parent, hash) = (node.parent, node.hash);
        node.label = Vec::new();
        if let Ok(entry) = self.heads.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        self.nodes[parent.index()].children -= 1;
        self.free.push(id);
    }

    /// The extent in which a chain that was found earlier ends now.
    #[must_use]
    pub fn end_of(&self, chain: PrefixMatch) -> NodeId {
        self.holder(chain.node, chain.blocks)
    }

    /// Takes a chain that no later stream has from its end, but for its first `kept` blocks and what other chains have
    /// too.
    pub fn forget(&mut self, chain: PrefixMatch, kept: u32) {
        let (mut at, mut blocks) = (self.end_of(chain), chain.blocks);
        while at != NodeId::ROOT && self.is_leaf(at) {
            let (start, end) = self.span(at);
            // Another chain goes on from here.
            if end > blocks {
                return;
            }
            let parent = self.parent(at);
            self.shorten(at, end - start.max(kept).min(end));
            if start < kept {
                return;
            }
            (at, blocks) = (parent, start);
        }
    }

    /// Cuts an extent in two at `blocks` blocks from the beginning of the chain, and returns the first part. The
    /// second keeps its id, so that its children and their ids stay as they are.
    fn split(&mut self, id: NodeId, blocks: u32) -> NodeId {
        let node = &self.nodes[id.index()];
        let (parent, start, hash, data) = (node.parent, node.start, node.hash, node.data);
        let cut = u64::from(blocks - start) * u64::from(self.block_tokens);
        let head: Vec<TokenSpan> = take(node.label.iter().copied(), cut).collect();
        let tail: Vec<TokenSpan> = pieces_after(&node.label, cut, self.id_tokens).collect();

        if let Ok(entry) = self.heads.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let first = self.add(Node { parent, start, end: blocks, children: 1, generation: 0, hash, label: head, data });
        let block = take(tail.iter().copied(), u64::from(self.block_tokens));
        let hash = Self::hash_of(first, block);
        let node = &mut self.nodes[id.index()];
        (node.parent, node.start, node.hash, node.label) = (first, blocks, hash, tail);
        self.heads.insert_unique(hash, id, |other| self.nodes[other.index()].hash);
        first
    }

    fn add(&mut self, mut node: Node<T>) -> NodeId {
        let hash = node.hash;
        self.generations += 1;
        node.generation = self.generations;
        let id = if let Some(id) = self.free.pop() {
            self.nodes[id.index()] = node;
            id
        } else {
            self.nodes.push(node);
            NodeId((self.nodes.len() - 1) as u32)
        };
        self.heads.insert_unique(hash, id, |other| self.nodes[other.index()].hash);
        id
    }

    /// The extent after `found` that begins with the stream's next block.
    fn child(&self, found: PrefixMatch, stream: &TokenSeq) -> Option<NodeId> {
        if self.is_leaf(found.node) {
            return None;
        }
        let hash = Self::hash_of(found.node, self.block(stream, found.blocks));
        let block = u64::from(self.block_tokens);
        let matches = |id: &NodeId| {
            let node = &self.nodes[id.index()];
            node.parent == found.node
                && common(self.block(stream, found.blocks), take(node.label.iter().copied(), block), self.id_tokens)
                    == block
        };
        self.heads.find(hash, matches).copied()
    }

    /// The pieces of the stream's block `index`.
    fn block(&self, stream: &TokenSeq, index: u32) -> impl Iterator<Item = TokenSpan> {
        take(stream.pieces_from(self.tokens(index)), u64::from(self.block_tokens))
    }

    fn tokens(&self, blocks: u32) -> u64 {
        u64::from(blocks) * u64::from(self.block_tokens)
    }

    /// Multiply and fold: only speed depends on its quality.
    fn hash_of(parent: NodeId, block: impl Iterator<Item = TokenSpan>) -> u64 {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let fold = |hash: u64, part: u64| {
            let product = u128::from(hash ^ part) * u128::from(ODD);
            (product >> 64) as u64 ^ product as u64
        };
        block.flat_map(TokenSpan::parts).fold(fold(ODD, u64::from(parent.0)), fold)
    }
}
