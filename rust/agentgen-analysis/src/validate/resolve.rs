//! The second pass over the rows, which resolves the pending checks of the first.

use std::collections::{HashMap, HashSet};

use agentgen_core::EndReason;
use agentgen_engine::text::counted;
use agentgen_trace::Layout;
use agentgen_trace::diagnostic::{Diagnostic, Place};
use agentgen_trace::row::{Row, SessionKey};
use roaring::RoaringTreemap;

use super::cumulative::START;
use super::digest::hash;
use super::findings::Findings;
use super::merge::Merged;
use super::pending_checks::{Child, Split};
use super::rows::{RowIds, check_ids};
use super::rules;
use super::trace_rules::TraceRules;

/// Maximum number of suspect ids to resolve; others are only counted.
pub(super) const MAX_SUSPECTS: u64 = if cfg!(test) { 1_000 } else { 1 << 20 };

/// The ids and sessions to look for.
#[derive(Debug)]
pub(crate) struct Wanted {
    ids: RoaringTreemap,
    sessions: HashSet<u64>,
}

impl Wanted {
    /// The ids and sessions of all pending checks; `None` if there are none.
    pub fn new(merged: &Merged) -> Option<Self> {
        let pending_checks = &merged.pending_checks;
        let mut ids: RoaringTreemap = pending_checks.suspects.iter().take(MAX_SUSPECTS as usize).collect();
        ids.extend(pending_checks.reuses.iter().map(|(_, reuse)| reuse.id as u64));
        let names = pending_checks.duplicates.iter().map(|d| &d.name);
        let sessions: HashSet<u64> =
            names.chain(pending_checks.children.iter().map(|c| &c.parent)).map(|n| n.hash).collect();
        (!ids.is_empty() || !sessions.is_empty()).then_some(Self { ids, sessions })
    }
}

/// The wanted ids and rows of a block.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    pub lines: u64,
    ids: Vec<IdMatch>,
    rows: Vec<RowMatch>,
}

#[derive(Debug)]
struct IdMatch {
    line: u32,
    id: i64,
    size: u32,
    before: i64,
}

#[derive(Debug)]
struct RowMatch {
    line: u32,
    hash: u64,
    name: Box<str>,
    is_faulty: bool,
    input: u32,
    output: u32,
    group: Option<u32>,
    end: Option<EndReason>,
}

/// Searches a block's rows for wanted ids and sessions.
pub(crate) struct SecondPass<'a> {
    trace_rules: &'a TraceRules,
    wanted: &'a Wanted,
    ids: RowIds,
    matches: Matches,
}

impl<'a> SecondPass<'a> {
    pub fn new(trace_rules: &'a TraceRules, wanted: &'a Wanted) -> Self {
        Self { trace_rules, wanted, ids: RowIds::default(), matches: Matches::default() }
    }

    /// Adds a row and the findings of its reader.
    pub fn push(&mut self, line: u32, row: &Row, diagnostics: &mut Vec<Diagnostic>) {
        let is_faulty = !diagnostics.is_empty();
        if row.session_key != SessionKey::None && !self.wanted.sessions.is_empty() {
            let hash = hash(&row.session_id);
            if self.wanted.sessions.contains(&hash) {
                self.matches.rows.push(RowMatch {
                    line,
                    hash,
                    name: row.session_id.as_str().into(),
                    is_faulty,
                    input: row.input_length,
                    output: row.output_length,
                    group: row.group_id,
                    end: row.end_reason.as_deref().and_then(EndReason::named),
                });
            }
        }
        if !is_faulty && check_ids(row, self.trace_rules, &mut self.ids, diagnostics) {
            let (bs, len) = (self.trace_rules.block_size, row.hash_ids.len());
            for (at, id) in row.hash_ids.iter().enumerate() {
                if self.wanted.ids.contains(*id as u64) {
                    let size = if at + 1 == len { row.input_length - (len as u32 - 1) * bs } else { bs };
                    let before = if at == 0 { START } else { row.hash_ids[at - 1] };
                    self.matches.ids.push(IdMatch { line, id: *id, size, before });
                }
            }
        }
        diagnostics.clear();
    }

