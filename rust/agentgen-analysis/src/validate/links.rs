//! Rules over sessions that are linked as breaks and sub-agents.

use agentgen_engine::text::counted;
use agentgen_trace::Layout;
use agentgen_trace::diagnostic::{Diagnostic, Place};
use agentgen_trace::row::RowLinks;

use super::digest::{IdRun, RowSummary};
use super::findings::Findings;
use super::rules;
use super::session::Session;
use super::trace_rules::TraceRules;

/// Words of `link`.
const LINKS: [&str; 3] = ["restart", "break", "subagent"];

/// Checks the fields of a session's first row by themselves.
pub(crate) fn fields(links: &RowLinks, has_parent: bool, place: Place, trace_rules: &TraceRules, out: &mut Findings) {
    let mut error = |found: String, expected: &str| {
        out.add(Diagnostic::new(rules::LINK_FIELDS, found, expected).at(place));
    };
    let link = links.link.as_deref();
    match link {
        Some(word) if !LINKS.contains(&word) => {
            return error(format!("link {word:?}"), "restart, break, subagent, or no link");
        }
        Some(word) if !has_parent => error(format!("link {word:?} without parent_session_id"), "the parent's name"),
        None if has_parent => error("parent_session_id without link".to_owned(), "restart, break or subagent"),
        _ => {}
    }
    if links.kept_length.is_some() != (link == Some("break")) {
        let found = if link == Some("break") { "a break without kept_length" } else { "kept_length without a break" };
        error(found.to_owned(), "kept_length on a break's first row, nowhere else");
    }
    if links.parent_turn.is_some() != (link == Some("subagent")) {
        let found = if link == Some("subagent") {
            "a sub-agent without parent_turn"
        } else {
            "parent_turn without a sub-agent"
        };
        error(found.to_owned(), "parent_turn on a sub-agent's first row, nowhere else");
    }
    if let Some(kept) = links.kept_length.filter(|kept| !kept.is_multiple_of(trace_rules.block_size)) {
        error(format!("kept_length {kept}"), &format!("whole blocks of {} tokens", trace_rules.block_size));
    }
    if let (Some(turn), Some(join)) = (links.parent_turn, links.join_turn)
        && join <= turn
    {
        error(format!("join_turn {join} of a sub-agent of turn {turn}"), "a later turn");
    }
}

/// Checks a session's first row against the parent, whose rows came before it.
pub(crate) fn against_parent(
    links: &RowLinks,
    first: &RowSummary,
    prompt: &[IdRun],
    parent: &Session,
    place: Place,
    trace_rules: &TraceRules,
    out: &mut Findings,
) {
    let turns = parent.turns();
    if let Some(turn) = links.parent_turn.filter(|turn| *turn >= turns) {
        let found = format!("parent_turn {turn}");
        let expected = format!("one of the parent's {}, from 0", counted(u64::from(turns), "turn"));
        out.add(Diagnostic::new(rules::LINK_TURN, found, expected).at(place));
    }
    if let Some(join) = links.join_turn.filter(|join| *join > turns) {
        let found = format!("join_turn {join}");
        let expected = format!("at most {turns}, which stands for the first turn of the parent's break");
        out.add(Diagnostic::new(rules::LINK_TURN, found, expected).at(place));
    }
    let Some(kept) = links.kept_length else { return };
    if let Some(context) = parent.last_context()
        && u64::from(kept) > context
    {
        let found = format!("kept_length {kept}");
        out.add(
            Diagnostic::new(rules::KEPT_PREFIX, found, format!("at most {context}, the parent's last prompt"))
                .at(place),
        );
        return;
    }
    if kept >= first.input && trace_rules.layout == Layout::Cumulative {
        let found = format!("kept_length {kept} of a prompt of {}", counted(u64::from(first.input), "token"));
        out.add(Diagnostic::new(rules::KEPT_PREFIX, found, "less than the whole prompt").at(place));
        return;
    }
    let blocks = u64::from(kept / trace_rules.block_size);
    if trace_rules.layout == Layout::Cumulative && first.ids > 0 && common_blocks(prompt, &parent.prompt) < blocks {
        let found = format!("hash_ids that do not begin with the parent's first {}", counted(blocks, "block"));
        out.add(Diagnostic::new(rules::KEPT_PREFIX, found, format!("those that hold kept_length {kept}")).at(place));
    }
}

/// Number of equal ids at the begin of two prompts.
fn common_blocks(a: &[IdRun], b: &[IdRun]) -> u64 {
    let ids = |runs: &[IdRun]| runs.iter().flat_map(|run| run.start..run.end).collect::<Vec<_>>();
    ids(a).iter().zip(&ids(b)).take_while(|(a, b)| a == b).count() as u64
}

#[cfg(test)]
mod tests {
    use super::super::tests::linked;
    use super::rules::{KEPT_PREFIX, LINK_FIELDS, LINK_TURN, PARENT_MISSING};

    const MAIN: [&str; 2] = [
        r#""conversation_id":"a","input_length":5,"hash_ids":[0,1],"timestamp":0,"root_session_id":"a""#,
        r#""conversation_id":"a","input_length":9,"hash_ids":[0,2,3],"timestamp":5,"returned_length":1"#,
    ];

    fn with(row: &str) -> Vec<&'static str> {
        linked(&[MAIN[0], MAIN[1], row])
    }

    #[test]
    fn sound_links_are_accepted() {
        let child = r#""conversation_id":"b","parent_session_id":"a","root_session_id":"a","timestamp":9,"#;
        for rest in [
            r#""input_length":6,"hash_ids":[0,7],"link":"break","kept_length":4,"start_delay":3"#,
            r#""input_length":6,"hash_ids":[8,9],"link":"break","kept_length":0"#,
            r#""input_length":6,"hash_ids":[8,9],"link":"subagent","parent_turn":0,"join_turn":1"#,
            r#""input_length":6,"hash_ids":[8,9],"link":"subagent","parent_turn":1,"join_turn":2"#,
            r#""input_length":6,"hash_ids":[8,9],"link":"subagent","parent_turn":1"#,
        ] {
            assert_eq!(with(&format!("{child}{rest}")), [""; 0], "{rest}");
        }
    }

    #[test]
    fn unsound_links_are_named() {
        let child = r#""conversation_id":"b","root_session_id":"a","timestamp":9,"input_length":6,"hash_ids":[0,7]"#;
        for (rest, rule) in [
            (r#""link":"branch","parent_session_id":"a""#, LINK_FIELDS),
            (r#""link":"break","kept_length":0"#, LINK_FIELDS),
            (r#""link":"break","parent_session_id":"a""#, LINK_FIELDS),
            (r#""link":"break","parent_session_id":"a","kept_length":3"#, LINK_FIELDS),
            (r#""link":"subagent","parent_session_id":"a""#, LINK_FIELDS),
            (r#""link":"subagent","parent_session_id":"a","parent_turn":1,"join_turn":1"#, LINK_FIELDS),
            (r#""link":"subagent","parent_session_id":"a","parent_turn":2"#, LINK_TURN),
            (r#""link":"subagent","parent_session_id":"a","parent_turn":1,"join_turn":3"#, LINK_TURN),
            (r#""link":"break","parent_session_id":"a","kept_length":8"#, KEPT_PREFIX),
            (r#""link":"break","parent_session_id":"a","kept_length":12"#, KEPT_PREFIX),
            (r#""link":"break","parent_session_id":"x","kept_length":4"#, PARENT_MISSING),
        ] {
            assert_eq!(with(&format!("{child},{rest}")), [rule], "{rest}");
        }
    }
}
