//! Recorded conversations with their text.
//!
//! `model` holds a conversation as a list of requests, whatever file it comes from; `prompt` rebuilds what each request
//! sent; `describe` counts what a replay will send; `flat` reads multi-turn messages, one message per row.

mod describe;
pub mod flat;
mod model;
mod prompt;

pub use crate::source::is_messages;

pub use describe::describe;
pub use model::{
    History, Message, Parameters, Part, Request, Role, SubAgent, ToolCall, ToolResult, Transcript, Trigger, Usage,
    estimated_tokens,
};
pub use prompt::MessageId;
