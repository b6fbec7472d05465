//! The part of validation that processes the digests of blocks in order.

mod generated;

use std::collections::{HashMap, HashSet};

use agentgen_core::EndReason;
use agentgen_trace::Layout;

use super::cumulative::Cumulative;
use super::digest::{Digest, IdRun, Name, RowSummary, Span, hash};
use super::expected_ids::{ExpectedIds, UnexpectedId};
use super::findings::Findings;
use super::incremental::{Incremental, Reuse};
use super::links;
use super::pending_checks::{Child, Duplicate, PendingChecks, Split, add_check};
use super::regenerated::Regenerated;
use super::rules;
use super::session::Session;
use super::trace_rules::TraceRules;
use agentgen_trace::diagnostic::{Diagnostic, Place};

/// State between blocks.
pub(crate) struct Merge<'a> {
    trace_rules: &'a TraceRules,
    limit: usize,
    pub findings: Findings,
    file: u32,
    /// Lines of the file before the block.
    lines: u64,
    /// Whether the last line is unreadable.
    after_fault: bool,
    /// Whether an earlier line is unreadable.
    has_lost_lines: bool,
    /// Whether ids of an earlier row are unknown.
    has_lost_ids: bool,
    current: Option<Session>,
    /// Cumulative: open sessions, whose rows may be interleaved.
    open: HashMap<u64, Session>,
    names: HashSet<u64>,
    splits: HashMap<u64, Split>,
    ids: Ids,
    pub pending_checks: PendingChecks,
    /// Rows of each file.
    pub rows: Vec<u64>,
    pub sessions: u64,
    reuses: Vec<Reuse>,
    expected_ids: ExpectedIds,
    unexpected_ids: Vec<UnexpectedId>,
    /// Lines of the block whose ids break `id-space` on their own.
    out_of_space: Vec<u32>,
    /// The last generated root session of the file, and the number of them in all files.
    last_root: Option<u64>,
    root_sessions: u64,
    regenerated: Option<Regenerated<'a>>,
}

enum Ids {
    Incremental(Incremental),
    Cumulative(Cumulative),
}

impl<'a> Merge<'a> {
    pub fn new(trace_rules: &'a TraceRules, limit: usize) -> Self {
        let ids = match trace_rules.layout {
            Layout::Incremental => Ids::Incremental(Incremental::default()),
            Layout::Cumulative => Ids::Cumulative(Cumulative::default()),
        };
        Self {
            trace_rules,
            limit,
            findings: Findings::new(limit),
            file: 0,
            lines: 0,
            after_fault: false,
            has_lost_lines: false,
            has_lost_ids: false,
            current: None,
            open: HashMap::new(),
            names: HashSet::new(),
            splits: HashMap::new(),
            ids,
            pending_checks: PendingChecks::default(),
            rows: Vec::new(),
            sessions: 0,
            reuses: Vec::new(),
            expected_ids: ExpectedIds::default(),
            unexpected_ids: Vec::new(),
            out_of_space: Vec::new(),
            last_root: None,
            root_sessions: 0,
            regenerated: trace_rules.generated.as_ref().map(Regenerated::new),
        }
    }

    /// Adds the next block of a file.
    pub fn take(&mut self, file: u32, digest: &mut Digest) {
        if file != self.file {
            (self.file, self.lines, self.last_root) = (file, 0, None);
        }
        self.rows.resize(file as usize + 1, 0);
        self.rows[file as usize] += digest.count;
        self.out_of_space.clear();
        for (line, diagnostic) in digest.diagnostics.drain(..) {
            if diagnostic.rule == rules::ID_SPACE {
                self.out_of_space.push(line);
            }
            self.findings.add(Diagnostic { field: None, ..diagnostic }.at(self.place(line)));
        }
        for index in 0..digest.spans.len() {
            let after_fault = std::mem::take(&mut self.after_fault) || digest.spans[index].after_fault;
            self.span(digest, index, after_fault);
        }
        self.after_fault |= digest.ends_with_fault;
        match &mut self.ids {
            Ids::Incremental(ids) => ids.push_partial(digest),
            Ids::Cumulative(ids) => ids.push_partial(digest),
        }
        self.lines += digest.lines;
    }

