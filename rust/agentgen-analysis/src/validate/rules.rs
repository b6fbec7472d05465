//! The rules' names, each stated once. `docs/validation.md` explains every one of them.
//!
//! Faults of a single line (`json`, `type`, `range`, `missing-field`, ...) are named by the reader of rows.

/// `len(hash_ids)` is not `ceil(input_length / block size)`.
pub(crate) const ID_COUNT: &str = "id-count";
/// An id twice in one row.
pub(crate) const DUPLICATE_ID: &str = "duplicate-id";
/// Not exactly the timing field that the row's place asks for.
pub(crate) const TIMING: &str = "timing";
/// Timestamps of a session run backwards.
pub(crate) const TIME_ORDER: &str = "time-order";
/// `end_reason` is none of the known words.
pub(crate) const END_REASON: &str = "end-reason";
/// `end_reason` on a row that is not its session's last, or missing on the last row of a generated session.
pub(crate) const END_PLACE: &str = "end-place";
/// `group_id` changes within a session.
pub(crate) const GROUP: &str = "group";
/// `is_restart` or `parent_session_id` where they do not belong.
pub(crate) const RESTART_FIELDS: &str = "restart-fields";
/// `turn_index` or `context_length` of a table disagree with the rows.
pub(crate) const DERIVED: &str = "derived-column";
/// A prompt reaches `max_prompt_tokens`.
pub(crate) const CONTEXT_LIMIT: &str = "context-limit";
/// A session whose rows are not together.
pub(crate) const SESSION_SPLIT: &str = "session-split";
/// Two sessions of one name.
pub(crate) const SESSION_DUPLICATE: &str = "session-duplicate";
/// No earlier session has the name of a continuation's parent.
pub(crate) const PARENT_MISSING: &str = "parent-missing";
/// The parent did not end with a split.
pub(crate) const PARENT_END: &str = "parent-end";
/// Parent and continuation are of different groups.
pub(crate) const PARENT_GROUP: &str = "parent-group";
/// A continuation does not begin where its parent stopped.
pub(crate) const PARENT_CONTEXT: &str = "parent-context";
/// A file is not as its manifest says.
pub(crate) const DIGEST: &str = "digest";
pub(crate) use agentgen_trace::transcript::flat::EMPTY;
/// The rows are evidently of the other layout.
pub(crate) const LAYOUT: &str = "layout";
/// An id with two sizes.
pub(crate) const ID_SIZE: &str = "id-size";
/// A partial block's id occurs again.
pub(crate) const PARTIAL_ID: &str = "partial-id-recurs";
/// An id seen before where content must be new.
pub(crate) const ID_REUSED: &str = "id-reused";
/// An id after two different ids.
pub(crate) const ID_PARENT: &str = "id-parent";
/// A prompt that does not begin with the full blocks of the one before.
pub(crate) const PROMPT_PREFIX: &str = "prompt-prefix";
/// An id outside the range that the configuration gives its kind.
pub(crate) const ID_SPACE: &str = "id-space";
/// Generated sessions that are not in the order in which they are written.
pub(crate) const SESSION_ORDER: &str = "session-order";
/// A generated session that was split, and no session that continues it.
pub(crate) const CONTINUATION_MISSING: &str = "continuation-missing";
/// A prompt that does not grow by the output before it and something new.
pub(crate) const CONTEXT_GROWTH: &str = "context-growth";
/// Checks that were left out because too much was wrong.
pub(crate) const UNRESOLVED: &str = "unresolved";

/// The field of a row that a rule is about, if it is a single one.
pub(crate) fn field(rule: &str) -> Option<&'static str> {
    Some(match rule {
        ID_COUNT | DUPLICATE_ID | ID_SIZE | PARTIAL_ID | ID_REUSED | ID_PARENT | ID_SPACE | PROMPT_PREFIX => "hash_ids",
        TIME_ORDER => "timestamp",
        END_REASON | END_PLACE => "end_reason",
        GROUP | PARENT_GROUP => "group_id",
        SESSION_SPLIT | SESSION_DUPLICATE | SESSION_ORDER => "session_id",
        PARENT_MISSING | PARENT_END => "parent_session_id",
        PARENT_CONTEXT | CONTEXT_LIMIT | CONTEXT_GROWTH => "input_length",
        _ => return None,
    })
}

/// All that concern the trace.
#[cfg(test)]
pub(crate) const ALL: [&str; 28] = [
    DIGEST,
    ID_COUNT,
    DUPLICATE_ID,
    TIMING,
    TIME_ORDER,
    END_REASON,
    END_PLACE,
    GROUP,
    RESTART_FIELDS,
    DERIVED,
    CONTEXT_LIMIT,
    SESSION_SPLIT,
    SESSION_DUPLICATE,
    PARENT_MISSING,
    PARENT_END,
    PARENT_GROUP,
    PARENT_CONTEXT,
    EMPTY,
    LAYOUT,
    ID_SIZE,
    PARTIAL_ID,
    ID_REUSED,
    ID_PARENT,
    PROMPT_PREFIX,
    ID_SPACE,
    SESSION_ORDER,
    CONTINUATION_MISSING,
    CONTEXT_GROWTH,
];
