//! What a replay client does for each request and after it: bodies, answers, records, figures. No network, no clock.
#![forbid(unsafe_code)]

pub mod answer;
pub mod durations;
pub mod predict;
pub mod records;
pub mod script;
pub mod summary;
