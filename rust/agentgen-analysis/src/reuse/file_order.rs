//! Hit rates of an infinite cache for generated rows in file order, for `quality.json`.

use std::collections::{HashMap, HashSet};

use agentgen_core::{EndReason, Layout};
use agentgen_engine::kv::{NodeId, PrefixMatch, Prompt, RadixTree};
use agentgen_trace::Result;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::observer::InOrder;
use arrow_array::RecordBatch;
use schemars::JsonSchema;
use serde::Serialize;

use super::infinite::request;
use super::parts::Layers;
use super::rates::{Counters, Hit, Tally};
use super::{HitRates, LayerRate, SharedLayers};
use agentgen_trace::session::{Assembler, Link, Linker, Reading, Session, SessionEnd};

/// Measures generated rows in file order, without a timeline: hit rates of an infinite cache depend little on the order
/// of requests. Keeps in memory the shared layers and the sessions whose continuation is still to come.
#[derive(Debug)]
pub struct FileOrder {
    shared: SharedLayers,
    linker: Linker,
    tree: RadixTree<()>,
    linked: Counters,
    standalone: Counters,
    layers: Layers,
    has_continuations: bool,
    /// Chains of the sessions that may have a continuation, by session number.
    continued: HashMap<u64, PrefixMatch>,
    /// With links: the bundle that is being read.
    bundle: Option<Bundle>,
}

/// Chains that the sessions of a bundle left in the tree.
#[derive(Debug, Default)]
struct Bundle {
    /// Of sessions that are over, each with the blocks that other bundles may share.
    over: Vec<(PrefixMatch, u32)>,
    /// Of the session that a restart continues later.
    split: Option<PrefixMatch>,
    /// Numbers of the sessions of sub-agents.
    agents: HashSet<u64>,
    /// Blocks of the longest prefix of a kind of sub-agent.
    kind_blocks: u32,
}

/// Hit rates of an infinite cache with the block size of the trace and cached outputs, requests in file order.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InfiniteReuse {
    /// Tokens per block.
    pub block_size: u32,
    /// Infinite cache; a restart session continues the tokens of its parent.
    pub linked: HitRates,
    /// Infinite cache; a restart session is read without its parent. Null without restart sessions.
    pub standalone: Option<HitRates>,
    /// By prefix layer (linked).
    pub by_layer: Vec<LayerRate>,
}

impl FileOrder {
    /// A measurement before the first row.
    #[must_use]
    pub fn new(meta: &TraceMeta) -> Self {
        Self {
            shared: SharedLayers::of_trace(meta),
            linker: Linker::new(meta),
            tree: RadixTree::new(meta.block_size, meta.block_size),
            linked: Counters::new(),
            standalone: Counters::new(),
            layers: Layers::default(),
            has_continuations: false,
            continued: HashMap::new(),
            bundle: meta.linked.then(|| Bundle { kind_blocks: kind_blocks(meta), ..Bundle::default() }),
        }
    }

    /// The hit rates after the last row.
    #[must_use]
    pub fn finish(self) -> InfiniteReuse {
        InfiniteReuse {
            block_size: self.tree.block_tokens(),
            linked: self.linked.rates(true),
            standalone: self.has_continuations.then(|| self.standalone.rates(true)),
            by_layer: self.layers.rates(),
        }
    }

    /// Measures the rows of an existing data set.
    pub fn read(&mut self, meta: &TraceMeta, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
        let mut notes = Notes::new(meta.layout, meta.block_size, 0);
        for batch in batches {
            notes.take(&batch?)?;
            self.follow(&mut notes);
        }
        self.chunk(notes);
        Ok(())
    }

    /// Measures the sessions that are complete.
    fn follow(&mut self, notes: &mut Notes) {
        while let Some(unlinked) = notes.0.complete() {
            let conversation = self.linker.link(unlinked);
            let block_tokens = self.tree.block_tokens();
            if matches!(conversation.link, Link::Root | Link::Restart { .. }) {
                self.end_bundle();
            }
            // With links, the rows of a restart do not say which tokens they alone would repeat.
            if conversation.link.is_restart() && self.bundle.is_none() {
                // The chain of the standalone reading is private to the session: remove it afterwards.
                self.has_continuations = true;
                let first = conversation.prompt(0, Reading::Standalone, block_tokens, true);
                let common = self.tree.find(first.stream, first.kept_blocks).blocks;
                let standalone = &mut self.standalone;
                let each = |prompt: &Prompt<'_>, hit| standalone.request(prompt, hit, block_tokens);
                let (left, tally) = session(&mut self.tree, &conversation, Reading::Standalone, &mut Vec::new(), each);
                standalone.session(tally);
                self.tree.forget(left, common);
            }
            let (linked, standalone) = (&mut self.linked, &mut self.standalone);
            let mut ended = Vec::new();
            let (left, tally) = session(&mut self.tree, &conversation, Reading::Linked, &mut ended, |prompt, hit| {
                linked.request(prompt, hit, block_tokens);
                self.layers.add(self.shared, &conversation, prompt.context_tokens, hit.tokens);
                // For root sessions, both readings are equal.
                if !conversation.link.is_restart() {
                    standalone.request(prompt, hit, block_tokens);
                }
            });
            linked.session(tally);
            if !conversation.link.is_restart() {
                standalone.session(tally);
            }
            let shared = self.shared_blocks();
            if let Some(bundle) = &mut self.bundle {
                let of_agent = matches!(conversation.link, Link::SubAgent { .. })
                    || conversation.link.parent().is_some_and(|parent| bundle.agents.contains(&parent));
                if of_agent {
                    bundle.agents.insert(conversation.number);
                }
                let kept = if of_agent { bundle.kind_blocks } else { shared };
                bundle.over.extend(ended.into_iter().map(|chain| (chain, kept)));
                if let Link::Restart { parent: Some(parent) } = conversation.link {
                    bundle.over.extend(self.continued.remove(&parent).map(|chain| (chain, kept)));
                }
                if matches!(conversation.end, Some(SessionEnd::Known(EndReason::RestartSplit))) {
                    bundle.split = Some(left);
                    self.continued.insert(conversation.number, left);
                } else {
                    bundle.over.push((left, kept));
                }
            } else if conversation.may_be_continued {
                self.continued.insert(conversation.number, left);
            } else {
                self.forget(conversation.link.parent(), left);
            }
        }
    }

