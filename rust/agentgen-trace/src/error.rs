//! Errors of reading and writing traces.

use std::io;
use std::path::{Path, PathBuf};

use agentgen_core::ConfigError;
use thiserror::Error;

use crate::diagnostic::{Diagnostic, File};

/// Any failure of this crate and of the crates that depend on it.
#[derive(Debug, Error)]
pub enum TraceError {
    /// A configuration that cannot be generated.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An I/O error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file that was read or written.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that is not a valid trace.
    #[error("{0}")]
    Diagnostic(Box<Diagnostic>),
    /// A parameter contradicts the trace, or one that the trace needs is missing; `field` is the parameter's name.
    #[error("{0}")]
    Usage(Box<Diagnostic>),
    /// The caller requested a stop.
    #[error("interrupted")]
    Interrupted,
    /// A bug of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

impl TraceError {
    /// An I/O error at `path`.
    #[must_use]
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// A usage error of `parameter`.
    #[must_use]
    pub fn usage(parameter: &'static str, diagnostic: Diagnostic) -> Self {
        Self::Usage(Box::new(diagnostic.with_field(parameter)))
    }

    /// An error that only a bug of this program can cause.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal(error.to_string())
    }

    /// Names the file in a diagnostic that names none.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        if let Self::Diagnostic(diagnostic) | Self::Usage(diagnostic) = &mut self
            && diagnostic.file == File::Unknown
        {
            diagnostic.file = File::Name(path.display().to_string());
        }
        self
    }
}

impl From<Diagnostic> for TraceError {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Diagnostic(Box::new(diagnostic))
    }
}

/// The result type of this crate.
pub type Result<T, E = TraceError> = std::result::Result<T, E>;
