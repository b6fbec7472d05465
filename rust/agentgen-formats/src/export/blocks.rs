//! Ids of blocks of any size: equal for blocks that end equal prompts, and dense.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use agentgen_core::EndReason;
use agentgen_engine::kv::{NodeId, PrefixMatch, RadixTree, TokenSeq};
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::session::{Link, Session, SessionEnd};

use super::bundle::{Bundle, Member};
use super::session_blocks::{SessionBlocks, TurnBlocks};

/// Owner of the tokens that complete the last block of a request without a session; no session has this number.
const PADDING: u64 = (1 << 40) - 1;

/// What the ids of a turn cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    /// The whole prompt.
    Whole,
    /// What the turn adds to the prompt and the output before it.
    Added,
}

/// Numbers the blocks of all prompts.
#[derive(Debug)]
pub(crate) struct Numbering {
    cover: Cover,
    block_tokens: u32,
    /// Of each node: the id of its first block less the place of that block in the prompt.
    tree: RadixTree<i64>,
    next: i64,
    forget: Option<Forget>,
}

impl Numbering {
    pub(crate) fn new(meta: &TraceMeta, cover: Cover, block_tokens: u32) -> Self {
        let tree = RadixTree::new(meta.block_size, block_tokens);
        Self { cover, block_tokens, tree, next: 0, forget: Forget::of(meta, block_tokens) }
    }

    /// Sets the ids of all prompts of a bundle.
    pub(crate) fn number(&mut self, bundle: &mut Bundle) {
        let mut chains = Vec::new();
        for at in 0..bundle.members.len() {
            let member = &bundle.members[at];
            let blocks = if !member.session.names_its_session() {
                self.request(&member.session)
            } else if self.cover == Cover::Whole {
                self.whole(&member.session, at, &mut chains)
            } else {
                self.added(member, at, &mut chains)
            };
            bundle.members[at].blocks = SessionBlocks::new(blocks);
        }
        if let Some(forget) = &mut self.forget {
            forget.end(&mut self.tree, bundle, &chains);
        }
    }

    /// A request without a session: its ids name all of its blocks, a partial one too.
    fn request(&mut self, session: &Session) -> Vec<TurnBlocks> {
        let mut blocks = Vec::with_capacity(session.turns.len());
        for (turn, of) in session.turns.iter().enumerate() {
            let full = of.context_tokens.div_ceil(self.block_tokens);
            let mut stream = session.stream(turn).clone();
            let missing = (u64::from(full) * u64::from(self.block_tokens)).saturating_sub(stream.tokens());
            stream.push_own(PADDING, missing);
            let (chain, _) = self.chain(&stream, full);
            blocks.push(TurnBlocks { chain: chain.into(), full, fresh: 0..0 });
        }
        blocks
    }

    /// Whole prompts: those of a stream are the beginnings of its last one.
    fn whole(&mut self, session: &Session, at: usize, chains: &mut Vec<(usize, PrefixMatch)>) -> Vec<TurnBlocks> {
        let mut blocks = Vec::with_capacity(session.turns.len());
        let starts: Vec<usize> = session.streams().map(|(first, _)| first).collect();
        for (index, (first, stream)) in session.streams().enumerate() {
            let end = starts.get(index + 1).copied().unwrap_or(session.turns.len());
            let longest = session.turns[first..end].iter().map(|turn| turn.context_tokens).max().unwrap_or(0);
            let (chain, found) = self.chain(stream, longest / self.block_tokens);
            let chain: Arc<[(u32, i64)]> = chain.into();
            chains.push((at, found));
            for turn in &session.turns[first..end] {
                let full = turn.context_tokens / self.block_tokens;
                let partial = !turn.context_tokens.is_multiple_of(self.block_tokens);
                blocks.push(TurnBlocks { chain: chain.clone(), full, fresh: self.fresh(u32::from(partial)) });
            }
        }
        blocks
    }

    /// What each turn adds: only prompts that begin a history can share blocks with others.
    fn added(&mut self, member: &Member, at: usize, chains: &mut Vec<(usize, PrefixMatch)>) -> Vec<TurnBlocks> {
        let session = &member.session;
        let mut blocks = Vec::with_capacity(session.turns.len());
        for (turn, of) in session.turns.iter().enumerate() {
            if turn > 0 && !member.is_rewritten(turn) {
                let fresh = self.fresh(of.input_tokens.div_ceil(self.block_tokens));
                blocks.push(TurnBlocks { fresh, ..TurnBlocks::default() });
                continue;
            }
            let full = of.context_tokens / self.block_tokens;
            let (chain, found) = self.chain(session.stream(turn), full);
            chains.push((at, found));
            let partial = !of.context_tokens.is_multiple_of(self.block_tokens);
            blocks.push(TurnBlocks { chain: chain.into(), full, fresh: self.fresh(u32::from(partial)) });
        }
        blocks
    }

