//! Names of the rules that rows keep together. Those of one line are named where it is read.

/// No rows.
pub const EMPTY: &str = "empty";
/// A conversation whose rows are not together.
pub(super) const CONVERSATION_SPLIT: &str = "conversation-split";
/// Turns that are not 1, 2, 3 and so on.
pub(super) const TURN_NUMBER: &str = "turn-number";
/// A role that cannot follow the one before.
pub(super) const ROLE_ORDER: &str = "role-order";
/// Results that are not those of the calls before, or an id that two calls have.
pub(super) const TOOL_CALL_ID: &str = "tool-call-id";
/// A system prompt that another one hides.
pub(super) const SYSTEM: &str = "system";
