//! Infinite-cache reuse in the order of the file: what `quality.json` tells of the rows as they are written.

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

/// Follows rows as they come, without a clock: figures of an infinite cache hardly depend on the order of requests.
#[derive(Debug)]
pub struct FileOrder {
    block_tokens: u32,
    shared: SharedLayers,
    assembler: Assembler,
    logical: Infinite<()>,
    /// Once there is a continuation: up to then, both readings are the same.
    replayed: Option<Infinite<()>>,
    layers: Layers,
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
            if let Some(infinite) = &mut self.replayed {
                session(infinite, &conversation, Reading::Replayed, |_, _| ());
            }
            session(&mut self.logical, &conversation, Reading::Logical, |context_tokens, hit| {
                self.layers.add(self.shared, &conversation, context_tokens, hit.tokens);
            });
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

/// The requests of a session, one after the other.
fn session(infinite: &mut Infinite<()>, conversation: &Conversation, reading: Reading, mut each: impl FnMut(u32, Hit)) {
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
}
