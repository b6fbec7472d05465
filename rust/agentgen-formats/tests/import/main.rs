//! Import: the files of sources, their lines, each format, and what spans files.
#![allow(clippy::unwrap_used)] // a test may panic

mod discover;
mod head;
mod lines;
mod merge;
mod support;
