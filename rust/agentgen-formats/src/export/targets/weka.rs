//! Weka traces: a conversation as the calls of its main agent, with those of sub-agents in entries between them.

use crate::export::about::Trigger;
use crate::export::bundle::{Bundle, Member};
use crate::export::record::Records;
use crate::export::text::Source;

/// The model of all calls: readers take the one that they are told.
const MODEL: &str = "model";

/// Which reader the entries of sub-agents are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agents {
    /// The published traces: an entry has the time at which the agent ended, times of its calls count from its start, and
    /// it may hold entries itself.
    Nested,
    /// `AIPerf`: an entry has the time at which the agent began, all times are those of the conversation, and all entries are
    /// in the list of the main agent.
    Flat,
}

/// A bundle as a published trace.
pub(crate) fn nested(source: &Source, bundle: &Bundle, out: &mut Records) {
    write(source, bundle, Agents::Nested, out);
}

/// A bundle as a trace of `AIPerf`.
pub(crate) fn flat(source: &Source, bundle: &Bundle, out: &mut Records) {
    write(source, bundle, Agents::Flat, out);
}

fn write(source: &Source, bundle: &Bundle, agents: Agents, out: &mut Records) {
    let Some(head) = bundle.members.first() else { return };
    out.raw("{\"id\":").string(&head.name).raw(",\"models\":[").string(MODEL).raw("],\"block_size\":");
    out.number(source.block_tokens).raw(",\"hash_id_scope\":");
    // AIPerf refuses ids that mean the same in all files.
    out.string(if agents == Agents::Flat { "local" } else { "global" });
    out.raw(",\"tool_tokens\":0,\"system_tokens\":0,\"requests\":[");
    let mut writer = Writer { source, bundle, agents, is_first: true };
    writer.line(0, head.times[0], out);
    out.raw("]}\n").end(head.times[0]);
}

struct Writer<'a> {
    source: &'a Source,
    bundle: &'a Bundle,
    agents: Agents,
    /// Whether the list is empty so far.
    is_first: bool,
}

impl Writer<'_> {
    /// The calls of a session and of the breaks after it. Times count from `origin_ms`.
    fn line(&mut self, first: usize, origin_ms: f64, out: &mut Records) {
        for at in self.bundle.line(first) {
            for turn in 0..self.bundle.members[at].turns() {
                self.call(at, turn, origin_ms, out);
                self.agents_after(at, turn, origin_ms, out);
            }
        }
    }

    fn agents_after(&mut self, at: usize, turn: usize, origin_ms: f64, out: &mut Records) {
        let started = self.bundle.agents_of(at).filter(|(_, parent_turn, _)| *parent_turn as usize == turn);
        for (agent, _, join) in started.collect::<Vec<_>>() {
            self.agent(agent, join.is_some(), origin_ms, out);
            if self.agents == Agents::Flat {
                for session in self.bundle.line(agent).collect::<Vec<_>>() {
                    (0..self.bundle.members[session].turns())
                        .for_each(|turn| self.agents_after(session, turn, origin_ms, out));
                }
            }
        }
    }

    fn separate(&mut self, out: &mut Records) {
        if !std::mem::replace(&mut self.is_first, false) {
            out.raw(",");
        }
    }

    fn call(&mut self, at: usize, turn: usize, origin_ms: f64, out: &mut Records) {
        self.separate(out);
        let member = &self.bundle.members[at];
        let of = member.session.turns[turn];
        out.raw("{\"t\":")
            .seconds(since(member.times[turn], origin_ms))
            .raw(",\"type\":\"n\",\"model\":")
            .string(MODEL);
        out.raw(",\"in\":").number(of.context_tokens).raw(",\"out\":").number(of.output_tokens);
        let full = (of.context_tokens / self.source.block_tokens) as usize;
        // Only full blocks have an id.
        out.raw(",\"hash_ids\":").ids(|ids| {
            member.blocks.ids(turn, ids);
            ids.truncate(full);
        });
        if let Some(trigger) = member.trigger(turn) {
            out.raw(",\"input_types\":[")
                .string(if trigger == Trigger::Tool { "tool_result" } else { "text" })
                .raw("]");
        }
        let next = if turn + 1 < member.turns() { member.trigger(turn + 1) } else { None };
        let (kind, stop) = if next == Some(Trigger::Tool) { ("tool_use", "tool_use") } else { ("text", "end_turn") };
        out.raw(",\"output_types\":[").string(kind).raw("],\"stop\":").string(stop);
        // Responses take no time, so that the times between calls are their delays.
        out.raw(",\"api_time\":0.0,\"think_time\":").seconds(member.delay_ms(turn)).raw("}");
    }

    fn agent(&mut self, first: usize, is_joined: bool, origin_ms: f64, out: &mut Records) {
        let bundle = self.bundle;
        let sessions: Vec<&Member> = bundle.line(first).map(|at| &bundle.members[at]).collect();
        let begin_ms = since(sessions[0].times[0], origin_ms);
        let last_ms = sessions.iter().filter_map(|session| session.times.last()).copied().fold(begin_ms, f64::max);
        let duration_ms = since(last_ms, origin_ms + begin_ms).ceil();
        let mark_ms = if self.agents == Agents::Nested && is_joined { begin_ms + duration_ms } else { begin_ms };
        let of = |tokens: fn(&agentgen_trace::session::Turn) -> u32| -> u64 {
            sessions.iter().flat_map(|session| &session.session.turns).map(|turn| u64::from(tokens(turn))).sum()
        };
        self.separate(out);
        out.raw("{\"t\":").seconds(mark_ms).raw(",\"type\":\"subagent\",\"agent_id\":").string(&sessions[0].name);
        out.raw(",\"subagent_type\":").string(sessions[0].about.agent.as_deref().unwrap_or("agent"));
        if is_joined {
            out.raw(",\"duration_ms\":").number(duration_ms as u64).raw(",\"total_tokens\":");
            out.number(of(|turn| turn.context_tokens) + of(|turn| turn.output_tokens));
            out.raw(",\"tool_use_count\":0,\"status\":\"completed\"");
        } else {
            out.raw(
                ",\"duration_ms\":null,\"total_tokens\":null,\"tool_use_count\":null,\"status\":\"async_launched\"",
            );
        }
        out.raw(",\"requests\":[");
        self.is_first = true;
        if self.agents == Agents::Nested {
            self.line(first, origin_ms + begin_ms, out);
        } else {
            for at in bundle.line(first) {
                (0..bundle.members[at].turns()).for_each(|turn| self.call(at, turn, origin_ms, out));
            }
        }
        self.is_first = false;
        out.raw("],\"models\":[").string(MODEL).raw("],\"tool_tokens\":0,\"system_tokens\":0}");
    }
}

/// A difference of times, in tenths of a millisecond where both are.
fn since(time_ms: f64, origin_ms: f64) -> f64 {
    use crate::convert::tenths;
    (tenths(time_ms) - tenths(origin_ms)).max(0.0) / 10.0
}

#[cfg(test)]
mod tests {
    use super::since;

    #[test]
    fn differences_of_tenths_are_exact() {
        assert_eq!([since(0.3, 0.1), since(1.0, 2.0)].map(f64::to_bits), [0.2, 0.0].map(f64::to_bits));
    }
}
