//! The two row layouts.

use serde::{Deserialize, Serialize};

/// Which tokens the `hash_ids` of a row cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The new tokens of the row's prompt.
    Incremental,
    /// The whole prompt.
    Cumulative,
}

impl Layout {
    /// The name in options and files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Incremental => "incremental",
            Self::Cumulative => "cumulative",
        }
    }

    /// The layout with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Incremental, Self::Cumulative].into_iter().find(|l| l.name() == name)
    }
}
