//! Infinite-cache reuse of generated rows in the order of the file: what `quality.json` tells of them.

use std::collections::HashMap;

use agentgen_core::kv::Found;
use agentgen_trace::Result;
use agentgen_trace::meta::TraceMeta;
use agentgen_trace::run::InOrder;
use arrow_array::RecordBatch;
use schemars::JsonSchema;
use serde::Serialize;

use super::infinite::Infinite;
use super::parts::Layers;
use super::rates::{Hit, Tally};
use super::{HitRates, LayerRate, SharedLayers};
use crate::conversations::{Assembler, Conversation, Reading};

/// Follows generated rows as they come, without a clock: figures of an infinite cache hardly depend on the order of
/// requests. In memory: the shared layers, and the sessions whose continuation is still to come.
#[derive(Debug)]
pub struct FileOrder {
    block_tokens: u32,
    shared: SharedLayers,
    assembler: Assembler,
    logical: Infinite<()>,
    /// Once there is a continuation: up to then, both readings are the same.
    replayed: Option<Infinite<()>>,
    layers: Layers,
    /// What sessions that will be continued have left in either, by number.
    continued: HashMap<u64, Left>,
}

/// The chain of a session.
#[derive(Debug, Clone, Copy)]
struct Left {
    logical: Found,
    replayed: Found,
}

/// Reuse in an infinite cache with blocks of the trace's size, outputs cached, requests in the order of the file.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InfiniteReuse {
    /// Tokens a block.
    pub block_size: u32,
    /// Continuations go on from their parents' tokens.
    pub logical: HitRates,
    /// Continuations are read alone; null where there are none.
    pub replayed: Option<HitRates>,
    /// By part of the prompt (logical).
    pub by_layer: Vec<LayerRate>,
}

impl FileOrder {
    /// Before the first row of a trace.
    #[must_use]
    pub fn new(meta: &TraceMeta) -> Self {
        let shared = meta.origin.as_ref().map(|origin| SharedLayers::of(&origin.config));
        Self {
            block_tokens: meta.block_size,
            shared: shared.unwrap_or_default(),
            assembler: Assembler::new(meta),
            logical: Infinite::new(meta.block_size, meta.block_size),
            replayed: None,
            layers: Layers::default(),
            continued: HashMap::new(),
        }
    }

    /// After the last row.
    #[must_use]
    pub fn finish(mut self) -> InfiniteReuse {
        self.assembler.end();
        self.follow();
        InfiniteReuse {
            block_size: self.block_tokens,
            logical: self.logical.counters.rates(true),
            replayed: self.replayed.map(|infinite| infinite.counters.rates(true)),
            by_layer: self.layers.rates(),
        }
    }

    /// Takes the sessions whose rows are all there.
    fn follow(&mut self) {
        while let Some(conversation) = self.assembler.complete() {
            if conversation.is_continuation && self.replayed.is_none() {
                self.replayed = Some(self.logical.clone());
            }
            let logical = session(&mut self.logical, &conversation, Reading::Logical, |context_tokens, hit| {
                self.layers.add(self.shared, &conversation, context_tokens, hit.tokens);
            });
            let replayed = match &mut self.replayed {
                Some(infinite) => session(infinite, &conversation, Reading::Replayed, |_, _| ()),
                None => logical,
            };
            let left = Left { logical, replayed };
            if conversation.may_be_continued {
                self.continued.insert(conversation.number, left);
            } else {
                self.forget(conversation.parent, left);
            }
        }
    }

    /// Nobody has a session's own blocks but itself and its continuation, so once that is over they are not needed.
    fn forget(&mut self, parent: Option<u64>, left: Left) {
        let shared = (self.shared.tokens() / u64::from(self.block_tokens)) as u32;
        let parent = parent.and_then(|parent| self.continued.remove(&parent));
        let forget = |infinite: &mut Infinite<()>, left: Found, parent: Option<Found>| {
            // The parent's chain first, unless it is the beginning of the continuation's.
            if let Some(parent) = parent.filter(|parent| !infinite.tree.path(left.node).any(|node| node == parent.node))
            {
                infinite.forget(parent, shared);
            }
            infinite.forget(left, shared);
        };
        forget(&mut self.logical, left.logical, parent.map(|parent| parent.logical));
        if let Some(replayed) = &mut self.replayed {
            forget(replayed, left.replayed, parent.map(|parent| parent.replayed));
        }
    }
}

impl InOrder for FileOrder {
    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        self.assembler.take(batch)?;
        self.follow();
        Ok(())
    }
}

/// The requests of a session, one after the other; returns the chain that they leave.
fn session(
    infinite: &mut Infinite<()>,
    conversation: &Conversation,
    reading: Reading,
    mut each: impl FnMut(u32, Hit),
) -> Found {
    let block_tokens = infinite.tree.block_tokens();
    let (mut tally, mut left) = (Tally::NEW, Found::NOTHING);
    for turn in 0..conversation.turns.len() {
        if !conversation.goes_on(turn) {
            left = Found::NOTHING;
        }
        let prompt = conversation.prompt(turn, reading, block_tokens, true);
        let hit;
        (left, hit) = infinite.request(&prompt, left);
        tally.add(&prompt, hit);
        each(prompt.context_tokens, hit);
    }
    infinite.counters.session(tally);
    left
}
