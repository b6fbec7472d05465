//! Infinite-cache reuse of generated rows in the order of the file: what `quality.json` tells of them.

use std::collections::HashMap;

use agentgen_core::Layout;
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
use agentgen_trace::session::{Assembler, Linker, Reading, Session};

/// Follows generated rows as they come, without a clock: figures of an infinite cache hardly depend on the order of
/// requests. In memory: the shared layers, and the sessions whose continuation is still to come.
#[derive(Debug)]
pub struct FileOrder {
    shared: SharedLayers,
    linker: Linker,
    tree: RadixTree<()>,
    linked: Counters,
    standalone: Counters,
    layers: Layers,
    has_continuations: bool,
    /// The chains of sessions that will be continued, by number.
    continued: HashMap<u64, PrefixMatch>,
}

/// Reuse in an infinite cache with blocks of the trace's size, outputs cached, requests in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InfiniteReuse {
    /// Tokens a block.
    pub block_size: u32,
    /// Infinite cache; a restart session continues the tokens of its parent.
    pub linked: HitRates,
    /// Infinite cache; a restart session is read without its parent. Null without restart sessions.
    pub standalone: Option<HitRates>,
    /// By part of the prompt (linked).
    pub by_layer: Vec<LayerRate>,
}

impl FileOrder {
    /// Before the first row of a trace.
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
        }
    }

    /// After the last row.
    #[must_use]
    pub fn finish(self) -> InfiniteReuse {
        InfiniteReuse {
            block_size: self.tree.block_tokens(),
            linked: self.linked.rates(true),
            standalone: self.has_continuations.then(|| self.standalone.rates(true)),
            by_layer: self.layers.rates(),
        }
    }

    /// Follows the rows of a data set that is there.
    pub fn read(&mut self, meta: &TraceMeta, batches: impl Iterator<Item = Result<RecordBatch>>) -> Result<()> {
        let mut notes = Notes::new(meta.layout, meta.block_size, 0);
        for batch in batches {
            notes.take(&batch?)?;
            self.follow(&mut notes);
        }
        self.chunk(notes);
        Ok(())
    }

    /// Takes the sessions whose rows are all there.
    fn follow(&mut self, notes: &mut Notes) {
        while let Some(unlinked) = notes.0.complete() {
            let conversation = self.linker.link(unlinked);
            let block_tokens = self.tree.block_tokens();
            if conversation.link.is_restart() {
                // Read alone it leaves what nobody else has: the tree is then as it was.
                self.has_continuations = true;
                let first = conversation.prompt(0, Reading::Standalone, block_tokens, true);
                let common = self.tree.find(first.stream, first.kept_blocks).blocks;
                let standalone = &mut self.standalone;
                let (left, tally) = session(&mut self.tree, &conversation, Reading::Standalone, |prompt, hit| {
                    standalone.request(prompt, hit, block_tokens);
                });
                standalone.session(tally);
                self.tree.forget(left, common);
            }
            let (linked, standalone) = (&mut self.linked, &mut self.standalone);
            let (left, tally) = session(&mut self.tree, &conversation, Reading::Linked, |prompt, hit| {
                linked.request(prompt, hit, block_tokens);
                self.layers.add(self.shared, &conversation, prompt.context_tokens, hit.tokens);
                // To both readings a session that continues no other is the same.
                if !conversation.link.is_restart() {
                    standalone.request(prompt, hit, block_tokens);
                }
            });
            linked.session(tally);
            if !conversation.link.is_restart() {
                standalone.session(tally);
            }
            if conversation.may_be_continued {
                self.continued.insert(conversation.number, left);
            } else {
                self.forget(conversation.link.parent(), left);
            }
        }
    }

    fn shared_blocks(&self) -> u32 {
        (self.shared.tokens() / u64::from(self.tree.block_tokens())) as u32
    }

    /// Nobody has a session's own blocks but itself and its continuation, so once that is over they are not needed.
    fn forget(&mut self, parent: Option<u64>, left: PrefixMatch) {
        let shared = self.shared_blocks();
        let parent = parent.and_then(|parent| self.continued.remove(&parent));
        let Some(parent) = parent else { return self.tree.forget(left, shared) };
        // Of two chains one of which is the beginning of the other, the longer takes both with it.
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

/// The sessions of a chunk: a few numbers of each row.
#[derive(Debug)]
pub struct Notes(Assembler);

impl Notes {
    /// `first_number` tells the chunk's sessions from all others.
    #[must_use]
    pub fn new(layout: Layout, id_tokens: u32, first_number: u64) -> Self {
        Self(Assembler::new(layout, id_tokens, first_number))
    }

    /// Takes in a batch with all columns.
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

/// The requests of a session, one after the other; returns the chain that they leave.
fn session(
    tree: &mut RadixTree<()>,
    conversation: &Session,
    reading: Reading,
    mut each: impl FnMut(&Prompt<'_>, Hit),
) -> (PrefixMatch, Tally) {
    let (mut tally, mut left) = (Tally::NEW, PrefixMatch::NOTHING);
    for turn in 0..conversation.turns.len() {
        if !conversation.extends_previous(turn) {
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
