//! A session of which more rows may come.

use agentgen_core::kv::Stream;
use agentgen_core::{EndReason, Layout};

use super::rows::Row;
use super::{Conversation, Turn};

/// A session that may be continued.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    number: u64,
    /// All its tokens, the last output included.
    stream: Stream,
    first_context_tokens: u32,
}

#[derive(Debug)]
pub(super) struct Growing {
    name: String,
    layout: Layout,
    conversation: Conversation,
    /// The tokens known so far of the prompts that go on from one another.
    stream: Stream,
    /// The first turn of those prompts.
    first_turn: usize,
    /// Incremental: the next ids still name tokens that another session may have. From the first output on none can.
    is_shared: bool,
    /// Cumulative: the ids of the last row.
    ids: Vec<i64>,
}

impl Growing {
    /// Begins with a session's first row, which is still to be taken.
    pub(super) fn new(number: u64, row: &Row<'_>, layout: Layout, id_tokens: u32, parent: Option<&Parent>) -> Self {
        let mut stream = Stream::new(id_tokens);
        let mut alone = None;
        if let Some(parent) = parent {
            stream.clone_from(&parent.stream);
            stream.truncate(u64::from(row.turn.context_tokens));
            let mut repeated = Stream::new(id_tokens);
            if layout == Layout::Cumulative {
                // What the row would repeat in the incremental layout: the full chunks of the parent's first prompt.
                let chunks = parent.first_context_tokens / id_tokens;
                repeated.clone_from(&stream);
                repeated.truncate(u64::from(chunks) * u64::from(id_tokens));
            }
            alone = Some(repeated);
        }
        let conversation = Conversation {
            number,
            is_continuation: row.is_restart,
            parent: parent.map(|parent| parent.number),
            may_be_continued: true,
            end: None,
            turns: Vec::new(),
            is_recorded: false,
            is_by_ids: row.session.is_none(),
            streams: Vec::new(),
            alone,
        };
        let name = row.session.unwrap_or_default().to_owned();
        Self { name, layout, conversation, stream, first_turn: 0, is_shared: true, ids: Vec::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn push(&mut self, row: &Row<'_>) {
        if self.conversation.is_by_ids {
            self.stream.push_ids(row.ids, row.ids.len() as u64 * u64::from(self.stream.id_tokens()));
        } else if self.layout == Layout::Incremental {
            self.push_new_tokens(row);
        } else {
            self.push_prompt(row);
        }
        self.conversation.turns.push(row.turn);
        if let Some(end) = row.end {
            self.conversation.end = Some(end);
            self.conversation.may_be_continued = end == EndReason::RestartSplit;
        }
    }

    fn push_new_tokens(&mut self, row: &Row<'_>) {
        if !self.is_shared {
            return;
        }
        let known = self.conversation.alone.as_mut().unwrap_or(&mut self.stream);
        known.push_ids(row.ids, u64::from(row.turn.input_tokens));
        self.is_shared = row.turn.output_tokens == 0 && self.conversation.alone.is_none();
    }

    fn push_prompt(&mut self, row: &Row<'_>) {
        if let Some(last) = self.conversation.turns.last() {
            let full = (last.context_tokens / self.stream.id_tokens()) as usize;
            let goes_on = u64::from(row.turn.context_tokens) >= length(last) && row.ids.starts_with(&self.ids[..full]);
            if !goes_on {
                self.end_prompts();
            }
        }
        row.ids.clone_into(&mut self.ids);
    }

    /// Completes the stream of the prompts so far; the next one starts anew.
    fn end_prompts(&mut self) {
        let Some(last) = self.conversation.turns.last() else { return };
        let number = self.conversation.number;
        let fresh = Stream::new(self.stream.id_tokens());
        let mut stream = std::mem::replace(&mut self.stream, fresh);
        if !self.conversation.is_by_ids {
            if self.layout == Layout::Cumulative && stream.tokens() < u64::from(last.context_tokens) {
                stream.push_ids_from(&self.ids, stream.tokens(), u64::from(last.context_tokens));
            }
            push_rest(&mut stream, number, last);
            if let Some(alone) = self.conversation.alone.as_mut().filter(|_| self.first_turn == 0) {
                push_rest(alone, number, last);
            }
        }
        self.conversation.streams.push((self.first_turn, stream));
        self.first_turn = self.conversation.turns.len();
    }

    /// The session, of which all rows have been taken, and what a continuation needs of it.
    pub(super) fn finish(mut self) -> (Conversation, Option<Parent>) {
        self.end_prompts();
        let conversation = self.conversation;
        let last = conversation.streams.last().filter(|_| conversation.may_be_continued && !conversation.is_by_ids);
        let parent = last.map(|(_, stream)| Parent {
            number: conversation.number,
            stream: stream.clone(),
            first_context_tokens: conversation.first_context_tokens(),
        });
        (conversation, parent)
    }
}

/// Tokens up to the end of a turn's output.
fn length(turn: &Turn) -> u64 {
    u64::from(turn.context_tokens) + u64::from(turn.output_tokens)
}

/// What a stream does not know yet, up to the end of `last`, is the conversation's own.
fn push_rest(stream: &mut Stream, conversation: u64, last: &Turn) {
    stream.push_own(conversation, length(last).saturating_sub(stream.tokens()));
}
