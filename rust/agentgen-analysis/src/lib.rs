//! Validation and statistics over traces.
#![forbid(unsafe_code)]

pub mod quality;
pub mod validate;
