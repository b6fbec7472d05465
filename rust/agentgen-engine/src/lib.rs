//! The serving side of a trace, without I/O, threads or a clock, and without knowledge of where the trace comes from.
//!
//! * [`kv`]: which KV blocks prompts share, and a prefix cache of limited size.
//! * [`timeline`]: when sessions start and requests are sent.
//! * [`serving`]: the engine that `simulate` and `serve` drive: queue, prefill, admission, eviction, routing.
//! * [`models`]: the KV bytes of a model.
//!
//! Where an extension goes:
//!
//! | extension | place |
//! |---|---|
//! | eviction policy | a variant of [`kv::Policy`] and its rank in `kv/policy.rs` |
//! | tier below the GPU cache | a variant of [`kv::Destination`] in `kv/tiers.rs`, chosen where `kv/cache.rs` drops blocks |
//! | routing rule | a variant of [`serving::Routing`] and its arm in `serving/routing.rs` |
//! | figure of a simulation | a [`serving::Observer`] in the driver; the engine does not change |
#![forbid(unsafe_code)]

pub mod kv;
pub mod models;
pub mod serving;
pub mod text;
pub mod timeline;
