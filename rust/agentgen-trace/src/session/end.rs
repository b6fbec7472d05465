//! Why a session ended.

use std::sync::Arc;

use agentgen_core::EndReason;

/// Why a session ended, as its trace states it. Generated traces use the words of [`EndReason`]; other traces may use
/// any word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// A reason that generated sessions have.
    Known(EndReason),
    /// Any other word, kept as it is.
    Other(Arc<str>),
}

impl SessionEnd {
    /// The reason that `word` states.
    #[must_use]
    pub fn new(word: &str) -> Self {
        EndReason::named(word).map_or_else(|| Self::Other(word.into()), Self::Known)
    }

    /// The word in the trace.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Known(reason) => reason.name(),
            Self::Other(word) => word,
        }
    }

    /// Whether another session may continue a session that ended so. An unknown word does not rule it out.
    #[must_use]
    pub fn may_be_continued(&self) -> bool {
        matches!(self, Self::Known(EndReason::RestartSplit) | Self::Other(_))
    }
}
