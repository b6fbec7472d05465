//! Sessions as Arrow batches, and batches as files.
#![forbid(unsafe_code)]

pub mod batch;
pub mod convert;
mod encode;
pub mod error;
pub mod generate;
pub mod manifest;
pub mod meta;
pub mod ordered;
pub mod row;
pub mod run;
pub mod schema;
pub mod sink;
pub mod source;

pub use error::{Result, TraceError};
pub use meta::{FORMAT_VERSION, Layout, Origin, Overrides, TraceMeta};
pub use ordered::{Cancel, Ordered};
