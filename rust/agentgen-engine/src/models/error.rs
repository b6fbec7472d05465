//! What can be wrong with a model's description.

use thiserror::Error;

/// A field that does not determine the bytes of the KV cache: where, and what was expected instead.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {rule}")]
pub struct ModelError {
    /// The field, as a path from the root (`text_config.num_hidden_layers`).
    pub field: String,
    /// The value found, what was expected, and why.
    pub rule: String,
}

impl ModelError {
    /// An error at `field`.
    pub(super) fn new(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { field: field.into(), rule: rule.into() }
    }
}
