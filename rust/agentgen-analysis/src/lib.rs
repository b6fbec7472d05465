//! Validation, statistics and reuse over traces.
#![forbid(unsafe_code)]

pub mod analyze;
mod bins;
pub mod distance;
pub mod explore;
pub mod fit;
mod histogram;
pub mod quality;
pub mod reuse;
pub mod sample;
pub mod schemas;
pub mod simulate;
pub mod validate;
