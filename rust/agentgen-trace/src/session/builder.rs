//! A session whose rows are still being read.

use agentgen_core::Layout;
use agentgen_engine::kv::TokenSeq;

use super::rows::Row;
use super::{Link, Session, Turn};
use crate::diagnostic::Diagnostic;
use crate::row::{TIME, is_time};

/// Numbers of sessions are below this.
const OWNERS: u64 = 1 << 40;

/// The session that an owner of tokens names, and the number of its stream: an output that a later prompt does not hold whole
/// begins another one.
#[must_use]
pub fn session_of_owner(owner: u64) -> (u64, u64) {
    (owner % OWNERS, owner / OWNERS)
}

#[derive(Debug)]
pub(super) struct SessionBuilder {
    layout: Layout,
    session: Session,
    /// The tokens known so far of the current stream of prompts, each of which extends the one before.
    stream: TokenSeq,
    /// The first turn of that stream.
    first_turn: usize,
    /// Incremental: ids still name tokens that another session may share. After the first output none can.
    is_shared: bool,
    /// Cumulative: the ids of the last row.
    ids: Vec<i64>,
    /// Its arrival and all delays, ms.
    end_ms: f64,
    /// Names the tokens of the current stream that only this session has: its number, and above it the number of the stream.
    owner: u64,
}

impl SessionBuilder {
    /// Begins with a session's first row, which is still to be pushed.
    pub(super) fn new(number: u64, row: &Row<'_>, layout: Layout, id_tokens: u32) -> Self {
        let session = Session {
            number,
            name: row.session.map(str::to_owned),
            link: Link::of_row(row),
            may_be_continued: true,
            end: None,
            turns: Vec::new(),
            is_recorded: false,
            has_links: row.link.is_some(),
            streams: Vec::new(),
            returned: Vec::new(),
            standalone: None,
        };
        let stream = TokenSeq::new(id_tokens);
        Self { layout, session, stream, first_turn: 0, is_shared: true, ids: Vec::new(), end_ms: 0.0, owner: number }
    }

    /// Appends the session's next row; the error describes a row that cannot be next.
    pub(super) fn push(&mut self, row: &Row<'_>) -> Result<(), Diagnostic> {
        let turns = &self.session.turns;
        if row.session.is_some() && row.turn_index as usize != turns.len() {
            let found = format!("turn_index {}", row.turn_index);
            return Err(Diagnostic::unnamed(found, turns.len().to_string()).with_field("turn_index"));
        }
        let Turn { input_tokens, context_tokens, delay_ms, timestamp_ms, .. } = row.turn;
        let start_ms = timestamp_ms.filter(|_| turns.is_empty());
        self.end_ms += start_ms.or(delay_ms).unwrap_or(0.0);
        if !is_time(self.end_ms) {
            return Err(Diagnostic::unnamed(format!("a session that lasts until {} ms", self.end_ms), TIME));
        }
        let returned = |last: &Turn| row.returned_tokens.map_or(last.output_tokens, |n| n.min(last.output_tokens));
        let before = turns.last().map_or(0, |last| u64::from(last.context_tokens) + u64::from(returned(last)));
        let cut = turns.last().map(returned).filter(|n| turns.last().is_some_and(|last| *n < last.output_tokens));
        if self.layout == Layout::Incremental && u64::from(context_tokens) != before + u64::from(input_tokens) {
            let expected = before + u64::from(input_tokens);
            let diagnostic = Diagnostic::unnamed(
                format!("a context of {context_tokens} tokens"),
                format!("{expected}: those before and the new ones"),
            );
            return Err(diagnostic.with_field("context_length"));
        }
        if !self.session.names_its_session() {
            self.stream.push_ids(checked(row.ids)?, row.ids.len() as u64 * u64::from(self.stream.id_tokens()));
        } else if self.layout == Layout::Cumulative {
            self.push_prompt(row, cut)?;
        } else if let Some(returned) = cut {
            self.session.returned.push((self.session.turns.len(), returned));
            self.cut_output();
        } else if self.is_shared {
            self.stream.push_ids(checked(row.ids)?, u64::from(row.turn.input_tokens));
            self.is_shared = row.turn.output_tokens == 0;
        }
        self.session.turns.push(row.turn);
        if let Some(end) = row.end {
            self.session.may_be_continued = end.may_be_continued();
            self.session.end = Some(end.clone());
        }
        Ok(())
    }

    /// `cut`: tokens of the previous output that the prompt holds, if not all.
    fn push_prompt(&mut self, row: &Row<'_>, cut: Option<u32>) -> Result<(), Diagnostic> {
        if let Some(last) = self.session.turns.last() {
            let full = (last.context_tokens / self.stream.id_tokens()) as usize;
            let returned = cut.unwrap_or(last.output_tokens);
            let is_longer = u64::from(row.turn.context_tokens) >= u64::from(last.context_tokens) + u64::from(returned);
            let extends = is_longer && row.ids.starts_with(&self.ids[..full]);
            if extends && let Some(returned) = cut {
                self.session.returned.push((self.session.turns.len(), returned));
            }
            let extends = extends && cut.is_none();
            if !extends {
                self.end_stream();
            }
        }
        checked(row.ids)?.clone_into(&mut self.ids);
        Ok(())
    }

    /// Begins a stream after the last prompt: the next one does not hold the whole output, so that what follows the prompt
    /// are other tokens than those in the cache.
    fn cut_output(&mut self) {
        let Some(prompt_tokens) = self.session.turns.last().map(|last| u64::from(last.context_tokens)) else { return };
        self.end_stream();
        let Some((_, last)) = self.session.streams.last() else { return };
        self.stream.clone_from(last);
        self.stream.truncate(prompt_tokens);
        self.owner += OWNERS;
    }

    /// Completes the current stream; the next prompt begins another one.
    fn end_stream(&mut self) {
        let Some(last) = self.session.turns.last() else { return };
        let next = TokenSeq::new(self.stream.id_tokens());
        let mut stream = std::mem::replace(&mut self.stream, next);
        if self.session.names_its_session() {
            if self.layout == Layout::Cumulative {
                stream.push_ids(&self.ids, u64::from(last.context_tokens));
            }
            push_own_until(&mut stream, self.owner, end_of(last));
        }
        self.session.streams.push((self.first_turn, stream));
        self.first_turn = self.session.turns.len();
    }

    /// The session's name in the trace.
    pub(super) fn name(&self) -> Option<&str> {
        self.session.name.as_deref()
    }

    /// The session, after its last row.
    pub(super) fn finish(mut self) -> Session {
        self.end_stream();
        self.session
    }
}

/// Checks that hash ids are not negative.
fn checked(ids: &[i64]) -> Result<&[i64], Diagnostic> {
    match ids.iter().find(|id| **id < 0) {
        Some(id) => Err(Diagnostic::unnamed(format!("hash id {id}"), "none below 0").with_field("hash_ids")),
        None => Ok(ids),
    }
}

/// Tokens up to the end of a turn's output.
fn end_of(turn: &Turn) -> u64 {
    u64::from(turn.context_tokens) + u64::from(turn.output_tokens)
}

/// Extends a stream to token `end` by tokens that only their owner has.
pub(super) fn push_own_until(stream: &mut TokenSeq, owner: u64, end: u64) {
    stream.push_own(owner, end.saturating_sub(stream.tokens()));
}
