//! Import of sessions that real agents recorded, in formats of others.
//!
//! `discover` finds the files, `formats` recognises and reads each of them, `merge` puts together what spans files. `model`
//! holds a session as a list of model calls; everything after it is the same for all formats.

pub mod discover;
pub mod formats;
pub mod lines;
mod merge;
mod model;
pub mod time;

pub use merge::merge;
pub use model::{
    Agent, Call, Client, Part, Problem, Prompt, RecordedSession, Recording, Rewrite, Spawn, ToolUse, Trigger, Usage,
};
