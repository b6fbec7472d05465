//! Why a session ended.

use std::sync::Arc;

use agentgen_core::EndReason;

/// Why a session ended, as stated by the trace. Generated traces use the names of [`EndReason`]; other traces may use any
/// word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEnd {
    /// A reason of generated sessions.
    Known(EndReason),
    /// Any other word, unchanged.
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

    /// Whether another session may continue a session with this end. Unknown words do not exclude it.
    #[must_use]
    pub fn may_be_continued(&self) -> bool {
        matches!(self, Self::Known(EndReason::RestartSplit | EndReason::Break) | Self::Other(_))
    }
}
