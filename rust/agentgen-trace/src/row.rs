//! A request as a line of a trace file.

/// Times of a row are at most this, ms (139 years), and so is a session from its arrival to its last delay: sums of two fit
/// a clock of nanoseconds in 64 bits.
pub const MAX_TIME_MS: f64 = (1_u64 << 42) as f64;
/// What a time must be, in words.
pub const TIME: &str = "a number of milliseconds from 0 to 2^42";
/// Names of sessions and end reasons have at most this many bytes.
pub const MAX_NAME_BYTES: usize = 64 << 10;

/// Whether a row can have this time.
#[must_use]
pub fn is_time(ms: f64) -> bool {
    (0.0..=MAX_TIME_MS).contains(&ms)
}

/// The key by which a row names its session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionKey {
    /// None.
    #[default]
    None,
    /// `session_id`.
    Session,
    /// `conversation_id`: rows hold whole prompts.
    Conversation,
}

/// The fields of a row, as written. Buffers are reused from row to row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// The key that holds the session's name.
    pub session_key: SessionKey,
    /// The session's name; empty for [`SessionKey::None`].
    pub session_id: String,
    /// Prompt tokens: new ones (incremental layout) or all (cumulative layout).
    pub input_length: u32,
    /// Output tokens.
    pub output_length: u32,
    /// Hash ids of the prompt's blocks.
    pub hash_ids: Vec<i64>,
    /// Time of the request, ms.
    pub timestamp: Option<f64>,
    /// Delay after the end of the turn before, ms.
    pub delay: Option<f64>,
    /// L1.5 group.
    pub group_id: Option<u32>,
    /// Whether this is the first row of a continuation.
    pub is_restart: Option<bool>,
    /// Name of the continued session.
    pub parent_session_id: Option<String>,
    /// Why the session ended, on its last row.
    pub end_reason: Option<String>,
    /// How the session is linked to others, and what its requests are.
    pub links: Option<Box<RowLinks>>,
}

/// The fields that only traces with links have. All but `returned_length` and `trigger` are on a session's first row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowLinks {
    /// How the session begins.
    pub link: Option<String>,
    /// Turn of the parent after whose response it begins.
    pub parent_turn: Option<u32>,
    /// Turn of the parent that waits for its end.
    pub join_turn: Option<u32>,
    /// Tokens of the parent that its first prompt keeps.
    pub kept_length: Option<u32>,
    /// Tokens of the previous output that the prompt holds, if not all.
    pub returned_length: Option<u32>,
    /// Delay before its first request, ms.
    pub start_delay: Option<f64>,
    /// The agent.
    pub agent: Option<String>,
    /// What caused the request.
    pub trigger: Option<String>,
    /// The first session of the tree.
    pub root_session_id: Option<String>,
    /// Kind of a break.
    pub break_kind: Option<String>,
}

impl RowLinks {
    /// Whether the session begins in the bundle of its parent: as a break or a sub-agent.
    #[must_use]
    pub fn is_member(&self) -> bool {
        matches!(self.link.as_deref(), Some("break" | "subagent"))
    }
}
