//! The serving side of a trace, without I/O, threads or a clock: which KV blocks prompts share, what a prefix cache of
//! limited size holds, how large KV is for a model, and when requests are sent.
#![forbid(unsafe_code)]

pub mod kv;
pub mod models;
pub mod text;
pub mod timeline;
