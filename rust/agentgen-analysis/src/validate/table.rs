//! Converts rows of the canonical table to rows for the rules.

use agentgen_core::config::MAX_TOKENS;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::links::LinkArrays;
use agentgen_trace::row::{MAX_NAME_BYTES, Row, SessionKey, TIME, is_time};
use agentgen_trace::schema::Column;
use agentgen_trace::{Layout, Result};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int8Type, Int64Type, UInt32Type};
use arrow_array::{Array, RecordBatch, StringArray};

use super::digest::Derived;

/// Calls `each` with line, row, derived columns and diagnostics of every row; returns the number of rows.
///
/// `input_length` of the row is the length that its ids cover, as in JSONL; [`Derived`] holds the column's value.
pub(crate) fn rows(
    batch: &RecordBatch,
    layout: Layout,
    row: &mut Row,
    diagnostics: &mut Vec<Diagnostic>,
    mut each: impl FnMut(u32, &Row, Option<Derived>, &mut Vec<Diagnostic>),
) -> Result<u64> {
    let integers = |c: Column| c.required(batch).map(AsArray::as_primitive::<UInt32Type>);
    let times = |c: Column| c.required(batch).map(AsArray::as_primitive::<Float64Type>);
    let (turn, group) = (integers(Column::TurnIndex)?, integers(Column::GroupId)?);
    let (input, context) = (integers(Column::InputLength)?, integers(Column::ContextLength)?);
    let output = integers(Column::OutputLength)?;
    let (delay, timestamp) = (times(Column::DelayMs)?, times(Column::TimestampMs)?);
    let session = Column::SessionId.required(batch)?.as_string_view();
    let parent = Column::ParentSessionId.required(batch)?.as_string_view();
    let ids = Column::HashIds.required(batch)?.as_list::<i64>();
    let values = ids.values().as_primitive::<Int64Type>().values();
    let restart = Column::IsRestart.required(batch)?.as_boolean();
    let ends = Column::EndReason.required(batch)?.as_dictionary::<Int8Type>();
    let words: &StringArray = ends.values().as_string();
    let links = LinkArrays::of(batch)?;
    for at in 0..batch.num_rows() {
        let given = |array: &dyn Array| array.is_valid(at);
        row.session_key = if given(session) { SessionKey::Session } else { SessionKey::None };
        row.session_id.clear();
        if given(session) {
            row.session_id.push_str(session.value(at));
        }
        let derived =
            Derived { turn_index: turn.value(at), context_length: context.value(at), input_length: input.value(at) };
        row.input_length = match layout {
            Layout::Incremental => derived.input_length,
            Layout::Cumulative => derived.context_length,
        };
        row.output_length = output.value(at);
        row.hash_ids.clear();
        let (start, end) = (ids.value_offsets()[at] as usize, ids.value_offsets()[at + 1] as usize);
        row.hash_ids.extend_from_slice(&values[start..end]);
        row.timestamp = given(timestamp).then(|| timestamp.value(at));
        row.delay = given(delay).then(|| delay.value(at));
        row.group_id = given(group).then(|| group.value(at));
        row.is_restart = Some(restart.value(at));
        row.parent_session_id = given(parent).then(|| parent.value(at).to_owned());
        row.end_reason = given(ends).then(|| words.value(ends.keys().value(at) as usize).to_owned());
        row.links = links.as_ref().map(|links| Box::new(links.row(at)));
        diagnostics.clear();
        ranges(row, derived, diagnostics);
        each(at as u32, row, Some(derived), diagnostics);
    }
    Ok(batch.num_rows() as u64)
}

/// Checks the ranges that the JSONL reader checks in lines.
fn ranges(row: &Row, derived: Derived, diagnostics: &mut Vec<Diagnostic>) {
    let mut diagnostic = |found: String, expected: String| diagnostics.push(Diagnostic::new("range", found, expected));
    for (name, value, min) in [
        ("input_length", derived.input_length, 1),
        ("context_length", derived.context_length, 1),
        ("output_length", row.output_length, 0),
    ] {
        if !(min..=MAX_TOKENS).contains(&value) {
            diagnostic(format!("{name} {value}"), format!("an integer from {min} to {MAX_TOKENS}"));
        }
    }
    for (name, value) in [("timestamp_ms", row.timestamp), ("delay_ms", row.delay)] {
        if let Some(ms) = value.filter(|ms| !is_time(*ms)) {
            diagnostic(format!("{name} {ms}"), TIME.into());
        }
    }
    let names = [
        ("session_id", Some(&row.session_id)),
        ("parent_session_id", row.parent_session_id.as_ref()),
        ("end_reason", row.end_reason.as_ref()),
    ];
    for (name, value) in names {
        if let Some(value) = value.filter(|value| value.len() > MAX_NAME_BYTES) {
            diagnostic(format!("{name} of {} bytes", value.len()), format!("at most {MAX_NAME_BYTES} bytes"));
        }
    }
    let max_id = agentgen_core::ids::MAX_ID as i64;
    if let Some(at) = row.hash_ids.iter().position(|id| !(0..=max_id).contains(id)) {
        diagnostic(format!("hash_ids[{at}] {}", row.hash_ids[at]), format!("integers from 0 to {max_id}"));
    }
}