    /// Removes the blocks that only the sessions of the bundle use.
    fn end_bundle(&mut self) {
        let Some(bundle) = &mut self.bundle else { return };
        let (over, split) = (std::mem::take(&mut bundle.over), bundle.split.take());
        bundle.agents.clear();
        let nodes = |chain| self.tree.path(self.tree.end_of(chain));
        let live: HashSet<NodeId> = split.into_iter().flat_map(nodes).collect();
        // A chain that is a prefix of another goes with that; of those that end in one node, the longest holds the others.
        let above: HashSet<NodeId> = over.iter().flat_map(|(chain, _)| nodes(*chain).skip(1)).collect();
        let mut longest: HashMap<NodeId, (PrefixMatch, u32)> = HashMap::new();
        for (chain, kept) in over {
            let end = self.tree.end_of(chain);
            if !above.contains(&end) && !live.contains(&end) {
                let shared = nodes(chain).find(|node| live.contains(node)).map_or(0, |node| self.tree.span(node).1);
                let known = longest.entry(end).or_insert((chain, 0));
                *known =
                    (PrefixMatch { blocks: known.0.blocks.max(chain.blocks), ..chain }, known.1.max(kept).max(shared));
            }
        }
        for (chain, kept) in longest.into_values() {
            self.tree.forget(chain, kept);
        }
    }

    fn shared_blocks(&self) -> u32 {
        (self.shared.tokens() / u64::from(self.tree.block_tokens())) as u32
    }

    /// Removes the blocks that only a session and its continuation use, once both have ended.
    fn forget(&mut self, parent: Option<u64>, left: PrefixMatch) {
        let shared = self.shared_blocks();
        let parent = parent.and_then(|parent| self.continued.remove(&parent));
        let Some(parent) = parent else { return self.tree.forget(left, shared) };
        // If one chain is a prefix of the other, removing the longer one removes both.
        let ends = |tree: &RadixTree<()>, chain: PrefixMatch, other: PrefixMatch| {
            let end = tree.end_of(chain);
            tree.path(tree.end_of(other)).any(|node| node == end)
        };
        let (parent_in_left, left_in_parent) = (ends(&self.tree, parent, left), ends(&self.tree, left, parent));
        if !parent_in_left {
            self.tree.forget(parent, shared);
        }
        if parent_in_left || !left_in_parent {
            self.tree.forget(left, shared);
        }
    }
}

/// Blocks of the longest prefix that sub-agents of a kind share.
fn kind_blocks(meta: &TraceMeta) -> u32 {
    let config = meta.origin.as_ref().map(|origin| &origin.config);
    let kinds = config.iter().flat_map(|config| config.subagents.iter().flat_map(|agents| &agents.kinds));
    let tokens = kinds.map(|kind| kind.prefix_tokens).max().unwrap_or(0);
    tokens.div_ceil(meta.block_size)
}

/// The sessions of a chunk, as lengths and ids of their rows.
#[derive(Debug)]
pub struct Notes(Assembler);

impl Notes {
    /// Sessions are numbered from `first_number`, which must differ between chunks.
    #[must_use]
    pub fn new(layout: Layout, id_tokens: u32, first_number: u64) -> Self {
        Self(Assembler::new(layout, id_tokens, first_number))
    }

    /// Adds a batch with all columns.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        self.0.take(batch)
    }
}

impl InOrder for FileOrder {
    type Notes = Notes;

    fn chunk(&mut self, mut notes: Notes) {
        notes.0.end();
        self.follow(&mut notes);
    }
}

/// Processes the requests of a session in order; returns the chain that they leave in the tree, and in `ended` those of
/// prompts that a later one does not extend.
fn session(
    tree: &mut RadixTree<()>,
    conversation: &Session,
    reading: Reading,
    ended: &mut Vec<PrefixMatch>,
    mut each: impl FnMut(&Prompt<'_>, Hit),
) -> (PrefixMatch, Tally) {
    let (mut tally, mut left) = (Tally::NEW, PrefixMatch::NOTHING);
    for turn in 0..conversation.turns.len() {
        if !conversation.extends_previous(turn) {
            if turn > 0 {
                ended.push(left);
            }
            left = PrefixMatch::NOTHING;
        }
        let prompt = conversation.prompt(turn, reading, tree.block_tokens(), true);
        let hit;
        (left, hit) = request(tree, &prompt, left);
        tally.add(&prompt, hit);
        each(&prompt, hit);
    }
    (left, tally)
}
