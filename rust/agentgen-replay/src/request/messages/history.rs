//! Live answers in place of recorded ones.

use agentgen_engine::text::counted;
use agentgen_trace::transcript::{Message, Part, Role, ToolCall, Transcript};

/// Replaces the recorded answer to `request` by a live one, and the recorded ids in the results that follow by the live
/// ids of the calls in the same places; or says why the next request cannot follow the live answer.
///
/// A server refuses results of calls that the message before does not make, and calls without results. So the answer
/// must call as many tools as the transcript has results for, and none before the user's next message.
pub(super) fn take_answer(
    transcript: &mut Transcript,
    request: usize,
    text: &str,
    reasoning: &str,
    live: &[ToolCall],
) -> Result<(), String> {
    let Some(next) = transcript.next_after(request) else { return Ok(()) };
    let has_results = transcript.requests[next].messages.iter().any(|message| message.tool_results().next().is_some());
    let recorded = transcript.requests[request].answer.as_ref().filter(|_| has_results);
    let recorded: Vec<String> =
        recorded.into_iter().flat_map(Message::tool_calls).map(|call| call.id.clone()).collect();
    check(recorded.len(), live)?;
    let results = transcript.requests[next].messages.iter_mut().flat_map(|message| &mut message.parts);
    for part in results {
        if let Part::ToolResult(result) = part
            && let Some(at) = recorded.iter().position(|id| *id == result.tool_call_id)
        {
            result.tool_call_id.clone_from(&live[at].id);
        }
    }
    transcript.requests[request].answer = Some(answer(text, reasoning, live));
    Ok(())
}

/// Whether as many results as recorded can follow the live calls.
fn check(results: usize, live: &[ToolCall]) -> Result<(), String> {
    if live.len() != results {
        return Err(format!(
            "the answer before calls {}, the trace has {} (with history recorded the recorded answers are sent)",
            counted(live.len() as u64, "tool"),
            counted(results as u64, "result"),
        ));
    }
    if let Some(call) = live.iter().find(|call| call.id.is_empty()) {
        return Err(format!("the answer before calls {:?} without an id, which no result can name", call.name));
    }
    let twice = live.iter().enumerate().find(|(at, call)| live[..*at].iter().any(|other| other.id == call.id));
    if let Some((_, call)) = twice {
        return Err(format!("the answer before has two calls of the id {:?}, which no result can tell apart", call.id));
    }
    Ok(())
}

/// What a server answered, as a message.
fn answer(text: &str, reasoning: &str, tool_calls: &[ToolCall]) -> Message {
    let mut parts = Vec::new();
    if !reasoning.is_empty() {
        parts.push(Part::Reasoning(reasoning.to_owned()));
    }
    // A message needs a text or calls, even if the text is empty.
    if !text.is_empty() || tool_calls.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
    parts.extend(tool_calls.iter().cloned().map(Part::ToolCall));
    Message { role: Role::Assistant, name: None, parts }
}
