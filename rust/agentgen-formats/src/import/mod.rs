//! Import of sessions that real agents recorded, in formats of others.
//!
//! `model` holds a session as a list of model calls. Each reader of a format builds it; everything after it is the same for
//! all formats.

mod model;

pub use model::{
    Agent, Call, Client, Part, Problem, Prompt, RecordedSession, Recording, Rewrite, ToolUse, Trigger, Usage,
};
