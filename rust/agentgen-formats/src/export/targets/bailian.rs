//! Bailian traces: whole prompts in seconds, each with the number of the one before it in its chat.

use agentgen_trace::session::Link;

use crate::export::bundle::Bundle;
use crate::export::record::Records;
use crate::export::text::Source;

pub(crate) fn write(_: &Source, bundle: &Bundle, out: &mut Records) {
    for first in 0..bundle.members.len() {
        if matches!(bundle.members[first].session.link, Link::Break { .. }) && bundle.members[first].parent.is_some() {
            continue;
        }
        let (mut before, mut turns) = (-1, 0_u64);
        for at in bundle.line(first) {
            let member = &bundle.members[at];
            for turn in 0..member.turns() {
                let (of, chat) = (member.session.turns[turn], bundle.first_turn_number(at) + turn as u64);
                turns += 1;
                out.raw("{\"chat_id\":").number(chat).raw(",\"parent_chat_id\":").number(before);
                out.raw(",\"timestamp\":").seconds(member.times[turn]);
                out.raw(",\"input_length\":").number(of.context_tokens);
                out.raw(",\"output_length\":").number(of.output_tokens);
                out.raw(",\"type\":\"text\",\"turn\":").number(turns);
                out.raw(",\"hash_ids\":").ids(|ids| member.blocks.ids(turn, ids));
                out.raw("}\n").end(member.times[turn]);
                before = chat as i64;
            }
        }
    }
}
