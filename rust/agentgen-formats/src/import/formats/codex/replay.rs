//! The history of another thread with which the log of a sub-agent or of a fork begins.

use super::row::{Row, What};

/// Length of a UUID. Those of version 7 sort by time.
const UUID_BYTES: usize = 36;

/// Removes the copied history; returns how many calls it had.
pub fn remove(rows: &mut Vec<Row>) -> u64 {
    let mut metas = rows.iter().filter_map(|row| match &row.what {
        What::Session(meta) => Some(meta),
        _ => None,
    });
    let Some(own) = metas.next() else { return 0 };
    let is_copy = own.parent.is_some() || own.forked_from.is_some() || metas.any(|other| other.id != own.id);
    if !is_copy {
        return 0;
    }
    let id = own.id.clone().unwrap_or_default();
    let has_turns = is_ordered(&id) && rows.iter().filter_map(|row| row.turn.as_deref()).any(is_ordered);
    let is_replayed = if has_turns { by_turn(rows, &id) } else { by_second(rows) };
    let is_call = |row: &Row| matches!(row.what, What::Tokens { .. });
    let calls = rows.iter().zip(&is_replayed).filter(|(row, replayed)| **replayed && is_call(row)).count();
    let mut flags = is_replayed.into_iter();
    rows.retain(|_| !flags.next().unwrap_or(false));
    calls as u64
}

/// Whether an id sorts by time.
fn is_ordered(id: &str) -> bool {
    id.len() == UUID_BYTES && id.as_bytes().get(14) == Some(&b'7')
}

/// Rows of turns that are older than the thread itself, and what precedes the first turn.
fn by_turn(rows: &[Row], id: &str) -> Vec<bool> {
    let mut is_replayed = true;
    let flags = rows.iter().enumerate().map(|(index, row)| {
        if let Some(turn) = row.turn.as_deref().filter(|turn| is_ordered(turn)) {
            is_replayed = turn < id;
        }
        // The first row is the thread's own.
        is_replayed && index > 0
    });
    flags.collect()
}

/// Rows up to the last of several token counts in the second of the first one: a copy is written at once.
fn by_second(rows: &[Row]) -> Vec<bool> {
    let second = |row: &Row| row.time_ms.map(|ms| (ms / 1000.0).floor());
    let counts = || rows.iter().enumerate().filter(|(_, row)| matches!(row.what, What::Tokens { .. }));
    let first = counts().next().and_then(|(_, row)| second(row));
    let leading: Vec<usize> = counts().take_while(|(_, row)| second(row) == first).map(|(index, _)| index).collect();
    let end = match (first, &leading[..]) {
        (Some(_), [_, .., last]) => *last + 1,
        _ => 0,
    };
    (0..rows.len()).map(|index| index > 0 && index < end).collect()
}
