//! Sessions of agents: configurations with `triggers`.
//!
//! `model` compiles the configuration. A `line` is what one agent does: its calls, across the breaks of its history. A
//! `bundle` holds a line of the main agent with those of all sub-agents under it, as sessions; `numbering`
//! gives their blocks ids.

mod bundle;
mod curve;
mod effects;
mod line;
mod model;
mod numbering;
mod stream_ids;

pub(crate) use bundle::{Bundle, Tree};
pub use bundle::{Link, Member};
pub use line::Trigger;
pub(crate) use model::AgentModel;
pub(crate) use stream_ids::StreamIds;

pub use crate::turns::ALL;
