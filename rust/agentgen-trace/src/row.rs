//! One request, as a line of a trace file states it.

/// How rows say which session they belong to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionKey {
    /// They do not.
    #[default]
    None,
    /// `session_id`.
    Session,
    /// `conversation_id`: whole prompts that must not be appended to each other.
    Conversation,
}

/// A row as stated, nothing derived; buffers are reused from row to row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Which key held the session's name.
    pub session_key: SessionKey,
    /// The session's name; empty for [`SessionKey::None`].
    pub session_id: String,
    /// Prompt tokens: the row's new ones (incremental) or all (cumulative).
    pub input_length: u32,
    /// Output tokens.
    pub output_length: u32,
    /// Ids of the prompt's blocks.
    pub hash_ids: Vec<i64>,
    /// ms.
    pub timestamp: Option<f64>,
    /// ms after the end of the previous turn.
    pub delay: Option<f64>,
    /// L1.5 group.
    pub group_id: Option<u32>,
    /// First row of a continuation.
    pub is_restart: Option<bool>,
    /// The session that a continuation continues.
    pub parent_session_id: Option<String>,
    /// Why the session ended, on its last row.
    pub end_reason: Option<String>,
}
