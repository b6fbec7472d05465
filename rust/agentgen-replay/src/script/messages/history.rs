//! Recorded results for live calls.

use std::collections::HashMap;

use agentgen_engine::text::counted;
use agentgen_trace::transcript::{Message, ToolCall, Transcript};

/// Ids of live calls by those of the recorded calls in the same places, for the client row at `next`; or why the row
/// cannot follow the answer.
///
/// A server refuses results of calls that the message before does not make, and calls without results. So the answer
/// must call as many tools as the trace has results for, and none where the user goes on.
pub(super) fn renamed(
    conversation: &Transcript,
    next: usize,
    live: &[ToolCall],
) -> Result<HashMap<String, String>, String> {
    let row = &conversation.rows[next];
    let recorded: &[ToolCall] = match (&row.message, next.checked_sub(1).map(|at| &conversation.rows[at].message)) {
        (Message::Tool { .. }, Some(Message::Assistant { tool_calls, .. })) => tool_calls,
        _ => &[],
    };
    if live.len() != recorded.len() {
        return Err(format!(
            "the answer before calls {}, the trace has {} (with history trace the recorded answers are sent)",
            counted(live.len() as u64, "tool"),
            counted(recorded.len() as u64, "result"),
        ));
    }
    if let Some(call) = live.iter().find(|call| call.id.is_empty()) {
        return Err(format!("the answer before calls {:?} without an id, which no result can name", call.name));
    }
    let twice = live.iter().enumerate().find(|(at, call)| live[..*at].iter().any(|other| other.id == call.id));
    if let Some((_, call)) = twice {
        return Err(format!("the answer before has two calls of the id {:?}, which no result can tell apart", call.id));
    }
    Ok(recorded.iter().zip(live).map(|(recorded, live)| (recorded.id.clone(), live.id.clone())).collect())
}
