//! The transcript of a session as prompts send it; each part is encoded once.

use agentgen_engine::kv::TokenSpan;
use agentgen_trace::words::{Owners, Words};
use serde::{Deserialize, Serialize};

use super::options::Encoding;

/// A part of the transcript: an input or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    /// First byte of the part, its separator included.
    start: usize,
    /// First byte of its content.
    content: usize,
    /// Tokens before it.
    tokens: u64,
}

/// Inputs and answers so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EncodedTranscript {
    encoding: Encoding,
    /// Tokens; live answers count as the server counted them.
    pub tokens: u64,
    parts: Vec<Part>,
    #[serde(skip)]
    pub encoded: Vec<u8>,
}

/// What turns tokens of a trace into text.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextSource<'a> {
    pub words: &'a Words,
    pub id_tokens: u32,
    pub owners: &'a Owners,
}

impl EncodedTranscript {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { encoding, tokens: 0, parts: Vec::new(), encoded: Vec::new() }
    }

    /// Appends input tokens.
    pub(super) fn input(&mut self, source: TextSource<'_>, spans: impl Iterator<Item = TokenSpan>) {
        self.part(r#"{"role":"user","content":""#, |transcript| transcript.spans(source, spans));
    }

    /// Appends a recorded output.
    pub(super) fn output(&mut self, source: TextSource<'_>, spans: impl Iterator<Item = TokenSpan>) {
        self.part(r#"{"role":"assistant","content":""#, |transcript| transcript.spans(source, spans));
    }

    /// Appends an answer of `tokens` tokens.
    pub(super) fn answer(&mut self, text: &str, tokens: u64) {
        self.part(r#"{"role":"assistant","content":""#, |transcript| {
            let quoted = serde_json::Value::from(text).to_string();
            // Completions have no roles: a space separates an answer from the next input.
            let text = &quoted.as_bytes()[1..quoted.len() - 1];
            transcript.encoded.extend_from_slice(text);
            if transcript.encoding == Encoding::Text && !text.is_empty() && !text.ends_with(b" ") {
                transcript.encoded.push(b' ');
            }
            tokens
        });
    }

    /// Appends a part; `push` appends its content and returns its tokens.
    fn part(&mut self, head: &str, push: impl FnOnce(&mut Self) -> u64) {
        let start = self.encoded.len();
        if self.encoding == Encoding::Messages {
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
        if self.encoding == Encoding::Messages {
            if self.encoded.ends_with(b" ") {
                self.encoded.pop();
            }
            self.encoded.extend_from_slice(br#""}"#);
        }
    }

    fn spans(&mut self, source: TextSource<'_>, spans: impl Iterator<Item = TokenSpan>) -> u64 {
        let TextSource { words, id_tokens, owners } = source;
        let mut tokens = 0;
        for span in spans {
            match self.encoding {
                Encoding::Ids => words.push_ids(span, id_tokens, owners, &mut self.encoded),
                Encoding::Messages | Encoding::Text => words.push_text(span, id_tokens, owners, &mut self.encoded),
            }
            tokens += u64::from(span.tokens());
        }
        tokens
    }

    /// Keeps the first `tokens` tokens; a word of an answer counts as a token.
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
            let separator = if self.encoding == Encoding::Ids { b',' } else { b' ' };
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

    /// Drops the first tokens of the last part, an answer: `kept` says how many of its tokens stay. A word counts as a token.
    pub(super) fn cut_answer(&mut self, kept: impl FnOnce(u64) -> u64) {
        let Some(part) = self.parts.last().copied() else { return };
        let answer_tokens = self.tokens - part.tokens;
        let kept_tokens = kept(answer_tokens).min(answer_tokens);
        let dropped = (answer_tokens - kept_tokens) as usize;
        let separator = if self.encoding == Encoding::Ids { b',' } else { b' ' };
        let content = &self.encoded[part.content..];
        let mut ends = content.iter().enumerate().filter(|(_, byte)| **byte == separator).map(|(at, _)| at + 1);
        match dropped.checked_sub(1).map(|last| ends.nth(last)) {
            None => return,
            Some(Some(end)) if kept_tokens > 0 => {
                self.encoded.drain(part.content..part.content + end);
            }
            // Nothing is left of it, or it has fewer words than tokens.
            Some(_) if kept_tokens == 0 => {
                self.encoded.truncate(part.start);
                self.parts.pop();
            }
            Some(_) => {}
        }
        self.tokens -= dropped as u64;
    }

    /// The encoded prompt, without the separator before a next part.
    pub(super) fn prompt(&self) -> &[u8] {
        let separator = match self.encoding {
            Encoding::Messages => return &self.encoded,
            Encoding::Text => b" ",
            Encoding::Ids => b",",
        };
        self.encoded.strip_suffix(separator).unwrap_or(&self.encoded)
    }
}
