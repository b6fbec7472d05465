//! Batches into files.

pub mod batches;
pub mod compression;
pub mod file;
pub mod jsonl;
pub mod parquet;
pub mod table;
pub(crate) mod temporary;

/// Level of compressed JSONL: about the speed at which it is made.
pub(crate) const ZSTD_LEVEL: i32 = 1;
