//! The error of a configuration.

use thiserror::Error;

/// A configuration rule that a value breaks: the field, the value found and the values expected.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{path}: {rule}")]
pub struct ConfigError {
    /// Path of the field from the root (`cache.layer2.max`).
    pub path: String,
    /// The value found, the values expected and what to change.
    pub rule: String,
}

impl ConfigError {
    /// An error in the field at `path`.
    pub fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }

    /// The same error with `parent` prepended to its path.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        let path = if self.path.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.path) };
        Self { path, ..self }
    }
}
