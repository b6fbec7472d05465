//! Rules over the rows of a session.

use agentgen_core::EndReason;
use agentgen_engine::text::counted;
use agentgen_trace::Layout;

use super::digest::{IdRun, Name, RowSummary};
use super::findings::Findings;
use super::rules;
use super::trace_rules::{Lineage, TraceRules};
use agentgen_trace::diagnostic::{Diagnostic, Place};
use agentgen_trace::row::{MAX_TIME_MS, TIME};

/// A session that is being read.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // two repeat fields of its first row
pub(crate) struct Session {
    /// `None` for a row that names no session.
    pub name: Option<Name>,
    /// Set for a generated session with a valid name.
    pub lineage: Option<Lineage>,
    pub last: Place,
    rows: u32,
    /// Prompt and output tokens of the last row; `None` after an unreadable row.
    tokens: Option<(u64, u32)>,
    timestamp: Option<f64>,
    /// Its arrival and all delays, ms; NaN once told to be too late.
    end_ms: f64,
    pub group: Option<u32>,
    has_restart: bool,
    has_parent: bool,
    pub end: Option<EndReason>,
    is_over_limit: bool,
    /// Whether its first or last row may be missing.
    pub is_cut: bool,
    /// Full blocks of the last prompt, if the next prompt must begin with them.
    pub prompt: Vec<IdRun>,
}

impl Session {
    /// A session before its first row. `is_cut`: earlier rows of it may be missing.
    pub fn new(name: Option<Name>, lineage: Option<Lineage>, is_cut: bool) -> Self {
        Self {
            name,
            lineage,
            last: Place::default(),
            rows: 0,
            tokens: None,
            timestamp: None,
            end_ms: 0.0,
            group: None,
            has_restart: false,
            has_parent: false,
            end: None,
            is_over_limit: false,
            is_cut,
            prompt: Vec::new(),
        }
    }

    /// Rows so far.
    pub fn turns(&self) -> u32 {
        self.rows
    }

    /// Tokens of the last prompt; `None` after an unreadable row.
    pub fn last_context(&self) -> Option<u64> {
        self.tokens.map(|(context, _)| context)
    }

    /// Tokens that a continuation's first prompt holds.
    pub fn next_context(&self) -> Option<u64> {
        self.tokens.map(|(context, output)| context + u64::from(output))
    }

    /// Whether no row was added yet.
    pub fn is_new(&self) -> bool {
        self.rows == 0
    }

    /// Notes an unreadable line, which may belong to the session.
    pub fn mark_lost_row(&mut self) {
        self.tokens = None;
    }

    /// Adds the session's next row.
    pub fn push(&mut self, row: &RowSummary, place: Place, trace_rules: &TraceRules, out: &mut Findings) {
        let mut error = |place, rule, found: String, expected: &str| {
            out.add(Diagnostic::new(rule, found, expected).at(place));
        };
        let is_first = self.rows == 0;
        if let Some(end) = self.end.take() {
            let found = format!("end_reason {:?}, and another row of the session in line {}", end.name(), place.line);
            error(self.last, rules::END_PLACE, found, "end_reason on the session's last row only");
        }
        if row.is_faulty {
            (self.tokens, self.end) = (None, row.end);
            self.is_cut |= is_first;
        } else {
            // A row after an unreadable line may only look like a first row.
            if !(is_first && self.is_cut && row.delay.is_some()) {
                timing(row, is_first, place, trace_rules, &mut error);
            }
            if is_first {
                (self.group, self.has_restart, self.has_parent) = (row.group, row.has_restart, row.has_parent);
                self.first_row(row, place, trace_rules, &mut error);
            } else {
                self.later_row(row, place, &mut error);
            }
            self.times(row, is_first, place, &mut error);
            self.context(row, is_first, place, trace_rules, &mut error);
            self.end = row.end;
            if let (Some(known), Some(lineage), Some(end)) = (&trace_rules.origin, self.lineage, self.end)
                && !known.can_end(end, lineage.is_continuation)
            {
                let which = if lineage.is_continuation { "a continuation" } else { "a session" };
                let found = format!("end_reason {:?} of {which}", end.name());
                error(place, rules::END_REASON, found, "an end_reason that the configuration allows");
            }
        }
        self.rows += 1;
        self.last = place;
    }

