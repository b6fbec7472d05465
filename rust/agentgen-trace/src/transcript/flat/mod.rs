//! Multi-turn messages: recorded conversations with one message a row ("flat rows").
//!
//! `row` declares the rows once; the reader ([`read()`]), the findings ([`Reader`], which goes on after each) and the
//! published JSON Schema ([`schema`]) follow from it. `assemble` holds the rules that the rows of a conversation keep
//! together (turns, roles, ids of calls) and builds the [`Transcript`](super::Transcript). One conversation at a time is
//! held in memory.

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
