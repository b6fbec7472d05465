//! Names of the rules over the rows of a conversation. Rules over one line are named where the line is parsed.

/// A file must have rows.
pub const EMPTY: &str = "empty";
/// The rows of a conversation must follow one another.
pub(super) const CONVERSATION_SPLIT: &str = "conversation-split";
/// Turns must be 1, 2, 3 and so on.
pub(super) const TURN_NUMBER: &str = "turn-number";
/// Roles must alternate in a valid order.
pub(super) const ROLE_ORDER: &str = "role-order";
/// Results must match the calls before them, and call ids must be unique.
pub(super) const TOOL_CALL_ID: &str = "tool-call-id";
/// A conversation must have one system prompt.
pub(super) const SYSTEM: &str = "system";