    fn place(&self, line: u32) -> Place {
        Place { file: self.file, line: self.lines + u64::from(line) + 1 }
    }

    fn span(&mut self, digest: &mut Digest, index: usize, after_fault: bool) {
        self.has_lost_lines |= after_fault;
        self.has_lost_ids |= after_fault;
        let name = digest.spans[index].name.take();
        let span = &digest.spans[index];
        let first = digest.rows[span.rows.start as usize];
        let continues = name.is_some() && self.current.as_ref().is_some_and(|c| c.name == name);
        if !continues {
            self.retire(after_fault);
        }
        let known = if continues { self.current.take() } else { name.as_ref().and_then(|n| self.open.remove(&n.hash)) };
        let mut session = known.unwrap_or_else(|| self.start(name, span, &first, after_fault));
        if after_fault && !session.is_new() {
            session.mark_lost_row();
            self.expected_ids.mark_lost_row();
        }
        let starts = session.is_new();
        self.regenerate(digest, index, &session, after_fault);
        let rows = &digest.rows[span.rows.start as usize..span.rows.end as usize];
        for row in rows {
            session.push(row, self.place(row.line), self.trace_rules, &mut self.findings);
        }
        match &mut self.ids {
            Ids::Incremental(ids) => ids.push(digest, span, starts, self.has_lost_ids, &mut self.reuses),
            Ids::Cumulative(ids) => ids.push(digest, span),
        }
        self.has_lost_ids |= rows.iter().any(|row| row.ids == 0);
        self.check_generated_ids(digest, index, &session, starts);
        for i in 0..self.reuses.len() {
            let reuse = self.reuses[i];
            let place = self.place(digest.rows[reuse.row as usize].line);
            add_check(&mut self.pending_checks.reuses, (place, reuse), self.limit, &mut self.findings);
        }
        if self.trace_rules.layout == Layout::Cumulative && self.trace_rules.is_generated() {
            self.prompts(digest, &digest.spans[index], &mut session);
        } else if self.trace_rules.linked {
            let span = &digest.spans[index];
            if starts && !after_fault {
                self.links(digest, span, &first);
            }
            let runs = &digest.runs[span.runs.start as usize..span.runs.end as usize];
            session.prompt.clear();
            session.prompt.extend(runs.iter().filter(|run| run.row + 1 == span.rows.end));
        }
        self.current = Some(session);
    }

    /// Ends the current session, or sets it aside. `is_cut`: its last row may be missing.
    fn retire(&mut self, is_cut: bool) {
        let Some(mut session) = self.current.take() else { return };
        session.is_cut |= is_cut;
        match &session.name {
            Some(name)
                if self.trace_rules.linked
                    || (session.end.is_none() && self.trace_rules.layout == Layout::Cumulative) =>
            {
                self.open.insert(name.hash, session);
            }
            _ => self.close(session),
        }
    }

    /// Compares the rows of a span with those that the configuration gives.
    fn regenerate(&mut self, digest: &Digest, index: usize, session: &Session, after_fault: bool) {
        let span = &digest.spans[index];
        let place = self.place(digest.rows[span.rows.start as usize].line);
        let (Some(generated), Some(name)) = (&mut self.regenerated, &session.name) else { return };
        if session.is_new() {
            let found = generated.begin(&name.text, self.has_lost_lines);
            if let Some(found) = found {
                self.findings.add(found.at(place));
            }
        }
        if let Some((line, found)) =
            generated.check(digest, span, session.turns()).filter(|_| !after_fault && !session.is_cut)
        {
            let place = self.place(line);
            self.findings.add(found.at(place));
        }
    }

