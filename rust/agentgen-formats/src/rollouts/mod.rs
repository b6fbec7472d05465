//! Recorded sessions as normalized rows of messages, with their text: the opposite of an import, which keeps none.
//!
//! The columns are those of the rollout rows of Data Designer, on which agents are distilled. A row is one agent's session of
//! one file. `docs/import.md` lists where rows differ from Data Designer's, and why.

mod atif;
mod claude;
mod codex;
mod hermes;
mod index;
mod model;
mod pi;
mod read;
mod select;
mod table;
mod values;

pub use read::{RolloutProblems, Rollouts, WrittenRollouts, open, write};
pub use select::{RolloutOptions, Shuffle};

/// Names of the import formats that have rollout rows.
#[must_use]
pub fn formats() -> Vec<&'static str> {
    read::READERS.iter().map(|reader| reader.format).collect()
}
