//! Traces into other layouts, orders and formats.
#![forbid(unsafe_code)]

pub mod convert;
