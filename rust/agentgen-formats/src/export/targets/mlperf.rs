//! Multi-turn messages of `MLPerf`: a message a row, or a snapshot of the history a request.

use crate::export::about::Trigger;
use crate::export::bundle::{Bundle, Member};
use crate::export::record::Records;
use crate::export::text::Source;

/// The tool that all requests of tools are results of.
const TOOL: &str = "tool";

/// A message a row.
pub(crate) fn rows(source: &Source, bundle: &Bundle, out: &mut Records) {
    for member in &bundle.members {
        for (run, turns) in member.runs().into_iter().enumerate() {
            let name = member.run_name(run);
            let mut row = 0;
            for turn in turns.clone() {
                let is_first = turn == turns.start;
                row += 1;
                begin_row(&name, row, out);
                if is_tool(member, turn, is_first) {
                    out.raw("\"tool\",\"tool_results\":[{\"tool_call_id\":")
                        .string(&call_id(turn))
                        .raw(",\"content\":");
                    source.input(bundle, member, turn, out);
                    out.raw("}]");
                } else {
                    out.raw("\"user\",\"content\":");
                    source.input(bundle, member, turn, out);
                }
                let delay = member.delay_ms(turn);
                if delay > 0.0 {
                    out.raw(",\"delay_seconds\":").seconds(delay);
                }
                let output = member.session.turns[turn].output_tokens.max(1);
                out.raw(",\"max_completion_tokens\":").number(output).raw("}\n").end(member.times[turn]);
                row += 1;
                begin_row(&name, row, out);
                out.raw("\"assistant\",");
                answer(source, bundle, member, turn, turns.end, out);
                out.raw("}\n").end(member.times[turn]);
            }
        }
    }
}

fn begin_row(name: &str, row: u64, out: &mut Records) {
    out.raw("{\"conversation_id\":").string(name).raw(",\"turn\":").number(row).raw(",\"role\":");
}

/// A snapshot of the whole history with each request.
pub(crate) fn snapshots(source: &Source, bundle: &Bundle, out: &mut Records) {
    for member in &bundle.members {
        for (run, turns) in member.runs().into_iter().enumerate() {
            let name = member.run_name(run);
            let mut history = Records::default();
            for turn in turns.clone() {
                let is_first = turn == turns.start;
                history.raw(if is_first { "" } else { "," });
                if is_tool(member, turn, is_first) {
                    history.raw("{\"role\":\"tool\",\"tool_call_id\":").string(&call_id(turn)).raw(",\"content\":");
                } else {
                    history.raw("{\"role\":\"user\",\"content\":");
                }
                source.input(bundle, member, turn, &mut history);
                history.raw("},{\"role\":\"assistant\",");
                answer(source, bundle, member, turn, turns.end, &mut history);
                history.raw("}");
                out.raw("{\"conversation_id\":")
                    .string(&name)
                    .raw(",\"conversation_idx\":")
                    .number(turn - turns.start + 1);
                out.raw(",\"messages\":[");
                out.bytes.extend_from_slice(&history.bytes);
                out.raw("]}\n").end(member.times[turn]);
            }
        }
    }
}

/// Whether a turn sends the results of tools. The first one of a conversation has no call before it.
fn is_tool(member: &Member, turn: usize, is_first: bool) -> bool {
    !is_first && member.trigger(turn) == Some(Trigger::Tool)
}

fn call_id(turn: usize) -> String {
    format!("call-{turn}")
}

/// The content of an answer; with the call of a tool if the next turn of its conversation has the results.
fn answer(source: &Source, bundle: &Bundle, member: &Member, turn: usize, end: usize, out: &mut Records) {
    out.raw("\"content\":");
    source.output(bundle, member, turn, out);
    if turn + 1 < end && is_tool(member, turn + 1, false) {
        out.raw(",\"tool_calls\":[{\"id\":").string(&call_id(turn + 1)).raw(",\"type\":\"function\",\"function\":{");
        out.raw("\"name\":").string(TOOL).raw(",\"arguments\":\"{}\"}}]");
    }
}
