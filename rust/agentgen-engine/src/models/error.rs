//! Errors in the description of a model.

use thiserror::Error;

/// A field from which the bytes of the KV cache cannot be determined.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {rule}")]
pub struct ModelError {
    /// The field, as a path from the root (`text_config.num_hidden_layers`).
    pub field: String,
    /// The value found, what was expected, and why.
    pub rule: String,
}

impl ModelError {
    /// An error in `field`.
    pub(super) fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}
