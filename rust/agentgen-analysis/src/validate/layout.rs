//! Rows that are evidently of the other layout.

use agentgen_trace::row::SessionKey;
use agentgen_trace::{Layout, Result};

use super::findings::{Found, Place};
use super::law::Law;
use super::parts::Part;
use super::rules;

/// What says so in the data set's first part, if anything does.
pub(crate) fn contradiction(part: &Part, law: &Law, layout_from: &str) -> Result<Option<Found>> {
    let mut evidence = None;
    let (mut session, mut ids, mut full) = (String::new(), Vec::new(), 0);
    part.content.rows(law.layout, |line, row, derived, faults| {
        if evidence.is_some() || !faults.is_empty() || row.session_key == SessionKey::None {
            return;
        }
        let is_later = session == row.session_id;
        let repeats = is_later && full > 0 && row.hash_ids.starts_with(&ids[..full]);
        let restarts = is_later && full > 0 && row.hash_ids.first() != ids.first();
        let blocks = |tokens: u32| tokens.div_ceil(law.block_size) as usize;
        let found = match (law.layout, derived) {
            // Of a table, `row.input_length` is what the layout says the ids cover: the other column fits instead.
            (_, Some(d)) if is_later && row.hash_ids.len() != blocks(row.input_length) => {
                let (name, other) = match law.layout {
                    Layout::Incremental => ("context_length", d.context_length),
                    Layout::Cumulative => ("input_length", d.input_length),
                };
                (row.hash_ids.len() == blocks(other))
                    .then(|| format!("hash_ids that cover {name} {other}, not {}", row.input_length))
            }
            (_, Some(_)) => None,
            (Layout::Incremental, None) if row.session_key == SessionKey::Conversation => {
                Some("conversation_id, which only whole prompts have".to_owned())
            }
            (Layout::Incremental, None) if repeats && row.delay.is_none() => {
                Some("hash_ids that begin with all full blocks of the session's row before".to_owned())
            }
            (Layout::Cumulative, None) if restarts && row.delay.is_some() => {
                Some("a delay, and hash_ids that do not begin like those of the session's row before".to_owned())
            }
            _ => None,
        };
        evidence = found.map(|found| (line, found));
        session.clone_from(&row.session_id);
        ids.clone_from(&row.hash_ids);
        full = ids.len().min((row.input_length / law.block_size) as usize);
    })?;
    let (other, stated) = match law.layout {
        Layout::Incremental => (Layout::Cumulative, Layout::Incremental),
        Layout::Cumulative => (Layout::Incremental, Layout::Cumulative),
    };
    Ok(evidence.map(|(line, found)| {
        let place = Place { file: part.file, line: u64::from(line) + 1 };
        let found = format!("{} rows: {found}", other.name());
        let expected = format!("{} rows, as stated by: {layout_from}; nothing else was checked", stated.name());
        Found::error(place, rules::LAYOUT, found, expected)
    }))
}