    /// The matches; `lines` is the number of lines of the block, blank ones included.
    pub fn finish(self, lines: u64) -> Matches {
        Matches { lines, ..self.matches }
    }
}

/// All matches so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    file: u32,
    lines: u64,
    ids: HashMap<i64, IdSeen>,
    sessions: HashMap<u64, SessionSeen>,
}

#[derive(Debug)]
struct IdSeen {
    first: Place,
    size: u32,
    before: i64,
    again: Option<Place>,
    other_size: Option<(Place, u32)>,
    other_before: Option<(Place, i64)>,
}

#[derive(Debug)]
struct SessionSeen {
    name: Box<str>,
    first: Place,
    tokens: Option<(u64, u32)>,
    group: Option<u32>,
    end: Option<EndReason>,
}

impl Seen {
    /// Adds the next block of a file.
    pub fn take(&mut self, file: u32, matches: Matches, layout: Layout) {
        if file != self.file {
            (self.file, self.lines) = (file, 0);
        }
        let lines = self.lines;
        let place = |line: u32| Place { file, line: lines + u64::from(line) + 1 };
        for found in matches.ids {
            let place = place(found.line);
            let IdMatch { id, size, before, .. } = found;
            self.ids
                .entry(id)
                .and_modify(|seen| {
                    seen.again.get_or_insert(place);
                    if size != seen.size {
                        seen.other_size.get_or_insert((place, size));
                    }
                    if before != seen.before {
                        seen.other_before.get_or_insert((place, before));
                    }
                })
                .or_insert(IdSeen { first: place, size, before, again: None, other_size: None, other_before: None });
        }
        for row in matches.rows {
            let seen = self.sessions.entry(row.hash).or_insert_with(|| SessionSeen {
                name: row.name,
                first: place(row.line),
                tokens: Some((0, 0)),
                group: row.group,
                end: None,
            });
            let before = if layout == Layout::Cumulative { Some((0, 0)) } else { seen.tokens };
            let context = before.filter(|_| !row.is_faulty).map(|(c, o)| c + u64::from(o) + u64::from(row.input));
            (seen.tokens, seen.end) = (context.map(|c| (c, row.output)), row.end);
        }
        self.lines += matches.lines;
    }

    /// Resolves the pending checks of the first pass.
    pub fn resolve(&self, merged: &mut Merged, trace_rules: &TraceRules, files: &[String]) {
        let Merged { findings, pending_checks, .. } = merged;
        for id in pending_checks.suspects.iter().take(MAX_SUSPECTS as usize) {
            self.resolve_id(id as i64, trace_rules, files, findings);
        }
        let unresolved = pending_checks.suspects.len().saturating_sub(MAX_SUSPECTS);
        if unresolved > 0 {
            // In the incremental layout every suspect is an error; in the cumulative layout that is unknown.
            if trace_rules.layout == Layout::Incremental {
                findings.count_errors(unresolved);
            }
            let found = format!("{unresolved} more ids that may name different blocks");
            let warning = Diagnostic::new(rules::UNRESOLVED, found, "fewer suspects").with_help("fix the first ones");
            findings.add(warning.at(Place::default()).warning());
        }
        for (place, reuse) in &pending_checks.reuses {
            let first = self.ids.get(&reuse.id).map_or(*place, |seen| seen.first);
            let more = match reuse.count - 1 {
                0 => String::new(),
                more => format!(" and {more} more of the row's ids"),
            };
            let found = format!("id {}{more}, first in {}", reuse.id, at(first, *place, files));
            let expected = "new ids; ones seen before only at the start of a session's first row";
            findings.add(Diagnostic::new(rules::ID_REUSED, found, expected).at(*place));
        }
        for duplicate in &pending_checks.duplicates {
            let name = &duplicate.name;
            // Two names with the same hash are no finding.
            let Some(seen) = self.sessions.get(&name.hash).filter(|s| s.name == name.text) else { continue };
            let found = format!("session {:?} again, first in {}", name.text, at(seen.first, duplicate.place, files));
            let (rule, expected) = if duplicate.starts {
                (rules::SESSION_DUPLICATE, "a session id that no other session has")
            } else {
                (rules::SESSION_SPLIT, "the rows of a session together")
            };
            let finding = Diagnostic::new(rule, found, expected).at(duplicate.place);
            findings.add(if duplicate.starts {
                finding
            } else {
                finding.with_help("agentgen convert --group puts them together")
            });
        }
        self.resolve_children(&pending_checks.children, trace_rules, findings);
    }

