//! An OpenAI-compatible server that models time and cache instead of computing tokens.
#![forbid(unsafe_code)]

mod answer;
mod body;
mod chain;
mod engine;
mod fault;
mod histogram;
mod history;
mod http;
mod metrics;
mod options;
mod records;
mod request;
mod server;
mod shared;
mod text;
mod wire;

pub use metrics::Stats;
pub use options::{Events, Options, RandomFault};
pub use server::{Server, StartError};
