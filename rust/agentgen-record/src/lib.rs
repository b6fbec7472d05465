//! A recorder of model calls: a proxy between agents and a server, and a journal of what passes, without its text.
//!
//! `tap` sees a call as it passes (`decode` undoes compression) and hands it to the thread of `journal`, which makes a line of
//! it: `entry`, from `request` (`client` finds the id of its session), `pieces` and `known`. `texts` keeps `conversation`s if
//! they are wanted. `stats` counts, `run` starts and stops it all. `agentgen-formats` imports the journal.
#![forbid(unsafe_code)]

mod client;
mod conversation;
mod decode;
mod entry;
mod journal;
mod known;
mod options;
mod pieces;
mod request;
mod run;
mod stats;
mod tap;
mod texts;

pub use options::RecordOptions;
pub use run::{RecordError, Recorder};
pub use stats::Stats;
