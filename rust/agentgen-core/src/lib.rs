//! Deterministic synthetic sessions of coding agents: from a configuration to the turns of every session.
//!
//! ```
//! use agentgen_core::{Config, DatasetSpec, Layout, SessionGenerator, config};
//!
//! let config = Config::from_json(config::preset("default").unwrap())?;
//! let spec = DatasetSpec::new(&config, config::Overrides::default(), 42, 1_000, Layout::Incremental)?;
//! let mut generator = SessionGenerator::new(&spec);
//! generator.root_bundle(7, 0, &mut |session| {
//!     assert!(session.turns.iter().all(|turn| turn.context < 167_000));
//!     Ok::<_, agentgen_core::ConfigError>(())
//! })?;
//! # Ok::<(), agentgen_core::ConfigError>(())
//! ```
//!
//! Data flows through the modules in this order: `config` (what is stated), `dist` and `distributions` (calibrated
//! distributions), `spec` (a data set: configuration, seed, size), `session` (turns and hash ids of a session). `agents` draws
//! sessions of agents: with triggers, breaks and sub-agents.
//!
//! A *root session* is a session that continues no other; its index addresses all of its randomness (`rng`), so any
//! session can be made alone. A restart may split it: the session after the restart is its *continuation*, and both
//! draw from the same streams and the same range of hash ids.
//!
//! The crate has no I/O, clock or threads.
#![forbid(unsafe_code)]

pub mod agents;
mod arrival;
pub mod config;
pub mod dist;
mod distributions;
mod error;
pub mod ids;
mod layout;
pub mod rng;
mod sampler;
mod session;
mod spec;
mod truncation_bias;
mod turns;

pub use arrival::ArrivalClock;
pub use config::Config;
pub use distributions::{Effective, Resolved, Solved, Targets};
pub use error::ConfigError;
pub use layout::Layout;
pub use session::{MemberView, RowIds, Session, SessionGenerator};
pub use spec::{Continuation, DatasetSpec, DrawnAsStated};
pub use turns::{EndReason, Quantity, Turn};
