//! An OpenAI-compatible server that models prefill, decode and the prefix cache instead of computing tokens.
//!
//! `engine` drives the serving engine of `agentgen-engine` on a real clock; `request`, `history` and `chain` read requests
//! as token blocks; `answer`, `steps`, `document`, `wire` and `body` write
//! answers; `fault` injects faults.
#![forbid(unsafe_code)]

mod answer;
mod body;
mod chain;
mod document;
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
mod steps;
mod text;
mod wire;

pub use metrics::Stats;
pub use options::{Events, Options, RandomFault};
pub use server::{Server, StartError};
