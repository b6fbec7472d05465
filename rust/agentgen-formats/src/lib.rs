//! Conversion of traces between formats and layouts.
//!
//! `convert` rewrites a trace in another file format, layout or row order. `ARCHITECTURE.md` says where an import or
//! export format goes.
#![forbid(unsafe_code)]

pub mod convert;
