//! Export: block ids, what readers of the formats find, and what comes back through an import.
#![allow(clippy::unwrap_used)] // a test may panic

mod blocks;
mod oracle;
mod round_trips;
mod support;
mod targets;
