//! Multi-turn messages: recorded conversations in text, one message a row ("flat rows").
//!
//! `row` declares the rows once; from there come the reader ([`read()`]), the findings (the reader, which goes on) and the
//! published JSON Schema ([`schema`]). What rows must keep together (turns, roles, ids of calls) stands in `assemble`. A
//! conversation is held as a whole, one at a time.

mod assemble;
mod describe;
mod field;
mod model;
mod object;
mod parse;
mod read;
mod row;
mod rules;

pub use crate::source::is_messages;

pub use describe::{Description, describe};
pub use model::{Message, Parameters, RequestOptions, Row, ToolCall, ToolResult, Transcript, estimated_tokens};
pub use read::{Reader, Transcripts, read};
pub use rules::EMPTY;

/// The JSON Schema of a line.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(row::Line)
}
