//! Hit rates of an infinite cache for generated rows in file order, for `quality.json`.

use std::collections::{HashMap, HashSet};

use agentgen_core::{EndReason, Layout};
use agentgen_engine::kv::{PrefixMatch, Prompt, RadixTree};
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
    /// With links: chains of the sessions of the bundle that is being read.
    bundle: Option<Vec<PrefixMatch>>,
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
            bundle: meta.linked.then(Vec::new),
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
            if conversation.link.is_restart() {
                // The chain of the standalone reading is private to the session: remove it afterwards.
                self.has_continuations = true;
                let first = conversation.prompt(0, Reading::Standalone, block_tokens, true);
                let common = self.tree.find(first.stream, first.kept_blocks).blocks;
                let standalone = &mut self.standalone;
                let mut ended = Vec::new();
                let (left, tally) =
                    session(&mut self.tree, &conversation, Reading::Standalone, &mut ended, |prompt, hit| {
                        standalone.request(prompt, hit, block_tokens);
                    });
                standalone.session(tally);
                ended.push(left);
                self.forget_all(&ended, common);
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
            if let Some(bundle) = &mut self.bundle {
                bundle.extend(ended);
                let is_split = matches!(conversation.end, Some(SessionEnd::Known(EndReason::RestartSplit)));
                if let Link::Restart { parent: Some(parent) } = conversation.link {
                    bundle.extend(self.continued.remove(&parent));
                }
                if is_split {
                    self.continued.insert(conversation.number, left);
                } else {
                    bundle.push(left);
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
        let Some(mut chains) = self.bundle.as_mut().map(std::mem::take) else { return };
        self.forget_all(&chains, self.shared_blocks());
        chains.clear();
        self.bundle = Some(chains);
    }

    /// Removes chains, but for their first `kept` blocks. One that is a prefix of another goes with that.
    fn forget_all(&mut self, chains: &[PrefixMatch], kept: u32) {
        let mut above = HashSet::new();
        for chain in chains.iter().chain(self.continued.values().filter(|_| chains.len() > 1)) {
            above.extend(self.tree.path(self.tree.end_of(*chain)).skip(1));
        }
        // Of chains that end in the same node, the longest holds the others.
        let mut longest: HashMap<_, PrefixMatch> = HashMap::new();
        for chain in chains {
            let end = self.tree.end_of(*chain);
            if !above.contains(&end) {
                let known = longest.entry(end).or_insert(*chain);
                known.blocks = known.blocks.max(chain.blocks);
            }
        }
        for chain in longest.into_values() {
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
