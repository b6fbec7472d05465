//! Exact synthetic sessions of coding agents: configuration in, turns out.
#![forbid(unsafe_code)]

pub mod config;
pub mod dist;
mod error;
pub mod rng;

pub use config::Config;
pub use error::ConfigError;
