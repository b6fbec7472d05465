//! Traces between formats and layouts.
//!
//! `convert` rewrites a trace in another file format, layout or row order. `import` reads what real agents and servers
//! recorded, in formats of others. `ARCHITECTURE.md` says where an import or export format goes.
#![forbid(unsafe_code)]

pub mod convert;
pub mod import;
pub mod rollouts;
