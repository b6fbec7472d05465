//! Conversion of traces between formats and layouts.
//!
//! `convert` rewrites a trace in another file format, layout or row order. An import format is a module of a new folder
//! `import`, which builds a [`Transcript`](agentgen_trace::transcript::Transcript) from a foreign file; an export format is
//! a module of a new folder `export`, which writes a transcript, or the sessions of a trace
//! ([`agentgen_trace::session`]), to a foreign file.
#![forbid(unsafe_code)]

pub mod convert;
