//! Exact synthetic sessions of coding agents: a configuration in, turns out.
//!
//! ```
//! use agentgen_core::{Config, Layout, Plan, SessionGenerator, config};
//!
//! let config = Config::from_json(config::preset("default").unwrap())?;
//! let plan = Plan::new(&config, config::Overrides::default(), 42, 1_000, Layout::Incremental)?;
//! let mut simulator = SessionGenerator::new(&plan);
//! let session = simulator.root(7, 0)?;
//! assert!(session.turns.iter().all(|turn| turn.context < 167_000));
//! # Ok::<(), agentgen_core::ConfigError>(())
//! ```
//!
//! The order of the modules is the order of the data: `config` → `dist` (laws, calibrated) → `plan` → `session`
//! (turns) → `ids` (names of blocks and sessions). Nothing here does I/O, reads a clock or starts a thread; all
//! randomness is addressed (`rng`), so any session can be made alone.
#![forbid(unsafe_code)]

pub mod config;
pub mod dist;
mod error;
pub mod ids;
mod laws;
mod layout;
mod pilot;
mod plan;
pub mod rng;
mod rules;
mod session;

pub use config::Config;
pub use error::ConfigError;
pub use laws::{Resolved, Solved, Targets};
pub use layout::Layout;
pub use plan::{ArrivalClock, Continuation, Plan};
pub use rules::{Drawn, EndReason, Turn};
pub use session::{Session, SessionGenerator};
