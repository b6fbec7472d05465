//! A server with the APIs of `OpenAI` and Anthropic that models prefill, decode and the prefix cache instead of computing
//! tokens.
//!
//! `engine` drives the serving engine of `agentgen-engine` on a real clock; `request` and `chain` read requests as token
//! blocks; `answer`, `steps`, `document`, `wire` and `body` write answers; `fault` injects faults. `http` has the paths,
//! `listen` the sockets. `proxy` forwards requests to another server instead, and shows an observer what passes.
#![forbid(unsafe_code)]

mod answer;
mod body;
mod chain;
mod complete;
mod document;
mod engine;
mod fault;
mod gzip;
mod histogram;
mod http;
mod interim;
mod listen;
mod metrics;
mod options;
mod problem;
pub mod proxy;
mod records;
mod request;
mod server;
mod shared;
mod steps;
mod text;
mod tokenize;
mod upload;
mod wire;

pub use listen::StartError;
pub use metrics::Stats;
pub use options::{Events, Options, RandomFault};
pub use server::Server;
