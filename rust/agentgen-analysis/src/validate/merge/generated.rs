//! Rules over the rows of generated traces.

use agentgen_trace::Layout;

use super::Merge;
use crate::validate::digest::{Digest, hash};
use crate::validate::expected_ids::Start;
use crate::validate::rules;
use crate::validate::session::Session;
use crate::validate::trace_rules::Lineage;
use agentgen_trace::diagnostic::{Diagnostic, Place};

impl Merge<'_> {
    /// Checks the order of generated sessions: root sessions come by index, and at least a quarter of them come between a
    /// session and its continuation.
    pub(super) fn order(&mut self, lineage: Lineage, place: Place) {
        self.root_sessions += u64::from(!lineage.is_continuation);
        let Some(known) = self.trace_rules.origin.as_ref().filter(|_| !self.has_lost_lines) else { return };
        let last = self.last_root;
        let (is_wrong, next) = if lineage.is_continuation {
            (last.is_none_or(|last| last < lineage.root + known.gap()), lineage.root + known.gap())
        } else {
            self.last_root = Some(lineage.root);
            (last.is_some_and(|last| lineage.root != last + 1), last.map_or(0, |last| last + 1))
        };
        if is_wrong {
            let what = if lineage.is_continuation { "continuation of root session" } else { "root session" };
            let after = last.map_or("the start of the file".to_owned(), |last| format!("root session {last}"));
            let found = format!("{what} {} after {after}", lineage.root);
            let name = known.names.name(next, false);
            let or_later =
                if lineage.is_continuation { " or a later root session before it" } else { ", the next root session" };
            let expected = format!("session {:?}{or_later}", &*name);
            self.findings.add(Diagnostic::new(rules::SESSION_ORDER, found, expected).at(place));
        }
    }

    /// Checks the ids of a generated session's rows against the lengths of its turns.
    pub(super) fn check_generated_ids(&mut self, digest: &Digest, index: usize, session: &Session, starts: bool) {
        let Some(lineage) = session.lineage.filter(|_| self.trace_rules.layout == Layout::Incremental) else { return };
        let span = &digest.spans[index];
        let split = span.parent.as_ref().filter(|_| starts).and_then(|parent| self.splits.get(&hash(parent)));
        let parent =
            split.filter(|s| s.root.is_some_and(|(root, _)| root == lineage.root)).and_then(|s| s.inputs.as_deref());
        let start = starts.then_some(Start { is_cut: session.is_cut, parent });
        self.expected_ids.push((digest, span), (self.trace_rules, lineage), start, &mut self.unexpected_ids);
        for unexpected in self.unexpected_ids.drain(..) {
            let line = digest.rows[unexpected.row as usize].line;
            if self.out_of_space.binary_search(&line).is_ok() {
                continue;
            }
            let place = Place { file: self.file, line: self.lines + u64::from(line) + 1 };
            let (found, expected) =
                (format!("id {}", unexpected.found), format!("id {}, the one that follows", unexpected.expected));
            self.findings.add(Diagnostic::new(rules::ID_SPACE, found, expected).at(place));
        }
    }

    /// Checks that every split session is continued, if all sessions are present.
    pub(super) fn missing_continuations(&mut self) {
        let Some(known) = self.trace_rules.origin.as_ref().filter(|k| k.sessions == self.root_sessions) else { return };
        if self.has_lost_lines {
            return;
        }
        for (root, last) in self.splits.values().filter_map(|split| split.root) {
            let name = known.names.name(root, true);
            if !self.names.contains(&hash(&name)) {
                let found = format!("end_reason \"restart_split\", and no session {:?}", &*name);
                let expected = "the session that continues this one, later in the data set";
                self.findings.add(Diagnostic::new(rules::CONTINUATION_PRESENT, found, expected).at(last));
            }
        }
    }
}
