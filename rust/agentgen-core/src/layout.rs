//! The two meanings of a row.

use serde::{Deserialize, Serialize};

/// What a row's `hash_ids` cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// The row's new tokens.
    Incremental,
    /// The whole prompt.
    Cumulative,
}

impl Layout {
    /// The word used on the command line and in files.
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
