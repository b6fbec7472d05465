//! A conversation as it goes over the wire: what was said is encoded once and stays so.

use agentgen_engine::kv::TokenSpan;
use serde::{Deserialize, Serialize};

use super::words::{Owners, Words};

/// How a conversation is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Elements of a JSON array of chat messages.
    Messages,
    /// The inside of a JSON string.
    Text,
    /// Elements of a JSON array of token ids.
    Ids,
}

/// Where a part of the conversation begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    /// Byte at which it begins, with what separates it from the part before.
    start: usize,
    /// Byte at which its content begins.
    content: usize,
    /// Tokens before it.
    tokens: u64,
}

/// Everything that was said so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transcript {
    form: Form,
    /// Tokens, as far as they are known.
    pub tokens: u64,
    parts: Vec<Part>,
    #[serde(skip)]
    pub encoded: Vec<u8>,
}

/// A token's text, and what makes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice<'a> {
    pub words: &'a Words,
    pub id_tokens: u32,
    pub owners: &'a Owners,
}

impl Transcript {
    pub(super) fn new(form: Form) -> Self {
        Self { form, tokens: 0, parts: Vec::new(), encoded: Vec::new() }
    }

    /// Appends what the user says.
    pub(super) fn input(&mut self, voice: Voice<'_>, pieces: impl Iterator<Item = TokenSpan>) {
        self.part(r#"{"role":"user","content":""#, |transcript| transcript.pieces(voice, pieces));
    }

    /// Appends a recorded output.
    pub(super) fn output(&mut self, voice: Voice<'_>, pieces: impl Iterator<Item = TokenSpan>) {
        self.part(r#"{"role":"assistant","content":""#, |transcript| transcript.pieces(voice, pieces));
    }

    /// Appends an answer of `tokens` tokens.
    pub(super) fn answer(&mut self, text: &str, tokens: u64) {
        self.part(r#"{"role":"assistant","content":""#, |transcript| {
            let quoted = serde_json::Value::from(text).to_string();
            // Completions have no roles: what was said and the answer are one text, which a space keeps apart.
            let text = &quoted.as_bytes()[1..quoted.len() - 1];
            transcript.encoded.extend_from_slice(text);
            if transcript.form == Form::Text && !text.is_empty() && !text.ends_with(b" ") {
                transcript.encoded.push(b' ');
            }
            tokens
        });
    }

    /// Appends a part, whose content `push` appends and counts.
    fn part(&mut self, head: &str, push: impl FnOnce(&mut Self) -> u64) {
        let start = self.encoded.len();
        if self.form == Form::Messages {
            if start > 0 {
                self.encoded.push(b',');
            }
            self.encoded.extend_from_slice(head.as_bytes());
        }
        self.parts.push(Part { start, content: self.encoded.len(), tokens: self.tokens });
        self.tokens += push(self);
        self.end_part();
    }

    fn end_part(&mut self) {
        if self.form == Form::Messages {
            if self.encoded.ends_with(b" ") {
                self.encoded.pop();
            }
            self.encoded.extend_from_slice(br#""}"#);
        }
    }

    fn pieces(&mut self, voice: Voice<'_>, pieces: impl Iterator<Item = TokenSpan>) -> u64 {
        let Voice { words, id_tokens, owners } = voice;
        let mut tokens = 0;
        for piece in pieces {
            match self.form {
                Form::Ids => words.push_ids(piece, id_tokens, owners, &mut self.encoded),
                Form::Messages | Form::Text => words.push_text(piece, id_tokens, owners, &mut self.encoded),
            }
            tokens += u64::from(piece.tokens());
        }
        tokens
    }

    /// Keeps the first `tokens` tokens, an answer's being its words.
    pub(super) fn truncate(&mut self, tokens: u64) {
        if tokens >= self.tokens {
            return;
        }
        while let Some(part) = self.parts.last().copied() {
            if part.tokens > tokens {
                self.encoded.truncate(part.start);
                self.parts.pop();
                continue;
            }
            let separator = if self.form == Form::Ids { b',' } else { b' ' };
            let ends = self.encoded[part.content..].iter().enumerate().filter(|(_, byte)| **byte == separator);
            let kept = match (tokens - part.tokens) as usize {
                0 => Some(0),
                n => ends.map(|(at, _)| at + 1).nth(n - 1),
            };
            if let Some(kept) = kept {
                self.encoded.truncate(part.content + kept);
                self.end_part();
            }
            break;
        }
        self.tokens = tokens;
    }

    /// The encoded conversation as it stands in a body: without what would separate it from a next part.
    pub(super) fn prompt(&self) -> &[u8] {
        let separator = match self.form {
            Form::Messages => return &self.encoded,
            Form::Text => b" ",
            Form::Ids => b",",
        };
        self.encoded.strip_suffix(separator).unwrap_or(&self.encoded)
    }
}
