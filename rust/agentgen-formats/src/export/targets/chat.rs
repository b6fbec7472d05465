//! Conversations and prompts as text.

use crate::export::bundle::{Bundle, Member};
use crate::export::record::Records;
use crate::export::text::Source;

/// What each turn of a session adds, with the times between turns, for `AIPerf`.
pub(crate) fn multi_turn(source: &Source, bundle: &Bundle, out: &mut Records) {
    for member in &bundle.members {
        for (run, turns) in member.runs().into_iter().enumerate() {
            out.raw("{\"session_id\":").string(&member.run_name(run)).raw(",\"turns\":[");
            for turn in turns.clone() {
                out.raw(if turn == turns.start { "{\"text\":" } else { ",{\"text\":" });
                source.input(bundle, member, turn, out);
                if turn == turns.start {
                    out.raw(",\"timestamp\":").ms(member.times[turn]);
                } else {
                    out.raw(",\"delay\":").ms(member.delay_ms(turn));
                }
                out.raw(",\"output_length\":").number(member.session.turns[turn].output_tokens.max(1)).raw("}");
            }
            out.raw("]}\n").end(member.times[turns.start]);
        }
    }
}

/// Whole prompts, for vLLM.
pub(crate) fn prompts(source: &Source, bundle: &Bundle, out: &mut Records) {
    each(bundle, |member, turn| {
        out.raw("{\"prompt\":");
        source.prompt(bundle, member, turn, out);
        out.raw(",\"output_tokens\":").number(member.session.turns[turn].output_tokens);
        out.raw("}\n").end(member.times[turn]);
    });
}

/// Whole prompts, each with its output, for `SGLang`, which counts the tokens of both.
pub(crate) fn sglang(source: &Source, bundle: &Bundle, out: &mut Records) {
    each(bundle, |member, turn| {
        out.raw("{\"conversations\":[{\"role\":\"user\",\"content\":");
        source.prompt(bundle, member, turn, out);
        out.raw("},{\"role\":\"assistant\",\"content\":");
        source.output(bundle, member, turn, out);
        out.raw("}]}\n").end(member.times[turn]);
    });
}

fn each(bundle: &Bundle, mut write: impl FnMut(&Member, usize)) {
    bundle.members.iter().for_each(|member| (0..member.turns()).for_each(|turn| write(member, turn)));
}

/// The keys of a conversation.
struct Keys {
    list: &'static str,
    role: &'static str,
    user: &'static str,
    assistant: &'static str,
    content: &'static str,
}

/// Conversations of `ShareGPT`.
pub(crate) fn sharegpt(source: &Source, bundle: &Bundle, out: &mut Records) {
    let keys = Keys { list: "conversations", role: "from", user: "human", assistant: "gpt", content: "value" };
    conversations(source, bundle, &keys, out);
}

/// Conversations of vLLM's benchmark of several turns.
pub(crate) fn vllm(source: &Source, bundle: &Bundle, out: &mut Records) {
    let keys = Keys { list: "messages", role: "role", user: "user", assistant: "assistant", content: "content" };
    conversations(source, bundle, &keys, out);
}

fn conversations(source: &Source, bundle: &Bundle, keys: &Keys, out: &mut Records) {
    for member in &bundle.members {
        for (run, turns) in member.runs().into_iter().enumerate() {
            out.raw("{\"id\":").string(&member.run_name(run)).raw(",").string(keys.list).raw(":[");
            for turn in turns.clone() {
                for (index, role) in [keys.user, keys.assistant].into_iter().enumerate() {
                    out.raw(if turn == turns.start && index == 0 { "{" } else { ",{" });
                    out.string(keys.role).raw(":").string(role).raw(",").string(keys.content).raw(":");
                    if index == 0 {
                        source.input(bundle, member, turn, out);
                    } else {
                        source.output(bundle, member, turn, out);
                    }
                    out.raw("}");
                }
            }
            out.raw("]}\n").end(member.times[turns.start]);
        }
    }
}
