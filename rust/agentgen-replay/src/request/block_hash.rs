//! Requests of a session of a block-hash trace.

use std::sync::Arc;

use agentgen_engine::timeline::{Begin, SendTime, TimedSession as _};
use agentgen_trace::session::Session;
use agentgen_trace::words::Words;

use super::body::Members;
use super::encoded::{EncodedTranscript, TextSource};
use super::options::{Encoding, History, Request, RequestError};
use super::transcript_store::TranscriptStore;

/// What all sessions of a replay share.
#[derive(Debug)]
pub(super) struct ReplayContext {
    pub words: Words,
    pub members: Members,
    pub encoding: Encoding,
    pub stream: bool,
    pub history: History,
    /// `None` if no session continues another.
    pub store: Option<TranscriptStore>,
    pub id_tokens: u32,
    /// Whether a session is continued at most once, so that its transcript can be removed then.
    pub continues_once: bool,
}

/// Tokens that come back of an answer of `answer` tokens, where `returned` of `planned` would: the same share.
pub(crate) fn returned_of(answer: u64, planned: u32, returned: u32) -> u64 {
    (answer * u64::from(returned)).checked_div(u64::from(planned)).unwrap_or(0)
}

/// Builds the requests of one session.
#[derive(Debug)]
pub struct BlockHashSession {
    context: Arc<ReplayContext>,
    session: Session,
    /// Time of the trace from which played times count, ms.
    origin_ms: f64,
    key: String,
    /// Number of the session that it continues, which must end first.
    parent: Option<u64>,
    /// Seeds of its own tokens and of those of the sessions it continues.
    owners: Vec<(u64, u64)>,
    transcript: EncodedTranscript,
    /// The next turn.
    turn: usize,
}

impl BlockHashSession {
    pub(super) fn new(
        context: Arc<ReplayContext>,
        session: Session,
        origin_ms: f64,
        key: String,
        parent: Option<u64>,
        owners: Vec<(u64, u64)>,
    ) -> Self {
        let transcript = EncodedTranscript::new(context.encoding);
        Self { context, session, origin_ms, key, parent, owners, transcript, turn: 0 }
    }