    fn close(&mut self, session: Session) {
        session.close(self.trace_rules, &mut self.findings);
        if let (Some(name), Some(EndReason::RestartSplit)) = (&session.name, session.end) {
            let (next_context, group) = (session.next_context(), session.group);
            let root =
                session.lineage.filter(|lineage| !lineage.is_continuation).map(|lineage| (lineage.root, session.last));
            // In the cumulative layout, rows of sessions are interleaved, and prompts repeat all earlier ids.
            let has_inputs = root.is_some() && self.trace_rules.layout == Layout::Incremental && !session.is_cut;
            let inputs = if has_inputs { self.expected_ids.inputs() } else { None };
            self.splits.insert(name.hash, Split { next_context, group, prompt: session.prompt, root, inputs });
        }
    }

    /// Closes the sessions of a generated bundle, which no later session is linked to but by a restart.
    fn end_bundle(&mut self) {
        let sessions: Vec<Session> = self.open.drain().map(|(_, session)| session).collect();
        for session in sessions {
            self.close(session);
        }
    }

    fn start(&mut self, name: Option<Name>, span: &Span, first: &RowSummary, after_fault: bool) -> Session {
        if self.regenerated.is_some() && !first.is_member {
            self.end_bundle();
        }
        self.sessions += 1;
        let place = self.place(first.line);
        let mut is_cut = after_fault;
        let lineage =
            self.trace_rules.origin.as_ref().zip(name.as_ref()).and_then(|(known, name)| known.lineage(&name.text));
        if let Some(name) = &name
            && !self.names.insert(name.hash)
        {
            let starts = first.derived.map_or(first.delay.is_none(), |d| d.turn_index == 0);
            is_cut |= !starts;
            let duplicate = Duplicate { place, name: name.clone(), starts };
            add_check(&mut self.pending_checks.duplicates, duplicate, self.limit, &mut self.findings);
        } else if let Some(lineage) = lineage {
            self.order(lineage, place);
        }
        let mut session = Session::new(name, lineage, is_cut);
        if let Some(parent) = span.parent.as_ref().filter(|_| !first.is_member)
            && !first.is_faulty
        {
            session.prompt = self.continuation(parent, place, first, &session);
        }
        session
    }

    /// Checks how a session of a trace with links begins. Its parent's rows came before it.
    fn links(&mut self, digest: &Digest, span: &Span, first: &RowSummary) {
        let Some(links) = span.links.as_deref().filter(|_| !first.is_faulty) else { return };
        let place = self.place(first.line);
        links::fields(links, first.has_parent, place, self.trace_rules, &mut self.findings);
        let Some(parent) = span.parent.as_deref().filter(|_| first.is_member) else { return };
        let hash = hash(parent);
        if let Some(known) = self.open.get(&hash) {
            let runs = &digest.runs[span.runs.start as usize..span.runs.end as usize];
            let own = runs.iter().take_while(|run| run.row == span.rows.start).count();
            let prompt = &runs[..own];
            links::against_parent(links, first, prompt, known, place, self.trace_rules, &mut self.findings);
        } else if !self.names.contains(&hash) && !self.has_lost_lines {
            let found = format!("parent_session_id {parent:?}, not the session_id of an earlier row");
            let expected = "the parent session earlier in the data set";
            self.findings.add(Diagnostic::new(rules::PARENT_MISSING, found, expected).at(place));
        }
    }

