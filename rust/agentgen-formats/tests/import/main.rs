//! Import: the files of sources, their lines, each format, and what spans files.
#![allow(clippy::unwrap_used)] // a test may panic

mod atif;
mod claude;
mod codex;
mod discover;
mod head;
mod hermes;
mod hostile;
mod lines;
mod merge;
mod pi;
mod rows;
mod samples;
mod support;
mod swe;
mod traces;
