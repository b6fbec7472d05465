//! The journal of a recorder: a line of JSON for each call that has ended, without any text of it.
//!
//! A prompt is a list of *pieces* of at most [`PIECE_TOKENS`] tokens, each a keyed hash of its text and an estimate of its
//! tokens. A line has only the pieces after those that its prompt shares with an earlier line. The key is not written.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::lines::BadLine;
use super::model::Part;

/// Version of the format, in the first line of a journal.
pub const VERSION: u32 = 1;
/// Most tokens of a piece, by estimate.
pub const PIECE_TOKENS: u32 = 16;
/// What a token is worth in bytes, for the calibration of pieces beside sources that state bytes.
const BYTES_PER_TOKEN: u64 = 4;
const HASH_BITS: u32 = 58;
const DIGITS: usize = 16;

/// The first line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub agentgen_record: u32,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The answer is complete.
    #[default]
    Answered,
    /// The server answered with an error status, or reported an error in the answer.
    Refused,
    /// The answer ended before it was complete.
    Truncated,
    /// The client disconnected, or the recorder was stopped.
    Cancelled,
    /// The server could not be reached.
    Unreachable,
}

/// A call that has ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Number of the call, by its end.
    pub call: u64,
    /// `chat`, `completions`, `responses` or `messages`.
    pub api: String,
    /// How it ended.
    pub outcome: Outcome,
    /// HTTP status of the response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When the request came in, ms since the Unix epoch.
    pub sent_ms: f64,
    /// From then to the first byte of the answer's body, ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_byte_after_ms: Option<f64>,
    /// The same to the first token of a streamed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_after_ms: Option<f64>,
    /// The same to the end.
    pub end_after_ms: f64,
    /// The model, as the request names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Hash of the session's id, if the client sends one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// Hash of the id of the session that started this one, if the client sends one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Hash of tools and system prompt, by which agents are told apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Hash of the first message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// `human` or `tool`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// How many requests of the user the prompt holds.
    pub human_turns: u32,
    /// Whether the request has tools.
    pub has_tools: bool,
    /// Pieces of tools and system prompt, and the same with the first message.
    pub head: [usize; 2],
    /// An earlier call, and how many pieces of its prompt this one begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<(u64, usize)>,
    /// The other pieces, 16 hexadecimal digits each; `None` if the request could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pieces: Option<Pieces>,
    /// Tokens as the server counts them.
    pub usage: Counts,
    /// Length of the answer's text in bytes, with reasoning and tool calls.
    pub output_bytes: u64,
    /// Names of the tools that the answer calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

/// Tokens as a server counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// The whole prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<u64>,
    /// Of it, from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached: Option<u64>,
    /// Of it, written to the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<u64>,
    /// The whole output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Of it, reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<u64>,
}

/// A piece of a prompt: a hash, and how many tokens it is estimated to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Piece(u64);

impl Piece {
    /// A piece with a hash and at most 63 tokens.
    #[must_use]
    pub fn new(hash: u64, tokens: u32) -> Self {
        Self(u64::from(tokens.min(63)) << HASH_BITS | hash >> (64 - HASH_BITS))
    }

    /// Its tokens, by estimate.
    #[must_use]
    pub fn tokens(self) -> u64 {
        self.0 >> HASH_BITS
    }

    /// All its bits.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// As a part of a prompt.
    #[must_use]
    pub fn part(self) -> Part {
        Part { hash: u128::from(self.0), bytes: self.tokens() * BYTES_PER_TOKEN }
    }
}

/// Pieces, written as one string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pieces(pub Vec<Piece>);

impl From<Pieces> for String {
    fn from(pieces: Pieces) -> Self {
        let mut text = String::with_capacity(pieces.0.len() * DIGITS);
        for piece in pieces.0 {
            // Text takes everything.
            let _ = write!(text, "{:016x}", piece.0);
        }
        text
    }
}

impl TryFrom<String> for Pieces {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !text.is_ascii() || !text.len().is_multiple_of(DIGITS) {
            return Err("not a list of pieces");
        }
        let piece = |at: usize| u64::from_str_radix(&text[at..at + DIGITS], 16).map(Piece);
        let pieces: Result<Vec<Piece>, _> = (0..text.len()).step_by(DIGITS).map(piece).collect();
        pieces.map(Self).map_err(|_| "not a list of pieces")
    }
}

/// A line of a journal.
#[derive(Debug)]
pub enum Line {
    /// The first one.
    Header(Header),
    /// A call.
    Call(Box<Entry>),
}

impl Line {
    /// Reads a line.
    pub fn read(text: &str) -> Result<Self, BadLine> {
        if text.starts_with("{\"agentgen_record\"") {
            return Ok(Self::Header(serde_json::from_str(text)?));
        }
        let entry: Entry = serde_json::from_str(text)?;
        if entry.api.is_empty() {
            return Err(BadLine::new("a line that is no call"));
        }
        Ok(Self::Call(Box::new(entry)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let pieces = vec![Piece::new(u64::MAX, 16), Piece::new(0, 0), Piece::new(1 << 63, 3)];
        assert_eq!(pieces.iter().map(|piece| piece.tokens()).collect::<Vec<_>>(), [16, 0, 3]);
        let entry = Entry {
            call: 7,
            api: "chat".into(),
            status: Some(200),
            sent_ms: 1_764_563_000_123.25,
            after: Some((3, 9)),
            pieces: Some(Pieces(pieces)),
            usage: Counts { prompt: Some(5), ..Counts::default() },
            ..Entry::default()
        };
        let text = serde_json::to_string(&entry).unwrap();
        assert!(matches!(Line::read(&text).unwrap(), Line::Call(read) if *read == entry));
        let header = serde_json::to_string(&Header { agentgen_record: VERSION }).unwrap();
        assert!(matches!(Line::read(&header).unwrap(), Line::Header(read) if read.agentgen_record == VERSION));
    }

    #[test]
    fn other_lines_are_refused() {
        for text in ["{}", "[]", "{", r#"{"api":"chat","pieces":"12"}"#, r#"{"api":"chat","pieces":"éééééééé"}"#]
        {
            assert!(Line::read(text).is_err(), "{text}");
        }
    }
}
