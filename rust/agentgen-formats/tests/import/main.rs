//! Import: the files of sources, their lines, each format, and what spans files.
#![allow(clippy::unwrap_used)] // a test may panic

mod claude;
mod discover;
mod head;
mod hostile;
mod lines;
mod merge;
mod samples;
mod support;
mod traces;
