//! A session whose content is known by hash ids.

use std::sync::Arc;

use agentgen_engine::timeline::{SendTime, TimedSession as _};
use agentgen_trace::session::Session;

use super::body::Fields;
use super::journal::Journal;
use super::transcript::{Transcript, Voice};
use super::words::Words;
use super::{Form, History, Request, ScriptError};

/// What all sessions of a replay have in common.
#[derive(Debug)]
pub(super) struct Stage {
    pub words: Words,
    pub fields: Fields,
    pub form: Form,
    pub stream: bool,
    pub history: History,
    /// `None` if no session continues another.
    pub journal: Option<Journal>,
    pub id_tokens: u32,
    /// Whether a session is continued at most once, so that its transcript goes when it was asked for.
    pub continues_once: bool,
}

/// One session: gives a request, takes the answer, and so on.
#[derive(Debug)]
pub struct HashedSession {
    stage: Arc<Stage>,
    conversation: Session,
    key: String,
    /// The session that must be over before.
    parent: Option<u64>,
    /// Seeds of its own tokens and of those it may inherit.
    owners: Vec<(u64, u64)>,
    transcript: Transcript,
    /// The next turn.
    turn: usize,
}

impl HashedSession {
    pub(super) fn new(
        stage: Arc<Stage>,
        conversation: Session,
        key: String,
        parent: Option<u64>,
        owners: Vec<(u64, u64)>,
    ) -> Self {
        let transcript = Transcript::new(stage.form);
        Self { stage, conversation, key, parent, owners, transcript, turn: 0 }
    }

    /// What the trace calls it.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its number in the order of the file.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.conversation.number
    }

    /// How many requests it makes.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.conversation.turns.len()
    }

    /// When it arrives, ms.
    #[must_use]
    pub fn start_ms(&self) -> f64 {
        self.conversation.arrival_ms()
    }

    /// The session that it continues: that one's transcript is resent, so it must be over.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// The recorded time of the next request, ms on the clock of [`Self::start_ms`], in a trace where each has its own.
    #[must_use]
    pub fn at_ms(&self) -> Option<f64> {
        match self.conversation.turn(self.turn)?.send {
            SendTime::At(time) => Some(time),
            SendTime::After(_) => None,
        }
    }

    /// ms from the end of the response before, or the session's start, to the next request.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        self.conversation.turns.get(self.turn).and_then(|turn| turn.delay_ms).unwrap_or(0.0)
    }

    /// The next request.
    pub fn request(&mut self) -> Result<Request, ScriptError> {
        let Some(turn) = self.conversation.turns.get(self.turn).copied() else {
            return Err(self.error("found no turn, expected one that was not sent yet"));
        };
        let known = self.begin()?;
        let before = if self.conversation.extends_previous(self.turn) { self.transcript.tokens } else { 0 };
        let until = u64::from(turn.context_tokens);
        let Self { stage, conversation, owners, transcript, .. } = self;
        let voice = Voice { words: &stage.words, id_tokens: stage.id_tokens, owners };
        if until > known || transcript.tokens == 0 {
            transcript.input(voice, conversation.stream(self.turn).pieces(known, until));
        }
        let output_tokens = u64::from(turn.output_tokens);
        let body = stage.fields.body(stage.form, transcript.prompt(), output_tokens);
        let context_tokens = transcript.tokens;
        Ok(Request {
            body,
            turn: self.turn,
            context_tokens,
            input_tokens: context_tokens - before,
            output_tokens,
            stream: stage.stream,
        })
    }

    /// Makes the transcript hold all that comes before the turn's new tokens; returns how many tokens the trace says
    /// that is.
    fn begin(&mut self) -> Result<u64, ScriptError> {
        if self.conversation.extends_previous(self.turn) {
            let last = self.conversation.turns[self.turn - 1];
            return Ok(u64::from(last.context_tokens) + u64::from(last.output_tokens));
        }
        self.transcript = Transcript::new(self.stage.form);
        let Some(parent) = self.parent.filter(|_| self.turn == 0) else { return Ok(0) };
        let kept = self.stage.journal.as_ref().map_or(Ok(None), |journal| journal.find(parent))?;
        let Some((planned_tokens, inherited)) = kept else {
            return Err(self.error("continues a session that failed, so there is no transcript to go on from"));
        };
        if let Some(journal) = self.stage.journal.as_ref().filter(|_| self.stage.continues_once) {
            journal.forget(parent);
        }
        self.transcript = inherited;
        // A continuation may be cut at the longest prompt.
        let context = u64::from(self.conversation.turns[0].context_tokens);
        let cut = planned_tokens.saturating_sub(context);
        self.transcript.truncate(self.transcript.tokens.saturating_sub(cut));
        Ok(planned_tokens.min(context))
    }

    /// Takes the answer to the last request: the server's text of `tokens` tokens, which with recorded history
    /// is not used.
    pub fn answered(&mut self, text: &str, tokens: Option<u64>) {
        let Self { stage, conversation, owners, transcript, turn, .. } = self;
        let Some(sent) = conversation.turns.get(*turn) else { return };
        if stage.history == History::Live {
            transcript.answer(text, tokens.unwrap_or_else(|| text.split_whitespace().count() as u64));
        } else {
            let from = u64::from(sent.context_tokens);
            let pieces = conversation.stream(*turn).pieces(from, from + u64::from(sent.output_tokens));
            let voice = Voice { words: &stage.words, id_tokens: stage.id_tokens, owners };
            transcript.output(voice, pieces);
        }
        *turn += 1;
    }

    /// The session is over: its transcript is kept if another session goes on from it.
    pub fn over(&mut self) -> Result<(), ScriptError> {
        let is_complete = self.turn == self.conversation.turns.len();
        if let Some(journal) = &self.stage.journal
            && let Some(last) = self.conversation.turns.last()
            && is_complete
            && self.conversation.may_be_continued
            && self.conversation.name.is_some()
        {
            let planned_tokens = u64::from(last.context_tokens) + u64::from(last.output_tokens);
            journal.keep(self.conversation.number, planned_tokens, &self.transcript)?;
        }
        self.transcript = Transcript::new(self.stage.form);
        Ok(())
    }

    fn error(&self, what: &str) -> ScriptError {
        ScriptError::History { session: self.key.clone(), turn: self.turn, what: what.to_owned() }
    }
}