    /// The ids of the first `blocks` blocks of a stream.
    fn chain(&mut self, stream: &TokenSeq, blocks: u32) -> (Vec<(u32, i64)>, PrefixMatch) {
        let mut found = self.tree.find(stream, blocks);
        if found.blocks < blocks {
            let base = self.next - i64::from(found.blocks);
            self.next += i64::from(blocks - found.blocks);
            let node = self.tree.grow(found, stream, blocks, base, false);
            found = PrefixMatch { node, blocks };
        }
        let node = |node: NodeId| {
            let start = self.tree.span(node).0;
            (start, *self.tree.data(node) + i64::from(start))
        };
        let mut chain: Vec<(u32, i64)> = self.tree.path(self.tree.end_of(found)).map(node).collect();
        chain.reverse();
        (chain, found)
    }

    fn fresh(&mut self, count: u32) -> Range<i64> {
        let first = self.next;
        self.next += i64::from(count);
        first..self.next
    }
}

/// Forgets the chains of a generated trace that no later session can share, so that memory does not grow with the trace.
#[derive(Debug)]
struct Forget {
    /// Blocks that all sessions of a group may share.
    shared: u32,
    /// Blocks that all sub-agents of a kind may share.
    kind: u32,
    /// Chains of the sessions that a restart continues later.
    split: HashMap<u64, PrefixMatch>,
}

impl Forget {
    /// `None` for a trace whose sessions are not known to follow rules.
    fn of(meta: &TraceMeta, block_tokens: u32) -> Option<Self> {
        let config = &meta.origin.as_ref()?.config;
        let (layer1, layer1_5) = config.prefix_blocks();
        let tokens = (layer1 + layer1_5) * u64::from(config.block_size);
        let kinds = config.subagents.iter().flat_map(|agents| &agents.kinds).map(|kind| kind.prefix_tokens);
        let kind_tokens = kinds.max().unwrap_or(0).div_ceil(config.block_size) * config.block_size;
        let shared = (tokens / u64::from(block_tokens)) as u32;
        Some(Self { shared, kind: kind_tokens / block_tokens, split: HashMap::new() })
    }

    /// Forgets what only the sessions of a bundle use. `chains` are theirs, with the place of the session.
    fn end(&mut self, tree: &mut RadixTree<i64>, bundle: &Bundle, chains: &[(usize, PrefixMatch)]) {
        let mut is_agent = vec![false; bundle.members.len()];
        for (at, member) in bundle.members.iter().enumerate() {
            let by_parent = member.parent.is_some_and(|parent| is_agent[parent]);
            is_agent[at] = matches!(member.session.link, Link::SubAgent { .. }) || by_parent;
        }
        let is_split = |session: &Session| matches!(session.end, Some(SessionEnd::Known(EndReason::RestartSplit)));
        let mut over: Vec<(PrefixMatch, u32)> = Vec::new();
        for (at, chain) in chains {
            let session = &bundle.members[*at].session;
            if is_split(session) {
                self.split.insert(session.number, *chain);
            } else {
                over.push((*chain, if is_agent[*at] { self.kind } else { self.shared }));
            }
        }
        let head = bundle.members.first().map(|member| member.session.link);
        if let Some(Link::Restart { parent: Some(parent) }) = head {
            over.extend(self.split.remove(&parent).map(|chain| (chain, self.shared)));
        }
        let live: HashSet<NodeId> = bundle
            .members
            .iter()
            .filter_map(|member| self.split.get(&member.session.number))
            .flat_map(|chain| tree.path(tree.end_of(*chain)))
            .collect();
        // A chain that is the beginning of another one goes with it; of those that end in one node, with the longest.
        let above: HashSet<NodeId> =
            over.iter().flat_map(|(chain, _)| tree.path(tree.end_of(*chain)).skip(1)).collect();
        let mut ends: HashMap<NodeId, (PrefixMatch, u32)> = HashMap::new();
        for (chain, kept) in over {
            let end = tree.end_of(chain);
            if !above.contains(&end) && !live.contains(&end) {
                let shared = tree.path(end).find(|node| live.contains(node)).map_or(0, |node| tree.span(node).1);
                let known = ends.entry(end).or_insert((chain, 0));
                *known =
                    (PrefixMatch { blocks: known.0.blocks.max(chain.blocks), ..chain }, known.1.max(kept).max(shared));
            }
        }
        for (chain, kept) in ends.into_values() {
            tree.forget(chain, kept);
        }
    }
}
