//! Prompts and outputs as the words that a replay sends.

use agentgen_engine::kv::TokenSeq;
use agentgen_trace::words::Words;

use super::bundle::{Bundle, Member};
use super::record::Records;

/// What the records of all bundles are made with.
#[derive(Debug)]
pub(crate) struct Source {
    /// Tokens of a block in the export.
    pub block_tokens: u32,
    /// Tokens of a hash id in the trace.
    pub id_tokens: u32,
    /// `None` for formats without text.
    pub words: Option<Words>,
}

impl Source {
    /// Appends what a turn adds to its history as a JSON string.
    pub(crate) fn input(&self, bundle: &Bundle, member: &Member, turn: usize, out: &mut Records) {
        self.tokens(bundle, member, turn, member.known_tokens(turn), out);
    }

    /// Appends a whole prompt as a JSON string.
    pub(crate) fn prompt(&self, bundle: &Bundle, member: &Member, turn: usize, out: &mut Records) {
        self.tokens(bundle, member, turn, 0, out);
    }

    /// Appends the prompt of a turn from a token on.
    fn tokens(&self, bundle: &Bundle, member: &Member, turn: usize, from: u64, out: &mut Records) {
        let until = u64::from(member.session.turns[turn].context_tokens);
        self.words(bundle, member.session.stream(turn), from, until, out);
    }

    /// Appends the output of a turn as a JSON string.
    pub(crate) fn output(&self, bundle: &Bundle, member: &Member, turn: usize, out: &mut Records) {
        let of = member.session.turns[turn];
        let (from, length) = (u64::from(of.context_tokens), u64::from(of.output_tokens));
        if member.session.names_its_session() {
            self.words(bundle, member.session.stream(turn), from, from + length, out);
        } else {
            // Nothing says which tokens these are.
            let mut own = TokenSeq::new(self.id_tokens);
            own.push_own(member.session.number, length);
            self.words(bundle, &own, 0, length, out);
        }
    }

    /// Words of a stream; they need no escapes.
    fn words(&self, bundle: &Bundle, stream: &TokenSeq, from: u64, until: u64, out: &mut Records) {
        out.bytes.push(b'"');
        if let Some(words) = &self.words {
            for span in stream.spans(from, until) {
                words.push_text(span, self.id_tokens, &bundle.owners, &mut out.bytes);
            }
            if out.bytes.last() == Some(&b' ') {
                out.bytes.pop();
            }
        }
        out.bytes.push(b'"');
    }
}
