//! Rows of Mooncake: whole prompts at their times, with or without sessions; or what each turn adds.

use agentgen_trace::session::Link;

use crate::export::bundle::{Bundle, Member};
use crate::export::record::Records;
use crate::export::text::Source;

/// Lengths and ids of a whole prompt.
fn whole_prompt(member: &Member, turn: usize, out: &mut Records) {
    let of = member.session.turns[turn];
    out.raw(",\"input_length\":").number(of.context_tokens).raw(",\"output_length\":").number(of.output_tokens);
    out.raw(",\"hash_ids\":").ids(|ids| member.blocks.ids(turn, ids));
}

/// Whole prompts at times in ms, and the session in the keys of Dynamo.
pub(crate) fn whole(_: &Source, bundle: &Bundle, out: &mut Records) {
    each(bundle, out, |member, turn, out| {
        out.raw("{\"timestamp\":").ms(member.times[turn]);
        whole_prompt(member, turn, out);
        if member.session.names_its_session() {
            out.raw(",\"session_id\":").string(&member.name);
            if turn > 0 {
                out.raw(",\"delay\":").ms(member.delay_ms(turn));
            }
        }
    });
}

/// Whole prompts at times in ms.
pub(crate) fn requests(_: &Source, bundle: &Bundle, out: &mut Records) {
    each(bundle, out, |member, turn, out| {
        out.raw("{\"timestamp\":").ms(member.times[turn]);
        whole_prompt(member, turn, out);
    });
}

/// Whole prompts at times in seconds.
pub(crate) fn seconds(_: &Source, bundle: &Bundle, out: &mut Records) {
    each(bundle, out, |member, turn, out| {
        out.raw("{\"timestamp\":").seconds(member.times[turn]);
        whole_prompt(member, turn, out);
    });
}

fn each(bundle: &Bundle, out: &mut Records, write: impl Fn(&Member, usize, &mut Records)) {
    for member in &bundle.members {
        for turn in 0..member.turns() {
            write(member, turn, out);
            out.raw("}\n").end(member.times[turn]);
        }
    }
}

/// What each turn adds, for Dynamo.
pub(crate) fn added(_: &Source, bundle: &Bundle, out: &mut Records) {
    added_rows(bundle, out, |_, _| {});
}

/// What each turn adds, with the keys that `AIPerf` writes.
pub(crate) fn aiperf(_: &Source, bundle: &Bundle, out: &mut Records) {
    added_rows(bundle, out, |member, out| {
        if let Some(group) = member.about.group {
            out.raw(",\"group_id\":").number(group);
        }
        if let Link::Restart { .. } = member.session.link {
            out.raw(",\"is_restart\":true");
        }
    });
}

/// `first` appends what only the first row of a session has.
fn added_rows(bundle: &Bundle, out: &mut Records, first: impl Fn(&Member, &mut Records)) {
    for member in &bundle.members {
        for (run, turns) in member.runs().into_iter().enumerate() {
            let name = member.run_name(run);
            for turn in turns.clone() {
                let of = member.session.turns[turn];
                let is_first = turn == turns.start;
                let input = if is_first { of.context_tokens } else { of.input_tokens };
                out.raw("{\"session_id\":").string(&name).raw(",\"input_length\":").number(input);
                out.raw(",\"output_length\":").number(of.output_tokens);
                out.raw(",\"hash_ids\":").ids(|ids| member.blocks.ids(turn, ids));
                if is_first {
                    out.raw(",\"timestamp\":").ms(member.times[turn]);
                } else {
                    out.raw(",\"delay\":").ms(member.delay_ms(turn));
                }
                if turn == 0 {
                    first(member, out);
                }
                out.raw("}\n").end(member.times[turn]);
            }
        }
    }
}
