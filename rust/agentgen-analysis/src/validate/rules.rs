//! The names of the rules. `docs/validation.md` explains each of them.
//!
//! Faults of a single line (`json`, `type`, `range`, `missing-field`, ...) are named by the reader of rows.

/// `len(hash_ids)` is not `ceil(input_length / block size)`.
pub(crate) const ID_COUNT: &str = "id-count";
/// An id twice in one row.
pub(crate) const DUPLICATE_ID: &str = "duplicate-id";
/// A row does not have exactly the timing field that its position requires.
pub(crate) const TIMING: &str = "timing";
/// A value is outside its range; also a rule of single lines.
pub(crate) const RANGE: &str = "range";
/// Timestamps of a session decrease.
pub(crate) const TIME_ORDER: &str = "time-order";
/// `end_reason` is not a known word.
pub(crate) const END_REASON: &str = "end-reason";
/// `end_reason` on a row that is not its session's last, or missing on the last row of a generated session.
pub(crate) const END_PLACE: &str = "end-place";
/// `group_id` changes within a session.
pub(crate) const GROUP: &str = "group";
/// `is_restart` or `parent_session_id` on a wrong row.
pub(crate) const RESTART_FIELDS: &str = "restart-fields";
/// `turn_index` or `context_length` of a table contradict the rows.
pub(crate) const DERIVED: &str = "derived-column";
/// A prompt reaches `max_prompt_tokens`.
pub(crate) const CONTEXT_LIMIT: &str = "context-limit";
/// The rows of a session do not follow one another.
pub(crate) const SESSION_SPLIT: &str = "session-split";
/// Two sessions have the same name.
pub(crate) const SESSION_DUPLICATE: &str = "session-duplicate";
/// No earlier session has the name of a continuation's parent.
pub(crate) const PARENT_MISSING: &str = "parent-missing";
/// The parent did not end with `restart_split`.
pub(crate) const PARENT_END: &str = "parent-end";
/// Parent and continuation are of different groups.
pub(crate) const PARENT_GROUP: &str = "parent-group";
/// A continuation does not begin where its parent ended.
pub(crate) const PARENT_CONTEXT: &str = "parent-context";
/// Fields of a link that do not fit together.
pub(crate) const LINK_FIELDS: &str = "link-fields";
/// A link names a turn that the parent does not have.
pub(crate) const LINK_TURN: &str = "link-turn";
/// A break does not begin with the tokens of its parent that it keeps.
pub(crate) const KEPT_PREFIX: &str = "kept-prefix";
#[cfg(test)]
pub(crate) use agentgen_trace::source::DIGEST;
pub(crate) use agentgen_trace::transcript::flat::EMPTY;
/// The rows have the other layout.
pub(crate) const LAYOUT: &str = "layout";
/// An id has two sizes.
pub(crate) const ID_SIZE: &str = "id-size";
/// A partial block's id occurs again.
pub(crate) const PARTIAL_ID: &str = "partial-id-recurs";
/// An id repeats an earlier one where content must be new.
pub(crate) const ID_REUSED: &str = "id-reused";
/// An id follows two different ids.
pub(crate) const ID_PARENT: &str = "id-parent";
/// A prompt does not begin with the full blocks of the prompt before it.
pub(crate) const PROMPT_PREFIX: &str = "prompt-prefix";
/// An id is outside the range that the configuration assigns to it.
pub(crate) const ID_SPACE: &str = "id-space";
/// A row is not the one that configuration and seed give.
pub(crate) const GENERATED_ROW: &str = "generated-row";
/// Generated sessions are not in the order in which they are written.
pub(crate) const SESSION_ORDER: &str = "session-order";
/// No session continues a generated session that was split.
pub(crate) const CONTINUATION_PRESENT: &str = "continuation-present";
/// A prompt is not longer than the context and output before it.
pub(crate) const CONTEXT_GROWTH: &str = "context-growth";
/// Checks were omitted because too many ids may be wrong.
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
        KEPT_PREFIX => "kept_length",
        PARENT_CONTEXT | CONTEXT_LIMIT | CONTEXT_GROWTH => "input_length",
        _ => return None,
    })
}

/// All that concern the trace.
#[cfg(test)]
pub(crate) const ALL: [&str; 32] = [
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
    CONTINUATION_PRESENT,
    CONTEXT_GROWTH,
    GENERATED_ROW,
    LINK_FIELDS,
    LINK_TURN,
    KEPT_PREFIX,
];
