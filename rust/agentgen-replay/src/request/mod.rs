//! Builds the requests of a session: prompts, histories, bodies.
//!
//! A session of a block-hash trace (`block_hash`) turns hash ids into text (`agentgen_trace::words`), encodes each part of its prompts
//! once (`encoded`) and puts the request's other fields (`fields`) around them (`body`); `transcript_store` keeps its transcript for
//! the restart session that continues it. A recorded conversation (`messages`) sends its own text. `session` is either of
//! them, `source` gives the sessions of one worker in the order in which they start, `selection` leaves some out, `describe`
//! totals a trace.

mod block_hash;
mod body;
mod describe;
mod encoded;
mod fields;
pub mod messages;
mod options;
mod selection;
mod session;
mod source;
mod transcript_store;

pub(crate) use block_hash::returned_of;
pub use body::probe;
pub use describe::{Description, Kind, describe};
pub use options::{Endpoint, History, MaxTokensField, Options, PromptMode, Reasoning, Request, RequestError};
pub use selection::{LeftOut, Selection};
pub use session::ReplaySession;
pub(crate) use source::open_block_hash;
pub use source::{Share, Source};