    /// Checks continuations whose parent had not ended with a split at their first row.
    fn resolve_children(&self, children: &[Child], trace_rules: &TraceRules, findings: &mut Findings) {
        let parent = |child: &Child| self.sessions.get(&child.parent.hash);
        let says_ends = trace_rules.is_generated() || children.iter().filter_map(parent).any(|s| s.end.is_some());
        for child in children {
            let Some(seen) = parent(child) else { continue };
            if seen.end == Some(EndReason::RestartSplit) || (seen.end.is_none() && !says_ends) {
                let next_context = seen.tokens.map(|(context, output)| context + u64::from(output));
                let split = Split { next_context, group: seen.group, ..Split::default() };
                child.check(&split, trace_rules, findings);
            } else {
                let end = seen.end.map_or("no end_reason".into(), |e| format!("end_reason {:?}", e.name()));
                let found = format!("parent_session_id {:?}, which has {end}", child.parent.text);
                findings.add(
                    Diagnostic::new(rules::PARENT_END, found, "a parent that ended restart_split").at(child.place),
                );
            }
        }
    }

    fn resolve_id(&self, id: i64, trace_rules: &TraceRules, files: &[String], out: &mut Findings) {
        let Some(seen) = self.ids.get(&id) else { return };
        let mut is_valid = true;
        if let Some((place, size)) = seen.other_size {
            is_valid = false;
            let found = format!(
                "id {id} with {}, with {} in {}",
                tokens(size),
                tokens(seen.size),
                at(seen.first, place, files)
            );
            out.add(Diagnostic::new(rules::ID_SIZE, found, "one size per id in the whole data set").at(place));
        }
        if trace_rules.layout == Layout::Cumulative
            && let Some((place, before)) = seen.other_before
        {
            is_valid = false;
            let after = |before: i64| {
                if before == START { "at the start of a prompt".to_owned() } else { format!("after id {before}") }
            };
            let found =
                format!("id {id} {}, {} in {}", after(before), after(seen.before), at(seen.first, place, files));
            out.add(
                Diagnostic::new(rules::ID_PARENT, found, "the same id before it everywhere (blocks are chained)")
                    .at(place),
            );
        }
        // Prompts of other traces may be identical, including their tails.
        let may_recur = trace_rules.layout == Layout::Cumulative && !trace_rules.is_generated();
        if is_valid
            && !may_recur
            && seen.size < trace_rules.block_size
            && let Some(place) = seen.again
        {
            let found = format!(
                "id {id} of a partial block ({}) again, first in {}",
                tokens(seen.size),
                at(seen.first, place, files)
            );
            out.add(Diagnostic::new(rules::PARTIAL_ID, found, "a new id for every partial block").at(place));
        }
    }
}

fn tokens(count: u32) -> String {
    counted(u64::from(count), "token")
}

/// A place, relative to another one.
fn at(place: Place, from: Place, files: &[String]) -> String {
    match files.get(place.file as usize) {
        Some(file) if place.file != from.file => format!("{file} line {}", place.line),
        _ => format!("line {}", place.line),
    }
}
