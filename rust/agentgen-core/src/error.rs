//! What can be wrong with a configuration.

use thiserror::Error;

/// A rule of the configuration that a value breaks: where, and what was expected instead.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{path}: {rule}")]
pub struct ConfigError {
    /// The field, as a path from the root (`cache.layer2.max`).
    pub path: String,
    /// The value found, the rule, and what to do.
    pub rule: String,
}

impl ConfigError {
    /// An error at `path`.
    pub fn new(path: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { path: path.into(), rule: rule.into() }
    }

    /// The same error, with the path seen from one level up.
    #[must_use]
    pub fn under(self, parent: &str) -> Self {
        let path = if self.path.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.path) };
        Self { path, ..self }
    }
}
