//! What can go wrong between a trace and its files.

use std::io;
use std::path::{Path, PathBuf};

use agentgen_core::ConfigError;
use thiserror::Error;

/// Any failure of this crate and of those above it.
#[derive(Debug, Error)]
pub enum TraceError {
    /// A configuration that cannot be generated.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was being read or written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that is not the trace it should be: file, line where known, found, expected.
    #[error("{0}")]
    Format(String),
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl TraceError {
    /// An I/O error at `path`.
    #[must_use]
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }
}

/// Shorthand of this crate.
pub type Result<T, E = TraceError> = std::result::Result<T, E>;
