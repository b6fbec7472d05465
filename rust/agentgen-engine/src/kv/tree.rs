//! Chains of blocks as a radix tree: a node holds a run of blocks that every chain has whole or not at all.

use hashbrown::HashTable;

use super::token_seq::{TokenSeq, TokenSpan, common, drop_last, join, spans_after, take};

/// A node of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The root: the empty chain.
    pub const ROOT: Self = Self(0);

    /// Position in [`RadixTree::nodes`].
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// The part of a stream's chain that is in the tree: its first `blocks` blocks, the last of them in `node`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixMatch {
    /// The deepest node that shares a block with the chain; the root if none does.
    pub node: NodeId,
    /// Blocks from the beginning of the chain.
    pub blocks: u32,
}

impl PrefixMatch {
    /// No block.
    pub const NOTHING: Self = Self { node: NodeId::ROOT, blocks: 0 };
}

/// Consecutive blocks of a chain, and the data that the tree's user attaches to them.
#[derive(Debug, Clone)]
struct Node<T> {
    parent: NodeId,
    /// Blocks before it.
    start: u32,
    /// Blocks up to its end.
    end: u32,
    children: u32,
    /// Changes when the slot is used for another node, and when the node loses blocks.
    generation: u64,
    /// Hash of the parent and the first block.
    hash: u64,
    label: Vec<TokenSpan>,
    data: T,
}

/// A set of chains. Blocks are compared by content, never by hash alone: nothing is approximate.
///
/// Time is proportional to the nodes on a chain and to its new spans, not to its length; memory to the nodes.
#[derive(Debug, Clone)]
pub struct RadixTree<T> {
    block_tokens: u32,
    id_tokens: u32,
    /// The root first.
    nodes: Vec<Node<T>>,
    free: Vec<NodeId>,
    /// Nodes created or shortened so far.
    generations: u64,
    /// Every node but the root, by parent and first block.
    heads: HashTable<NodeId>,
}

impl<T: Copy + Default> RadixTree<T> {
    /// An empty tree. `id_tokens` is the trace's block size, `block_tokens` the cache's.
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

    /// Tokens of a block.
    #[must_use]
    pub fn block_tokens(&self) -> u32 {
        self.block_tokens
    }

