//! Detects rows of the other layout.

use agentgen_trace::row::{Row, SessionKey};
use agentgen_trace::{Layout, Result};

use super::digest::Derived;
use super::parts::Part;
use super::rules;
use super::trace_rules::TraceRules;
use agentgen_trace::diagnostic::{Diagnostic, Place};

/// The first row of the data set's first part that contradicts the layout, as a finding.
pub(crate) fn wrong_layout(part: &Part, trace_rules: &TraceRules, layout_from: &str) -> Result<Option<Diagnostic>> {
    let mut evidence = None;
    let (mut session, mut ids, mut full) = (String::new(), Vec::new(), 0);
    part.content.rows(trace_rules.layout, |line, row, derived, diagnostics| {
        if evidence.is_some() || !diagnostics.is_empty() || row.session_key == SessionKey::None {
            return;
        }
        let is_later = session == row.session_id;
        let repeats = is_later && full > 0 && row.hash_ids.starts_with(&ids[..full]);
        let restarts = is_later && full > 0 && row.hash_ids.first() != ids.first();
        let found = match (derived, trace_rules.layout) {
            (Some(derived), _) => is_later.then(|| other_column(row, derived, trace_rules)).flatten(),
            (None, Layout::Incremental) if row.session_key == SessionKey::Conversation => {
                Some("conversation_id, which only whole prompts have".to_owned())
            }
            (None, Layout::Incremental) if repeats && row.delay.is_none() => {
                Some("hash_ids that begin with all full blocks of the session's row before".to_owned())
            }
            (None, Layout::Cumulative) if restarts && row.delay.is_some() => {
                Some("a delay, and hash_ids that do not begin like those of the session's row before".to_owned())
            }
            (None, _) => None,
        };
        evidence = found.map(|found| (line, found));
        session.clone_from(&row.session_id);
        ids.clone_from(&row.hash_ids);
        full = ids.len().min((row.input_length / trace_rules.block_size) as usize);
    })?;
    let (other, stated) = match trace_rules.layout {
        Layout::Incremental => (Layout::Cumulative, Layout::Incremental),
        Layout::Cumulative => (Layout::Incremental, Layout::Cumulative),
    };
    Ok(evidence.map(|(line, found)| {
        let place = Place { file: part.file, line: u64::from(line) + 1 };
        let found = format!("{} rows: {found}", other.name());
        let expected = format!("{} rows, as stated by: {layout_from}; nothing else was checked", stated.name());
        Diagnostic::new(rules::LAYOUT, found, expected).at(place)
    }))
}

/// Whether the ids of a table row cover the column that ids cover in the other layout.
fn other_column(row: &Row, derived: Derived, trace_rules: &TraceRules) -> Option<String> {
    let (name, other) = match trace_rules.layout {
        Layout::Incremental => ("context_length", derived.context_length),
        Layout::Cumulative => ("input_length", derived.input_length),
    };
    let covers = |tokens: u32| row.hash_ids.len() == tokens.div_ceil(trace_rules.block_size) as usize;
    (covers(other) && !covers(row.input_length)).then(|| format!("hash_ids that cover {name} {other}"))
}
