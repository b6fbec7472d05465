//! A table of requests, one a line.

use agentgen_trace::session::{Link, SessionEnd};

use crate::export::about::Trigger;
use crate::export::bundle::Bundle;
use crate::export::record::Records;
use crate::export::text::Source;

pub(crate) const HEADER: &str = "session_id,turn_index,link,parent_session_id,parent_turn,join_turn,kept_length,\
                                 break_kind,agent,group_id,trigger,start_ms,delay_ms,context_length,input_length,\
                                 returned_length,output_length,end_reason";

pub(crate) fn write(_: &Source, bundle: &Bundle, out: &mut Records) {
    for member in &bundle.members {
        let parent = member.about.parent.as_deref().unwrap_or("");
        for turn in 0..member.turns() {
            let of = member.session.turns[turn];
            field(&member.name, out);
            out.raw(",").number(turn).raw(",");
            let (link, spawn) = match member.session.link {
                Link::Root => ("", None),
                Link::Restart { .. } => ("restart", None),
                Link::Break { .. } => ("break", None),
                Link::SubAgent { parent_turn, join_turn, .. } => ("subagent", Some((parent_turn, join_turn))),
            };
            out.raw(link).raw(",");
            field(parent, out);
            out.raw(",");
            optional(spawn.map(|(parent_turn, _)| parent_turn), out);
            out.raw(",");
            optional(spawn.and_then(|(_, join_turn)| join_turn), out);
            out.raw(",");
            let kept = if let Link::Break { kept_tokens, .. } = member.session.link { Some(kept_tokens) } else { None };
            optional(kept, out);
            out.raw(",");
            field(member.about.break_kind.as_deref().unwrap_or(""), out);
            out.raw(",");
            field(member.about.agent.as_deref().unwrap_or(""), out);
            out.raw(",");
            optional(member.about.group, out);
            out.raw(",").raw(member.trigger(turn).map_or("", Trigger::name)).raw(",").ms(member.times[turn]).raw(",");
            if of.delay_ms.is_some() {
                out.ms(member.delay_ms(turn));
            }
            out.raw(",").number(of.context_tokens).raw(",").number(of.input_tokens).raw(",");
            optional(member.session.returned_tokens(turn), out);
            out.raw(",").number(of.output_tokens).raw(",");
            if turn + 1 == member.turns() {
                field(member.session.end.as_ref().map_or("", SessionEnd::name), out);
            }
            out.raw("\n").end(member.times[turn]);
        }
    }
}

fn optional(number: Option<u32>, out: &mut Records) {
    if let Some(number) = number {
        out.number(number);
    }
}

/// A field of text, in quotes where it must be.
fn field(text: &str, out: &mut Records) {
    if text.contains([',', '"', '\n', '\r']) {
        out.raw(&format!("\"{}\"", text.replace('"', "\"\"")));
    } else {
        out.raw(text);
    }
}
