//! Import of sessions that real agents recorded, in formats of others.
//!
//! `discover` finds the files, `formats` recognises and reads each of them, `merge` puts together what spans files. `model`
//! holds a session as a list of model calls; everything after it is the same for all formats: `trace` puts the sessions
//! together (`lengths`, `prefix`, `split`, `tree`, `times`), `rows` makes the rows (`identity`, `content`, `names`, `table`,
//! `calls`), `write` a run directory of them.

mod calls;
mod content;
pub mod discover;
pub mod formats;
mod identity;
pub mod journal;
mod lengths;
pub mod lines;
mod merge;
pub(crate) mod model;
mod names;
mod options;
mod prefix;
mod read;
mod rows;
mod run;
mod split;
mod summary;
mod table;
pub mod time;
mod times;
mod trace;
mod tree;
mod write;

pub use merge::merge;
pub use model::{
    Agent, Call, Client, Part, Problem, Prompt, RecordedSession, Recording, Rewrite, Spawn, ToolUse, Trigger, Usage,
};
pub use names::{NameOptions, WrittenNames};
pub use options::ImportOptions;
pub(crate) use read::{nothing, unread};
pub use run::{Imported, Progress, ShownProblem, import, write_recording};
pub use summary::{ImportQuality, Summary};
