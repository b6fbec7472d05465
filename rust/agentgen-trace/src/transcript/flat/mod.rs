//! Multi-turn messages: recorded conversations with one message per row ("flat rows").
//!
//! `row` declares the rows once, for the reader ([`read()`]), the validator ([`Reader`], which continues after a finding)
//! and the published JSON Schema ([`schema`]). `assemble` checks the rules over the rows of a conversation (turns, roles,
//! call ids) and builds the [`Transcript`](super::Transcript). One conversation at a time is held in memory.

mod assemble;
mod field;
mod object;
mod parse;
mod read;
mod row;
mod rules;

pub use read::{Reader, Transcripts, read};
pub use rules::EMPTY;

/// Names of the parameters that a row may have.
pub const PARAMETERS: &[&str] = row::Parameters::KEYS;

/// The JSON Schema of a line.
#[must_use]
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(row::Line)
}