    fn first_row(
        &self,
        row: &RowSummary,
        place: Place,
        trace_rules: &TraceRules,
        error: &mut impl FnMut(Place, &'static str, String, &str),
    ) {
        if trace_rules.is_generated() && row.has_restart != row.has_parent {
            let found = if row.has_restart {
                "is_restart without parent_session_id"
            } else {
                "parent_session_id without is_restart"
            };
            error(place, rules::RESTART_FIELDS, found.into(), "both on a continuation's first row, else neither");
        }
        if let Some(lineage) = self.lineage
            && row.has_restart == row.has_parent
            && row.has_restart != lineage.is_continuation
            && !self.is_cut
        {
            let (found, expected) = if lineage.is_continuation {
                ("no is_restart and parent_session_id", "both: the session_id is a continuation's")
            } else {
                ("is_restart and parent_session_id", "neither: the session_id is a root session's")
            };
            error(place, rules::RESTART_FIELDS, found.into(), expected);
        }
        if let (Some(known), Some(group)) = (&trace_rules.origin, row.group)
            && group >= known.groups()
        {
            let expected = format!("a group below num_groups = {}", known.groups());
            error(place, rules::GROUP, format!("group_id {group}"), &expected);
        }
        if trace_rules.is_generated() && row.group.is_none() && !self.is_cut {
            error(place, rules::GROUP, "no group_id".into(), "group_id on a session's first row");
        }
    }

    fn later_row(&self, row: &RowSummary, place: Place, error: &mut impl FnMut(Place, &'static str, String, &str)) {
        if row.derived.is_some() {
            if !self.is_cut && (row.has_restart, row.has_parent) != (self.has_restart, self.has_parent) {
                let found = "is_restart or parent_session_id differ from the session's first row".into();
                error(place, rules::RESTART_FIELDS, found, "the same on every row of a session");
            }
        } else if row.has_restart || row.has_parent {
            let field = if row.has_restart { "is_restart" } else { "parent_session_id" };
            let found = format!("{field} on row {} of a session", self.rows + 1);
            error(place, rules::RESTART_FIELDS, found, "on a session's first row only");
        }
        if let Some(group) = row.group
            && self.group != Some(group)
            && !self.is_cut
        {
            let first = self.group.map_or("none".into(), |g| g.to_string());
            let found = format!("group_id {group}, on the session's first row {first}");
            error(place, rules::GROUP, found, "one group per session, on its first row");
        }
    }

    fn times(
        &mut self,
        row: &RowSummary,
        is_first: bool,
        place: Place,
        error: &mut impl FnMut(Place, &'static str, String, &str),
    ) {
        self.end_ms += row.timestamp.filter(|_| is_first).or(row.delay).unwrap_or(0.0);
        if self.end_ms > MAX_TIME_MS {
            let found = format!("a session that lasts until {} ms", self.end_ms);
            error(place, rules::RANGE, found, TIME);
            self.end_ms = f64::NAN;
        }
        if let (Some(before), Some(now)) = (self.timestamp, row.timestamp)
            && now < before
        {
            let found = format!("timestamp {now} after {before} in line {}", self.last.line);
            error(place, rules::TIME_ORDER, found, "timestamps of a session that do not decrease");
        }
        self.timestamp = row.timestamp.or(self.timestamp);
    }

    fn context(
        &mut self,
        row: &RowSummary,
        is_first: bool,
        place: Place,
        trace_rules: &TraceRules,
        error: &mut impl FnMut(Place, &'static str, String, &str),
    ) {
        let input = u64::from(row.input);
        let returned = |(context, output): (u64, u32)| context + u64::from(row.returned.unwrap_or(output).min(output));
        let before = if is_first { (!self.is_cut).then_some(0) } else { self.tokens.map(returned) };
        let context = match trace_rules.layout {
            Layout::Cumulative => Some(input),
            Layout::Incremental => before.map(|b| b + input),
        };
        self.tokens = context.map(|c| (c, row.output));
        let Some(context) = context else { return };
        if let Some(before) = before
            && context <= before
            && !is_first
            && trace_rules.is_generated()
        {
            let expected = format!("more than {before}, the context and output of the row before");
            error(place, rules::CONTEXT_GROWTH, format!("a prompt of {}", counted(context, "token")), &expected);
        }
        if let Some(max) = trace_rules.max_prompt_tokens()
            && context >= u64::from(max)
            && !std::mem::replace(&mut self.is_over_limit, true)
        {
            let found = format!("a prompt of {}", counted(context, "token"));
            error(place, rules::CONTEXT_LIMIT, found, &format!("fewer than max_prompt_tokens = {max}"));
        }
        let Some(derived) = row.derived else { return };
        if !self.is_cut && derived.turn_index != self.rows {
            let found = format!("turn_index {}", derived.turn_index);
            error(place, rules::DERIVED, found, &format!("{}: rows of a session in order, from 0", self.rows));
        }
        // Prompts of other traces may have been rewritten from turn to turn.
        let Some(before) = before.filter(|_| trace_rules.layout == Layout::Incremental || trace_rules.is_generated())
        else {
            return;
        };
        if u64::from(derived.context_length) != before + u64::from(derived.input_length) {
            let found = format!("context_length {}, input_length {}", derived.context_length, derived.input_length);
            let expected = format!("context_length = input_length + {before}, the tokens before this row");
            error(place, rules::DERIVED, found, &expected);
        }
    }

    /// Ends the session.
    pub fn close(&self, trace_rules: &TraceRules, out: &mut Findings) {
        if trace_rules.is_generated()
            && self.end.is_none()
            && !self.is_cut
            && self.name.is_some()
            && self.tokens.is_some()
        {
            let expected =
                "end_reason on a generated session's last row; the file seems truncated if this is its last row";
            out.add(Diagnostic::new(rules::END_PLACE, "no end_reason", expected).at(self.last));
        }
    }
}

fn timing(
    row: &RowSummary,
    is_first: bool,
    place: Place,
    trace_rules: &TraceRules,
    error: &mut impl FnMut(Place, &'static str, String, &str),
) {
    let (timestamp, delay) = (row.timestamp.is_some(), row.delay.is_some());
    let is_table = row.derived.is_some();
    let expected = match trace_rules.layout {
        // It begins at its delay after the response that starts it.
        _ if is_first && row.is_member => timestamp.then_some("").ok_or("timestamp on a session's first row"),
        _ if is_first => (timestamp && !delay).then_some("").ok_or("timestamp and no delay on a session's first row"),
        _ if is_table => (timestamp || delay).then_some("").ok_or("delay_ms on a session's later rows"),
        Layout::Cumulative => (timestamp && !delay).then_some("").ok_or("timestamp and no delay on every row"),
        Layout::Incremental if trace_rules.is_generated() => {
            (delay && !timestamp).then_some("").ok_or("delay and no timestamp on a session's later rows")
        }
        Layout::Incremental => (timestamp != delay).then_some("").ok_or("delay or timestamp, not both, on a later row"),
    };
    if let Err(expected) = expected {
        let found = match (timestamp, delay) {
            (true, true) => "timestamp and delay",
            (true, false) => "timestamp alone",
            (false, true) => "delay alone",
            (false, false) => "neither timestamp nor delay",
        };
        error(place, rules::TIMING, found.into(), expected);
    }
}
