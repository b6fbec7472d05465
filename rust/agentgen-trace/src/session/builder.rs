//! A session of which more rows may come.

use agentgen_core::{EndReason, Layout};
use agentgen_engine::kv::TokenSeq;

use super::rows::Row;
use super::{Session, Turn};

#[derive(Debug)]
pub(super) struct Growing {
    layout: Layout,
    conversation: Session,
    /// The tokens known so far of the prompts that go on from one another.
    stream: TokenSeq,
    /// The first turn of those prompts.
    first_turn: usize,
    /// Incremental: the next ids still name tokens that another session may have. From the first output on none can.
    is_shared: bool,
    /// Cumulative: the ids of the last row.
    ids: Vec<i64>,
}

impl Growing {
    /// Begins with a session's first row, which is still to be taken.
    pub(super) fn new(number: u64, row: &Row<'_>, layout: Layout, id_tokens: u32) -> Self {
        let conversation = Session {
            number,
            name: None,
            is_continuation: row.is_restart,
            parent: None,
            may_be_continued: true,
            end: None,
            turns: Vec::new(),
            is_recorded: false,
            is_by_ids: row.session.is_none(),
            streams: Vec::new(),
            alone: None,
        };
        let stream = TokenSeq::new(id_tokens);
        Self { layout, conversation, stream, first_turn: 0, is_shared: true, ids: Vec::new() }
    }

    /// Takes the session's next row; says what is wrong with one that cannot be it.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), String> {
        let turns = &self.conversation.turns;
        if row.session.is_some() && row.turn_index as usize != turns.len() {
            return Err(format!("turn_index {}, expected {}", row.turn_index, turns.len()));
        }
        let Turn { input_tokens, context_tokens, .. } = row.turn;
        let before = turns.last().map_or(0, length);
        if self.layout == Layout::Incremental && u64::from(context_tokens) != before + u64::from(input_tokens) {
            let expected = before + u64::from(input_tokens);
            return Err(format!(
                "a context of {context_tokens} tokens, expected {expected}: those before and the new ones"
            ));
        }
        if self.conversation.is_by_ids {
            self.stream.push_ids(sound(row.ids)?, row.ids.len() as u64 * u64::from(self.stream.id_tokens()));
        } else if self.layout == Layout::Cumulative {
            self.push_prompt(row)?;
        } else if self.is_shared {
            self.stream.push_ids(sound(row.ids)?, u64::from(row.turn.input_tokens));
            self.is_shared = row.turn.output_tokens == 0;
        }
        self.conversation.turns.push(row.turn);
        if let Some(end) = row.end {
            self.conversation.end = Some(end);
            self.conversation.may_be_continued = end == EndReason::RestartSplit;
        }
        Ok(())
    }

    fn push_prompt(&mut self, row: &Row<'_>) -> Result<(), String> {
        if let Some(last) = self.conversation.turns.last() {
            let full = (last.context_tokens / self.stream.id_tokens()) as usize;
            let goes_on = u64::from(row.turn.context_tokens) >= length(last) && row.ids.starts_with(&self.ids[..full]);
            if !goes_on {
                self.end_prompts();
            }
        }
        sound(row.ids)?.clone_into(&mut self.ids);
        Ok(())
    }

    /// Completes the stream of the prompts so far; the next one starts anew.
    fn end_prompts(&mut self) {
        let Some(last) = self.conversation.turns.last() else { return };
        let fresh = TokenSeq::new(self.stream.id_tokens());
        let mut stream = std::mem::replace(&mut self.stream, fresh);
        if !self.conversation.is_by_ids {
            if self.layout == Layout::Cumulative {
                stream.push_ids(&self.ids, u64::from(last.context_tokens));
            }
            push_own_until(&mut stream, self.conversation.number, length(last));
        }
        self.conversation.streams.push((self.first_turn, stream));
        self.first_turn = self.conversation.turns.len();
    }

    /// The session, of which all rows have been taken.
    pub(super) fn finish(mut self) -> Session {
        self.end_prompts();
        self.conversation
    }
}

/// What a continuation needs of the session that it continues.
#[derive(Debug, Clone)]
pub(super) struct Parent {
    number: u64,
    /// All its tokens, the last output included.
    stream: TokenSeq,
    first_context_tokens: u32,
}

impl Parent {
    /// `None` of a session that nothing can continue.
    pub(super) fn new(conversation: &Session) -> Option<Self> {
        let may_be_continued = conversation.may_be_continued && !conversation.is_by_ids;
        let (_, stream) = conversation.streams.last().filter(|_| may_be_continued)?;
        let first_context_tokens = conversation.first_context_tokens();
        Some(Self { number: conversation.number, stream: stream.clone(), first_context_tokens })
    }

    /// Makes a session's first prompt go on from this one's tokens; not if its ids say that it does not.
    pub(super) fn pass_on(&self, heir: &mut Session, layout: Layout) {
        let context_tokens = u64::from(heir.first_context_tokens());
        let Some((_, stream)) = heir.streams.first_mut() else { return };
        let chunks = u64::from(self.first_context_tokens / stream.id_tokens()) * u64::from(stream.id_tokens());
        let repeated_tokens = chunks.min(context_tokens);
        if self.stream.common_tokens(stream) < repeated_tokens {
            return;
        }
        let end = stream.tokens();
        let mut inherited = self.stream.clone();
        inherited.truncate(context_tokens);
        inherited.append(stream, inherited.tokens());
        let mut alone = std::mem::replace(stream, inherited);
        if layout == Layout::Cumulative {
            // What the row would repeat in the incremental layout: the full chunks of the parent's first prompt.
            alone.clone_from(&self.stream);
            alone.truncate(repeated_tokens);
            push_own_until(&mut alone, heir.number, end);
        }
        heir.alone = Some(alone);
        heir.parent = Some(self.number);
    }
}

/// Ids that can be followed; the others are never looked at.
fn sound(ids: &[i64]) -> Result<&[i64], String> {
    match ids.iter().find(|id| **id < 0) {
        Some(id) => Err(format!("hash id {id}, expected none below 0")),
        None => Ok(ids),
    }
}

/// Tokens up to the end of a turn's output.
fn length(turn: &Turn) -> u64 {
    u64::from(turn.context_tokens) + u64::from(turn.output_tokens)
}

/// What a stream does not know yet, up to token `end`, is the conversation's own.
fn push_own_until(stream: &mut TokenSeq, conversation: u64, end: u64) {
    stream.push_own(conversation, end.saturating_sub(stream.tokens()));
}
