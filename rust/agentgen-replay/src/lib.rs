//! The replay client without network and clock: request bodies, answers, records, figures.
#![forbid(unsafe_code)]

pub mod answer;
pub mod durations;
pub mod predict;
pub mod records;
pub mod request;
pub mod secrets;
pub mod summary;
