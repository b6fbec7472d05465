//! The keys of a JSONL row and the limits of their values.

/// Maximum of a length, tokens.
pub(super) const MAX_LENGTH: u64 = agentgen_core::config::MAX_TOKENS as u64;
/// Maximum hash id: every JSON reader keeps it exact.
pub(super) use agentgen_core::ids::MAX_ID;
/// U+FEFF in UTF-8.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Keys of a row, in the order in which they are usually written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Conversation,
    Session,
    InputLength,
    OutputLength,
    HashIds,
    Delay,
    Timestamp,
    GroupId,
    IsRestart,
    ParentSession,
    EndReason,
    Link,
    ParentTurn,
    JoinTurn,
    KeptLength,
    ReturnedLength,
    StartDelay,
    Agent,
    Trigger,
    RootSession,
    BreakKind,
}

/// The keys in the order of [`Key`], each with its name.
pub(super) const KEYS: [(Key, &[u8]); 21] = [
    (Key::Conversation, b"conversation_id"),
    (Key::Session, b"session_id"),
    (Key::InputLength, b"input_length"),
    (Key::OutputLength, b"output_length"),
    (Key::HashIds, b"hash_ids"),
    (Key::Delay, b"delay"),
    (Key::Timestamp, b"timestamp"),
    (Key::GroupId, b"group_id"),
    (Key::IsRestart, b"is_restart"),
    (Key::ParentSession, b"parent_session_id"),
    (Key::EndReason, b"end_reason"),
    (Key::Link, b"link"),
    (Key::ParentTurn, b"parent_turn"),
    (Key::JoinTurn, b"join_turn"),
    (Key::KeptLength, b"kept_length"),
    (Key::ReturnedLength, b"returned_length"),
    (Key::StartDelay, b"start_delay"),
    (Key::Agent, b"agent"),
    (Key::Trigger, b"trigger"),
    (Key::RootSession, b"root_session_id"),
    (Key::BreakKind, b"break_kind"),
];

impl Key {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        KEYS.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
    }

    /// The key's bit in a set of keys.
    pub(super) fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether only traces with links have the key.
    pub(super) fn is_of_links(self) -> bool {
        self as usize >= Self::Link as usize
    }
}

/// Keys that every row must have.
pub(super) const REQUIRED: [(Key, &str); 3] =
    [(Key::InputLength, "input_length"), (Key::OutputLength, "output_length"), (Key::HashIds, "hash_ids")];
