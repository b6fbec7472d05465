//! Rules over a single row.

use agentgen_trace::Layout;
use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::row::{Row, SessionKey};

use super::rules;
use super::trace_rules::{OriginRules, TraceRules};

/// A row's ids as runs of consecutive ids: first id, end, index of the first.
#[derive(Debug, Default)]
pub(crate) struct RowIds {
    pub runs: Vec<(i64, i64, u32)>,
    sorted: Vec<(i64, i64)>,
    /// The session of the last generated row, and the index of its root session.
    session: String,
    root: Option<u64>,
}

impl RowIds {
    fn read(&mut self, ids: &[i64]) {
        self.runs.clear();
        let mut at = 0;
        for run in ids.chunk_by(|id, next| id + 1 == *next) {
            self.runs.push((run[0], run[0] + run.len() as i64, at));
            at += run.len() as u32;
        }
    }

    /// The smallest id that occurs twice.
    fn duplicate(&mut self) -> Option<i64> {
        if self.runs.is_sorted_by(|a, b| a.1 <= b.0) {
            return None;
        }
        self.sorted.clear();
        self.sorted.extend(self.runs.iter().map(|r| (r.0, r.1)));
        self.sorted.sort_unstable();
        let mut end = i64::MIN;
        for (start, e) in &self.sorted {
            if *start < end {
                return Some(*start);
            }
            end = *e;
        }
        None
    }
}

/// Splits a row's ids into runs. Returns whether number and values of the ids are valid, so that rules over several rows
/// may use them.
pub(crate) fn check_ids(
    row: &Row,
    trace_rules: &TraceRules,
    ids: &mut RowIds,
    diagnostics: &mut Vec<Diagnostic>,
) -> bool {
    let expected = row.input_length.div_ceil(trace_rules.block_size) as usize;
    if row.hash_ids.len() != expected {
        diagnostics.push(Diagnostic::new(
            rules::ID_COUNT,
            format!("{} hash_ids for input_length {}", row.hash_ids.len(), row.input_length),
            format!("{expected} = ceil({} / block size {})", row.input_length, trace_rules.block_size),
        ));
        return false;
    }
    ids.read(&row.hash_ids);
    if let Some(id) = ids.duplicate() {
        let places: Vec<String> =
            row.hash_ids.iter().enumerate().filter(|(_, i)| **i == id).map(|(at, _)| at.to_string()).collect();
        let found = format!("id {id} at positions {} of hash_ids", places.join(", "));
        diagnostics.push(Diagnostic::new(rules::DUPLICATE_ID, found, "every id once per row"));
        return false;
    }
    if let Some(known) = &trace_rules.origin {
        check_space(row, known, ids, diagnostics);
        check_places(row, trace_rules, known, ids, diagnostics);
    }
    true
}

/// Checks ranges of generated ids: L1 at its own positions, then L1.5, then ids of the root session's range.
fn check_space(row: &Row, known: &OriginRules, ids: &mut RowIds, diagnostics: &mut Vec<Diagnostic>) {
    if row.session_key == SessionKey::None {
        return;
    }
    if ids.session != row.session_id {
        ids.session.clone_from(&row.session_id);
        ids.root = known.names.root_of(&row.session_id).map(|(root, _)| root).filter(|root| *root < known.sessions);
    }
    let Some(root) = ids.root else {
        let found = format!("session {:?}", row.session_id);
        diagnostics.push(Diagnostic::new(
            rules::ID_SPACE,
            found,
            "a session_id that follows from the manifest's seed and session count",
        ));
        return;
    };
    let base = known.ids.base(root) as i64;
    let (own, shared_end) = (base..base + known.ids.stride() as i64, known.ids.base(0) as i64);
    let (layer1, prefix) = (known.ids.layer1_blocks() as i64, known.ids.prefix_blocks() as i64);
    for &(start, end, at) in &ids.runs {
        let at = i64::from(at);
        // L1, L1.5 and the ids of the first root session are adjacent, so one run of ids may hold several kinds.
        let (shared, private) = (start..end.min(shared_end), start.max(shared_end)..end);
        let misplaced = shared.clone().find(|id| {
            let place = at + (id - start);
            let is_layer1 = *id < layer1;
            place >= prefix || (is_layer1 && *id != place) || (!is_layer1 && place < layer1)
        });
        let beyond = if private.start < own.start { private.start } else { private.start.max(own.end) };
        let foreign = private.contains(&beyond).then_some(beyond);
        if let Some(id) = misplaced {
            let found = format!("id {id} of the shared prefix at position {} of hash_ids", at + (id - start));
            let expected = format!("L1 ids 0 to {} at their own positions, then L1.5, then the session's", layer1 - 1);
            return diagnostics.push(Diagnostic::new(rules::ID_SPACE, found, expected));
        }
        if let Some(id) = foreign {
            let found = format!("id {id}");
            let expected = format!("ids {} to {} for root session {root}", own.start, own.end - 1);
            return diagnostics.push(Diagnostic::new(rules::ID_SPACE, found, expected));
        }
    }
}

/// Checks generated ids that follow from their position: the prefix of a prompt, and full blocks of whole prompts.
fn check_places(
    row: &Row,
    trace_rules: &TraceRules,
    known: &OriginRules,
    ids: &RowIds,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let is_cumulative = trace_rules.layout == Layout::Cumulative;
    let is_first = row.group_id.is_some() && row.delay.is_none();
    let Some(root) = ids.root.filter(|_| diagnostics.is_empty() && (is_cumulative || is_first)) else { return };
    let (base, layer1) = (known.ids.base(root) as i64, known.ids.layer1_blocks() as i64);
    let prefix = known.ids.prefix_blocks() as i64;
    let group = row.group_id.filter(|g| *g < known.groups());
    let group_first = group.map(|g| layer1 + i64::from(g) * (prefix - layer1));
    let is_partial = is_cumulative && !row.input_length.is_multiple_of(trace_rules.block_size);
    let tail = if is_partial { row.hash_ids.len() as i64 - 1 } else { i64::MAX };
    for &(start, end, at) in &ids.runs {
        let (at, mut place) = (i64::from(at), i64::from(at));
        // Step from one kind of block to the next; within a kind, ids and positions increase together.
        while place < at + (end - start) {
            let id = start + (place - at);
            let (expected, next) = if place < layer1 {
                (Some(place), layer1)
            } else if place < prefix {
                (group_first.map(|first| first + place - layer1), prefix)
            } else if !is_cumulative {
                break;
            } else if place == tail {
                (Some(id.max(base + known.own_blocks)), i64::MAX)
            } else {
                (Some(base + place - prefix), tail)
            };
            if let Some(expected) = expected.filter(|expected| *expected != id) {
                let found = format!("id {id} at position {place} of hash_ids");
                let least = if place == tail { " or more" } else { "" };
                return diagnostics.push(Diagnostic::new(
                    rules::ID_SPACE,
                    found,
                    format!("id {expected}{least} at this position"),
                ));
            }
            place = next;
        }
    }
}
