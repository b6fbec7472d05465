//! Options of an import.

use std::path::PathBuf;

use super::names::NameOptions;

/// Options of an import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Files, folders and patterns; none for the default directories of all tools.
    pub sources: Vec<PathBuf>,
    /// Name of the format of all files; by default each file's own.
    pub format: Option<String>,
    /// The run directory; created if missing.
    pub directory: PathBuf,
    /// Tokens of a block, for sources without block ids.
    pub block_size: Option<u32>,
    /// Which names are written as they are.
    pub names: NameOptions,
    /// Write nothing if a part of a source cannot be used.
    pub strict: bool,
    /// Worker threads.
    pub threads: usize,
    /// Time of creation for the manifest (UTC, RFC 3339).
    pub created: String,
}
