//! Dynamo's `agentic_mooncake`, version 2: a bundle is a play, whose requests depend on each other.

use agentgen_trace::session::Link;

use crate::export::bundle::{Bundle, Member};
use crate::export::record::Records;
use crate::export::text::Source;

/// The model of all requests: readers take the one that they are told.
const MODEL: &str = "model";

pub(crate) fn write(_: &Source, bundle: &Bundle, out: &mut Records) {
    let Some(head) = bundle.members.first() else { return };
    let arrival = head.times[0];
    for (at, member) in bundle.members.iter().enumerate() {
        // The sessions of a line are one to its agent.
        let first = std::iter::successors(Some(at), |at| {
            let parent = bundle.members[*at].parent?;
            matches!(bundle.members[*at].session.link, Link::Break { .. }).then_some(parent)
        });
        let session = first.last().map_or(&member.name, |first| &bundle.members[first].name);
        for turn in 0..member.turns() {
            let of = member.session.turns[turn];
            out.raw("{\"request_id\":");
            request(member, turn, out);
            out.raw(",\"play_id\":").string(&head.name).raw(",\"session_id\":").string(session);
            out.raw(",\"model\":").string(MODEL);
            out.raw(",\"input_length\":").number(of.context_tokens).raw(",\"output_length\":").number(of.output_tokens);
            out.raw(",\"hash_ids\":").ids(|ids| member.blocks.ids(turn, ids));
            out.raw(",\"not_before_ms\":").ms(arrival);
            dependencies(bundle, at, turn, out);
            out.raw("}\n").end(member.times[turn]);
        }
    }
}

fn request(member: &Member, turn: usize, out: &mut Records) {
    out.string(&format!("{}:{turn}", member.name));
}

/// What a turn waits for, each with the delay of the turn: the last one decides.
fn dependencies(bundle: &Bundle, at: usize, turn: usize, out: &mut Records) {
    let member = &bundle.members[at];
    let mut waits: Vec<(&Member, usize, &str)> = Vec::new();
    let joins = |session: usize, turn: usize| {
        let joining =
            bundle.agents_of(session).filter(move |(_, _, join)| join.is_some_and(|join| join as usize == turn));
        joining.filter_map(|(agent, ..)| bundle.line(agent).last())
    };
    if turn > 0 {
        waits.push((member, turn - 1, "sequence"));
        waits.extend(joins(at, turn).map(|last| &bundle.members[last]).map(|last| (last, last.turns() - 1, "join")));
    } else if let Some(parent) = member.parent {
        let before = &bundle.members[parent];
        if let Link::SubAgent { parent_turn, .. } = member.session.link {
            waits.push((before, (parent_turn as usize).min(before.turns() - 1), "spawn"));
        } else {
            waits.push((before, before.turns() - 1, "sequence"));
            let ended = joins(parent, before.turns()).map(|last| &bundle.members[last]);
            waits.extend(ended.map(|last| (last, last.turns() - 1, "join")));
        }
    }
    if waits.is_empty() {
        return;
    }
    out.raw(",\"dependencies\":[");
    for (index, (other, turn_before, relation)) in waits.into_iter().enumerate() {
        out.raw(if index == 0 { "{\"request_id\":" } else { ",{\"request_id\":" });
        request(other, turn_before, out);
        out.raw(",\"trigger\":\"completion\",\"delay_ms\":").ms(member.delay_ms(turn));
        out.raw(",\"relation\":\"").raw(relation).raw("\"}");
    }
    out.raw("]");
}
