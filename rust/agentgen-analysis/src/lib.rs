//! Validation, statistics and reuse over traces.
#![forbid(unsafe_code)]

pub mod analyze;
pub mod conversations;
mod histogram;
pub mod messages;
pub mod quality;
pub mod reuse;
pub mod validate;
