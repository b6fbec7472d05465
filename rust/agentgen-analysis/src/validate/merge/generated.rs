//! What configuration and seed determine across the rows of a generated trace.

use agentgen_trace::Layout;

use super::Merge;
use crate::validate::digest::{Digest, hash};
use crate::validate::fresh::Start;
use crate::validate::rules;
use crate::validate::session::Session;
use crate::validate::trace_rules::Lineage;
use agentgen_trace::diagnostic::{Diagnostic, Place};

impl Merge<'_> {
    /// Generated primaries come by index; at least a quarter of them start between a session and its continuation.
    pub(super) fn order(&mut self, lineage: Lineage, place: Place) {
        self.primaries += u64::from(!lineage.is_continuation);
        let Some(known) = self.trace_rules.origin.as_ref().filter(|_| !self.has_lost_lines) else { return };
        let last = self.last_primary;
        let (is_wrong, next) = if lineage.is_continuation {
            (last.is_none_or(|last| last < lineage.run + known.gap()), lineage.run + known.gap())
        } else {
            self.last_primary = Some(lineage.run);
            (last.is_some_and(|last| lineage.run != last + 1), last.map_or(0, |last| last + 1))
        };
        if is_wrong {
            let what = if lineage.is_continuation { "continuation of run" } else { "run" };
            let after = last.map_or("the start of the file".to_owned(), |last| format!("run {last}"));
            let found = format!("{what} {} after {after}", lineage.run);
            let name = known.names.name(next, false);
            let or_later = if lineage.is_continuation { " or a later run's, before it" } else { ", the next run's" };
            let expected = format!("session {:?}{or_later}", &*name);
            self.findings.add(Diagnostic::new(rules::SESSION_ORDER, found, expected).at(place));
        }
    }

    /// Holds the ids of a generated session's rows against the lengths of its turns.
    pub(super) fn fresh(&mut self, digest: &Digest, index: usize, session: &Session, starts: bool) {
        let Some(lineage) = session.lineage.filter(|_| self.trace_rules.layout == Layout::Incremental) else { return };
        let span = &digest.spans[index];
        let split = span.parent.as_ref().filter(|_| starts).and_then(|parent| self.splits.get(&hash(parent)));
        let parent =
            split.filter(|s| s.run.is_some_and(|(run, _)| run == lineage.run)).and_then(|s| s.inputs.as_deref());
        let start = starts.then_some(Start { is_cut: session.is_cut, parent });
        self.fresh.push((digest, span), (self.trace_rules, lineage), start, &mut self.strays);
        for stray in self.strays.drain(..) {
            let line = digest.rows[stray.row as usize].line;
            if self.out_of_space.binary_search(&line).is_ok() {
                continue;
            }
            let place = Place { file: self.file, line: self.lines + u64::from(line) + 1 };
            let (found, expected) =
                (format!("id {}", stray.found), format!("id {}, the one that follows", stray.expected));
            self.findings.add(Diagnostic::new(rules::ID_SPACE, found, expected).at(place));
        }
    }

    /// Every session that was split is continued, where all sessions are there.
    pub(super) fn missing_continuations(&mut self) {
        let Some(known) = self.trace_rules.origin.as_ref().filter(|k| k.sessions == self.primaries) else { return };
        if self.has_lost_lines {
            return;
        }
        for (run, last) in self.splits.values().filter_map(|split| split.run) {
            let name = known.names.name(run, true);
            if !self.names.contains(&hash(&name)) {
                let found = format!("end_reason \"restart_split\", and no session {:?}", &*name);
                let expected = "the session that continues this one, later in the data set";
                self.findings.add(Diagnostic::new(rules::CONTINUATION_MISSING, found, expected).at(last));
            }
        }
    }
}