    /// Number of nodes, without the root.
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.heads.len()
    }

    /// Bytes of memory allocated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let labels: usize = self.nodes.iter().map(|n| n.label.capacity()).sum();
        self.nodes.capacity() * size_of::<Node<T>>()
            + labels * size_of::<TokenSpan>()
            + self.heads.capacity() * size_of::<(NodeId, u8)>()
    }

    /// The longest prefix of `stream`, of at most `blocks` blocks, that is a chain of the tree.
    #[must_use]
    pub fn find(&self, stream: &TokenSeq, blocks: u32) -> PrefixMatch {
        self.find_from(PrefixMatch::NOTHING, stream, blocks)
    }

    /// As [`Self::find`], from a match of an earlier stream that begins with the same tokens; no block of it may have
    /// been removed since. Time is proportional to what is new.
    #[must_use]
    pub fn find_from(&self, known: PrefixMatch, stream: &TokenSeq, blocks: u32) -> PrefixMatch {
        let mut found =
            PrefixMatch { blocks: known.blocks.min(blocks), node: self.holder(known.node, known.blocks.min(blocks)) };
        loop {
            let (start, end) = self.span(found.node);
            if found.blocks < end {
                let label = spans_after(
                    &self.nodes[found.node.index()].label,
                    self.tokens(found.blocks - start),
                    self.id_tokens,
                );
                let same = common(stream.spans_from(self.tokens(found.blocks)), label, self.id_tokens);
                let until = found.blocks + (same / u64::from(self.block_tokens)) as u32;
                found.blocks = until.min(end).min(blocks);
            }
            if found.blocks < end || found.blocks >= blocks {
                return found;
            }
            let Some(child) = self.child(found, stream) else { return found };
            // `child` has compared its first block.
            found = PrefixMatch { node: child, blocks: found.blocks + 1 };
        }
    }

    /// The node on the chain that ends in `node` which holds its block number `blocks`, counted from 1.
    fn holder(&self, node: NodeId, blocks: u32) -> NodeId {
        let mut at = node;
        while at != NodeId::ROOT && blocks <= self.nodes[at.index()].start {
            at = self.nodes[at.index()].parent;
        }
        at
    }

    /// Makes the first `blocks` blocks of `stream` a chain that ends with a node, and returns that node. `found` is the
    /// result of [`Self::find`] for the stream and a limit of at least `blocks`; new nodes get `data`. With `extend`, new
    /// blocks join the node that they follow if it is a leaf, since all of the chain is about to change together.
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
            for span in take(stream.spans_from(from), to - from) {
                join(&mut node.label, span, self.id_tokens);
            }
            node.end = blocks;
            return at;
        }
        let label = take(stream.spans_from(from), to - from).collect();
        let hash = Self::hash_of(at, self.block(stream, common));
        self.nodes[at.index()].children += 1;
        self.add(Node { parent: at, start: common, end: blocks, children: 0, generation: 0, hash, label, data })
    }

    /// The nodes from `node` to the beginning of its chain.
    pub fn path(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let up = |at: &NodeId| Some(self.nodes[at.index()].parent);
        std::iter::successors(Some(node), up).take_while(|at| *at != NodeId::ROOT)
    }

    /// Calls `f` with the span and the data of every node from `node` to the beginning of its chain.
    #[inline]
    pub fn touch(&mut self, node: NodeId, mut f: impl FnMut((u32, u32), &mut T)) {
        let mut at = node;
        while at != NodeId::ROOT {
            let node = &mut self.nodes[at.index()];
            f((node.start, node.end), &mut node.data);
            at = node.parent;
        }
    }

    /// The data of a node.
    #[must_use]
    pub fn data(&self, node: NodeId) -> &T {
        &self.nodes[node.index()].data
    }

    /// The data of a node, mutable.
    pub fn data_mut(&mut self, node: NodeId) -> &mut T {
        &mut self.nodes[node.index()].data
    }

    /// Blocks of the chain before the node, and up to its end.
    #[must_use]
    pub fn span(&self, node: NodeId) -> (u32, u32) {
        let node = &self.nodes[node.index()];
        (node.start, node.end)
    }

    /// Identifies a node among all that have had or will have its id, and before and after it loses blocks.
    #[must_use]
    pub(super) fn generation(&self, node: NodeId) -> u64 {
        let node = &self.nodes[node.index()];
        if node.end > node.start { node.generation } else { 0 }
    }

    /// The node before this one on its chain.
    #[must_use]
    pub fn parent(&self, node: NodeId) -> NodeId {
        self.nodes[node.index()].parent
    }

    /// Whether no node follows this one.
    #[must_use]
    pub fn is_leaf(&self, node: NodeId) -> bool {
        self.nodes[node.index()].children == 0
    }

    /// Calls `f` with the span and the data of every node, in no order.
    pub fn for_each(&mut self, mut f: impl FnMut((u32, u32), &mut T)) {
        for node in self.nodes.iter_mut().filter(|node| node.end > node.start) {
            f((node.start, node.end), &mut node.data);
        }
    }

    /// Removes the last `blocks` blocks of a leaf; a node without blocks is removed.
    pub fn shorten(&mut self, id: NodeId, blocks: u32) {
        let node = &mut self.nodes[id.index()];
        debug_assert!(node.children == 0 && blocks <= node.end - node.start, "only leaves lose blocks");
        node.end -= blocks;
        if node.end > node.start {
            drop_last(&mut node.label, u64::from(blocks) * u64::from(self.block_tokens));
            // Other blocks may follow now: earlier matches of this node are no longer valid.
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

    /// The node in which a chain that was found earlier ends now.
    #[must_use]
    pub fn end_of(&self, chain: PrefixMatch) -> NodeId {
        self.holder(chain.node, chain.blocks)
    }

    /// Removes a chain from its end that no later stream has, except its first `kept` blocks and what other chains share.
    pub fn forget(&mut self, chain: PrefixMatch, kept: u32) {
        let (mut at, mut blocks) = (self.end_of(chain), chain.blocks);
        while at != NodeId::ROOT && self.is_leaf(at) {
            let (start, end) = self.span(at);
            // Another chain continues from here.
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

    /// Splits a node at `blocks` blocks from the beginning of the chain, and returns the first part. The second part keeps
    /// the id, so that its children stay as they are.
    fn split(&mut self, id: NodeId, blocks: u32) -> NodeId {
        let node = &self.nodes[id.index()];
        let (parent, start, hash, data) = (node.parent, node.start, node.hash, node.data);
        let cut = u64::from(blocks - start) * u64::from(self.block_tokens);
        let head: Vec<TokenSpan> = take(node.label.iter().copied(), cut).collect();
        let tail: Vec<TokenSpan> = spans_after(&node.label, cut, self.id_tokens).collect();

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

    /// The child of `found` that begins with the stream's next block.
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

    /// The spans of block `index` of the stream.
    fn block(&self, stream: &TokenSeq, index: u32) -> impl Iterator<Item = TokenSpan> {
        take(stream.spans_from(self.tokens(index)), u64::from(self.block_tokens))
    }

    fn tokens(&self, blocks: u32) -> u64 {
        u64::from(blocks) * u64::from(self.block_tokens)
    }

    /// Multiply and fold. A collision costs time only, since contents are compared.
    fn hash_of(parent: NodeId, block: impl Iterator<Item = TokenSpan>) -> u64 {
        const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
        let fold = |hash: u64, part: u64| {
            let product = u128::from(hash ^ part) * u128::from(ODD);
            (product >> 64) as u64 ^ product as u64
        };
        block.flat_map(TokenSpan::parts).fold(fold(ODD, u64::from(parent.0)), fold)
    }
}