    /// Its name in the trace.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its number in the order of the file, from 0.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.session.number
    }

    /// Number of its requests.
    #[must_use]
    pub fn turns(&self) -> usize {
        self.session.turns.len()
    }

    /// Its arrival, ms since the start of what is played.
    #[must_use]
    pub fn start_ms(&self) -> f64 {
        (self.session.arrival_ms() - self.origin_ms).max(0.0)
    }

    /// How it begins.
    #[must_use]
    pub fn begin_rule(&self) -> Begin {
        self.session.begin()
    }

    /// Whether sessions that begin in its bundle may follow it.
    #[must_use]
    pub fn may_have_members(&self) -> bool {
        self.session.may_have_members()
    }

    /// Number of the session that it continues.
    #[must_use]
    pub fn parent(&self) -> Option<u64> {
        self.parent
    }

    /// Recorded time of the next request, ms since the start of what is played; `None` if requests are timed by delays.
    #[must_use]
    pub fn at_ms(&self) -> Option<f64> {
        match self.session.turn(self.turn)?.send {
            SendTime::At(time) => Some((time - self.origin_ms).max(0.0)),
            SendTime::After(_) => None,
        }
    }

    /// Wait before the next request, ms, from the end of the response before or from the session's start.
    #[must_use]
    pub fn delay_ms(&self) -> f64 {
        self.session.turns.get(self.turn).and_then(|turn| turn.delay_ms).unwrap_or(0.0)
    }

    /// Builds the next request.
    pub fn request(&mut self) -> Result<Request, RequestError> {
        let Some(turn) = self.session.turns.get(self.turn).copied() else {
            return Err(self.error("found no turn, expected one that was not sent yet"));
        };
        let known = self.begin()?;
        let before = if known > 0 && self.turn > 0 { self.transcript.tokens } else { 0 };
        let until = u64::from(turn.context_tokens);
        let Self { context, session, owners, transcript, .. } = self;
        let source = TextSource { words: &context.words, id_tokens: context.id_tokens, owners };
        if until > known || transcript.tokens == 0 {
            transcript.input(source, session.stream(self.turn).spans(known, until));
        }
        let output_tokens = u64::from(turn.output_tokens);
        let body = context.members.body(context.encoding, transcript.prompt(), output_tokens);
        let context_tokens = transcript.tokens;
        Ok(Request {
            body,
            turn: self.turn,
            context_tokens,
            input_tokens: context_tokens - before,
            output_tokens,
            stream: context.stream,
        })
    }

    /// Truncates the transcript to the context before the turn's new tokens; returns its length in the trace, tokens.
    fn begin(&mut self) -> Result<u64, RequestError> {
        if self.session.extends_previous(self.turn) {
            let last = self.session.turns[self.turn - 1];
            return Ok(u64::from(last.context_tokens) + u64::from(last.output_tokens));
        }
        if let Some(returned) = self.session.returned_tokens(self.turn) {
            let last = self.session.turns[self.turn - 1];
            self.transcript.cut_answer(|answer| returned_of(answer, last.output_tokens, returned));
            return Ok(u64::from(last.context_tokens) + u64::from(returned));
        }
        self.transcript = EncodedTranscript::new(self.context.encoding);
        let Some(parent) = self.parent.filter(|_| self.turn == 0) else { return Ok(0) };
        let kept = self.context.store.as_ref().map_or(Ok(None), |store| store.find(parent))?;
        let Some((planned_tokens, inherited)) = kept else {
            return Err(self.error("continues a session that failed, so it has no transcript to continue"));
        };
        if let Some(store) = self.context.store.as_ref().filter(|_| self.context.continues_once) {
            store.forget(parent);
        }
        self.transcript = inherited;
        // The first prompt of a restart session may be truncated to the longest prompt.
        let context = u64::from(self.session.turns[0].context_tokens);
        let cut = planned_tokens.saturating_sub(context);
        self.transcript.truncate(self.transcript.tokens.saturating_sub(cut));
        Ok(planned_tokens.min(context))
    }

    /// Takes the answer to the last request: the server's text of `tokens` tokens. Recorded history ignores it.
    pub fn answered(&mut self, text: &str, tokens: Option<u64>) -> Result<(), RequestError> {
        let is_sent_back = self.turn + 1 < self.turns() || self.is_kept();
        let Self { context, session, owners, transcript, turn, key, .. } = self;
        let Some(sent) = session.turns.get(*turn) else { return Ok(()) };
        if context.history == History::Live {
            if text.is_empty() && is_sent_back {
                return Err(RequestError::empty_answer(key, *turn, tokens));
            }
            transcript.answer(text, tokens.unwrap_or_else(|| text.split_whitespace().count() as u64));
        } else {
            let from = u64::from(sent.context_tokens);
            let spans = session.stream(*turn).spans(from, from + u64::from(sent.output_tokens));
            let source = TextSource { words: &context.words, id_tokens: context.id_tokens, owners };
            transcript.output(source, spans);
        }
        *turn += 1;
        Ok(())
    }

    /// Whether its transcript is kept for another session.
    fn is_kept(&self) -> bool {
        self.context.store.is_some() && self.session.may_be_continued && self.session.name.is_some()
    }

    /// Ends the session: keeps its transcript if another session may continue it.
    pub fn over(&mut self) -> Result<(), RequestError> {
        let is_complete = self.turn == self.session.turns.len();
        if let Some(store) = &self.context.store
            && let Some(last) = self.session.turns.last()
            && is_complete
            && self.is_kept()
        {
            let planned_tokens = u64::from(last.context_tokens) + u64::from(last.output_tokens);
            store.keep(self.session.number, planned_tokens, &self.transcript)?;
        }
        self.transcript = EncodedTranscript::new(self.context.encoding);
        Ok(())
    }

    fn error(&self, what: &str) -> RequestError {
        RequestError::History { session: self.key.clone(), turn: self.turn, what: what.to_owned() }
    }
}