    /// Checks a continuation against its parent; returns the parent's last prompt.
    fn continuation(&mut self, parent: &str, place: Place, first: &RowSummary, session: &Session) -> Vec<IdRun> {
        let hash = hash(parent);
        let child = Child { place, parent: Name { text: parent.into(), hash }, input: first.input, group: first.group };
        if let Some(split) = self.splits.get(&hash) {
            if !session.is_cut {
                child.check(split, self.trace_rules, &mut self.findings);
            }
            if let (Some((theirs, _)), Some(ours)) = (split.root, session.lineage)
                && theirs != ours.root
            {
                let found = format!("parent_session_id {parent:?}, whose root session differs");
                let expected = "the session that this session_id continues";
                self.findings.add(Diagnostic::new(rules::RESTART_FIELDS, found, expected).at(place));
            }
            return split.prompt.clone();
        }
        if session.name.as_ref().is_some_and(|name| *name == child.parent) {
            let found = format!("parent_session_id {parent:?}, the session itself");
            let expected = "the parent session earlier in the data set";
            self.findings.add(Diagnostic::new(rules::PARENT_MISSING, found, expected).at(place));
            return Vec::new();
        }
        // The parent or its last row may be missing.
        if self.has_lost_lines {
            return Vec::new();
        }
        if self.names.contains(&hash) {
            self.pending_checks.children.push(child);
        } else {
            self.findings.add(Diagnostic {
                severity: self.trace_rules.parent_missing,
                ..Diagnostic::new(
                    rules::PARENT_MISSING,
                    format!("parent_session_id {parent:?}, not the session_id of an earlier row"),
                    "the parent session earlier in the data set",
                )
                .at(place)
            });
        }
        Vec::new()
    }

    /// Checks that every generated prompt begins with the full blocks of the prompt before it.
    fn prompts(&mut self, digest: &Digest, span: &Span, session: &mut Session) {
        let mut runs = &digest.runs[span.runs.start as usize..span.runs.end as usize];
        for index in span.rows.start..span.rows.end {
            let row = &digest.rows[index as usize];
            let (own, rest) = runs.split_at(runs.iter().take_while(|r| r.row == index).count());
            runs = rest;
            if row.ids > 0 && !begins_with(own, &session.prompt) {
                let place = self.place(row.line);
                let found = "hash_ids that do not begin with all full blocks of the prompt before";
                let expected =
                    "a prompt that continues the session's previous one (of a continuation: the parent's last)";
                self.findings.add(Diagnostic::new(rules::PROMPT_PREFIX, found, expected).at(place));
            }
            session.prompt.clear();
            session.prompt.extend_from_slice(own);
        }
    }

    /// Ends the first pass, after all blocks.
    pub fn finish(mut self, files: usize) -> Merged {
        self.rows.resize(files, 0);
        self.retire(self.after_fault);
        let mut open: Vec<Session> = self.open.drain().map(|(_, s)| s).collect();
        open.sort_by(|a, b| a.name.as_ref().map(|n| &n.text).cmp(&b.name.as_ref().map(|n| &n.text)));
        for session in open {
            self.close(session);
        }
        self.missing_continuations();
        if let Some(found) = self.regenerated.as_ref().filter(|_| !self.has_lost_lines).and_then(Regenerated::end) {
            self.findings.add(found.at(Place { file: self.file, line: self.lines }));
        }
        // A shard of a generated data set may be empty; the data set may not.
        let may_be_empty =
            (self.trace_rules.is_generated() || self.regenerated.is_some()) && self.rows.iter().any(|rows| *rows > 0);
        for (file, _) in self.rows.iter().enumerate().filter(|(_, rows)| **rows == 0 && !may_be_empty) {
            let place = Place { file: file as u32, line: 0 };
            self.findings.add(Diagnostic::new(rules::EMPTY, "no rows", "at least one row").at(place));
        }
        self.pending_checks.suspects = match self.ids {
            Ids::Incremental(ids) => ids.suspects(),
            Ids::Cumulative(ids) => ids.suspects(),
        };
        Merged {
            findings: self.findings,
            pending_checks: self.pending_checks,
            rows: self.rows.iter().sum(),
            sessions: self.sessions,
        }
    }
}

/// The result of the first pass.
pub(crate) struct Merged {
    pub findings: Findings,
    pub pending_checks: PendingChecks,
    pub rows: u64,
    pub sessions: u64,
}

fn begins_with(runs: &[IdRun], prompt: &[IdRun]) -> bool {
    let Some((last, whole)) = prompt.split_last() else { return true };
    runs.len() >= prompt.len()
        && whole.iter().zip(runs).all(|(p, r)| (p.start, p.end) == (r.start, r.end))
        && runs[whole.len()].start == last.start
        && runs[whole.len()].end >= last.end
}
