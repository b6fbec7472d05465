//! The serving side of a trace, without I/O, threads or a clock, and without knowledge of where the trace comes from.
//!
//! * [`kv`]: which KV blocks prompts share, and a prefix cache of limited size.
//! * [`timeline`]: when sessions start and requests are sent.
//! * [`serving`]: the engine that `simulate` and `serve` drive: queue, prefill, admission, eviction, routing.
//! * [`models`]: the KV bytes of a model.
//!
//! `ARCHITECTURE.md` says where a new policy, tier, routing rule or figure goes.
#![forbid(unsafe_code)]

pub mod kv;
pub mod models;
pub mod serving;
pub mod text;
pub mod timeline;
