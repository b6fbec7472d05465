//! Sessions as Arrow batches, and batches as files.
#![forbid(unsafe_code)]

pub mod batch;
mod buffers;
pub mod diagnostic;
mod encode;
pub mod error;
pub mod generate;
pub mod links;
pub mod manifest;
pub mod meta;
pub mod observer;
pub mod ordered;
pub mod row;
pub mod run;
pub mod run_directory;
pub mod schema;
pub mod session;
pub mod sink;
pub mod source;
pub mod totals;
pub mod transcript;
pub mod words;
mod written;

pub use error::{Result, TraceError};
pub use meta::{FORMAT_VERSION, Layout, Origin, Overrides, TraceMeta};
pub use ordered::{Cancel, Ordered};
