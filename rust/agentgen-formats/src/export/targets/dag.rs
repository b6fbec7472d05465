//! `AIPerf`'s `dag_jsonl`: a conversation a line, with the conversations that its turns start.

use crate::export::bundle::Bundle;
use crate::export::record::Records;
use crate::export::text::Source;

pub(crate) fn write(source: &Source, bundle: &Bundle, out: &mut Records) {
    for (at, member) in bundle.members.iter().enumerate() {
        let runs = member.runs();
        for (run, turns) in runs.iter().enumerate() {
            out.raw("{\"session_id\":").string(&member.run_name(run)).raw(",\"turns\":[");
            for turn in turns.clone() {
                let of = member.session.turns[turn];
                out.raw(if turn == turns.start { "{" } else { ",{" });
                out.raw("\"messages\":[{\"role\":\"user\",\"content\":");
                if turn == turns.start {
                    source.prompt(bundle, member, turn, out);
                } else {
                    source.input(bundle, member, turn, out);
                }
                out.raw("}],\"max_tokens\":")
                    .number(of.output_tokens.max(1))
                    .raw(",\"delay\":")
                    .ms(member.delay_ms(turn));
                let is_last = turn + 1 == turns.end;
                // What follows in a conversation of its own.
                let next = match (is_last, run + 1 < runs.len()) {
                    (true, true) => Some(member.run_name(run + 1)),
                    (true, false) => bundle.break_of(at).map(|next| bundle.members[next].name.clone()),
                    (false, _) => None,
                };
                spawns(bundle, at, turn, turns.start..turns.end, next, out);
                out.raw("}");
            }
            out.raw("]}\n").end(member.times[turns.start]);
        }
    }
}

/// The conversations that a turn starts. `turns` are those of its own conversation.
fn spawns(
    bundle: &Bundle,
    at: usize,
    turn: usize,
    turns: std::ops::Range<usize>,
    next: Option<String>,
    out: &mut Records,
) {
    let mut is_first = true;
    let started = bundle.agents_of(at).filter(|(_, parent_turn, _)| *parent_turn as usize == turn);
    let mut begin = |out: &mut Records| {
        out.raw(if std::mem::replace(&mut is_first, false) { ",\"spawns\":[" } else { "," });
    };
    for (agent, _, join) in started {
        begin(out);
        let name = &bundle.members[agent].name;
        let last = turns.end - 1;
        if turn == last {
            out.string(name);
            continue;
        }
        // A conversation cannot go on without waiting for what it started: one in the background is waited for at the end.
        let join = join.map_or(last, |join| join as usize).clamp(turn + 1, last);
        out.raw("{\"children\":[").string(name).raw("],\"join_at\":").number(join - turns.start).raw("}");
    }
    if let Some(next) = next {
        begin(out);
        out.string(&next);
    }
    if !is_first {
        out.raw("]");
    }
}
