//! Compares generated rows of a trace with links with those that its configuration and seed give.
//!
//! Ids of such rows depend on the rows of other sessions, so bundles are generated again instead of checked by rules.

use agentgen_core::agents::ALL;
use agentgen_core::ids::IdRange;
use agentgen_core::{ConfigError, DatasetSpec, RowIds, Session as Made, SessionGenerator};
use agentgen_engine::text::counted;
use agentgen_trace::Layout;
use agentgen_trace::diagnostic::Diagnostic;

use super::digest::{Digest, RowSummary, Span};
use super::expected_ids::Cursor;
use super::rules;

/// What a row must be.
#[derive(Debug)]
struct ExpectedRow {
    /// What its ids cover.
    tokens: u32,
    output: u32,
    returned: Option<u32>,
    delay_ms: Option<f64>,
    /// Ids of full blocks, or of all chunks.
    ids: Vec<IdRange>,
}

/// A session of the bundle that is being read.
#[derive(Debug)]
struct ExpectedSession {
    name: String,
    rows: Vec<ExpectedRow>,
}

/// The sessions of the bundle that is being read.
#[derive(Debug)]
pub(crate) struct Regenerated<'a> {
    spec: &'a DatasetSpec,
    generator: SessionGenerator<'a>,
    bundle: Vec<ExpectedSession>,
    /// Index in the bundle of the session that comes next.
    next: usize,
    /// Index of the session that is being read; `None` if the data set has no such session.
    current: Option<usize>,
    /// Rows of it so far.
    rows: u32,
}

impl<'a> Regenerated<'a> {
    pub(crate) fn new(spec: &'a DatasetSpec) -> Self {
        Self { spec, generator: SessionGenerator::new(spec), bundle: Vec::new(), next: 0, current: None, rows: 0 }
    }

    /// Begins a session. `is_gap`: sessions before it may be missing.
    pub(crate) fn begin(&mut self, name: &str, is_gap: bool) -> Option<Diagnostic> {
        let short = self.missing_row().filter(|_| !is_gap);
        self.rows = 0;
        self.begin_session(name, is_gap).or(short)
    }

    fn begin_session(&mut self, name: &str, is_gap: bool) -> Option<Diagnostic> {
        let head = self.spec.names().root_of(name).filter(|(root, _)| *root < self.spec.sessions());
        let missing = self.bundle.get(self.next).filter(|_| !is_gap).map(|session| session.name.clone());
        if let Some((root, is_restart)) = head {
            self.load(root, is_restart);
        }
        let place = self.bundle.iter().position(|session| session.name == name);
        let is_next = place.is_some() && (head.is_some() || place == Some(self.next));
        self.current = place;
        self.next = place.map_or(self.next, |place| place + 1);
        let expected = match missing {
            Some(missing) if head.is_some() || !is_next => {
                format!("session {missing:?}, the next one of the same tree")
            }
            _ if place.is_some() && (is_next || is_gap) => return None,
            _ => "a session that follows from the manifest's seed and session count".to_owned(),
        };
        Some(Diagnostic::new(rules::SESSION_ORDER, format!("session {name:?}"), expected))
    }

    /// What is missing after the last session.
    pub(crate) fn end(&self) -> Option<Diagnostic> {
        if let Some(found) = self.missing_row() {
            return Some(found);
        }
        let missing = self.bundle.get(self.next)?;
        let expected = format!("session {:?}, the next one of the same tree", missing.name);
        Some(Diagnostic::new(rules::SESSION_ORDER, "the end of the data set", expected))
    }

    /// Whether the session that was read last lacks rows.
    fn missing_row(&self) -> Option<Diagnostic> {
        let session = self.bundle.get(self.current?)?;
        let found = format!("{} of session {:?} before this row", counted(self.rows.into(), "row"), session.name);
        let is_short = (self.rows as usize) < session.rows.len();
        is_short.then(|| Diagnostic::new(rules::GENERATED_ROW, found, session.rows.len().to_string()))
    }

    fn load(&mut self, root: u64, is_restart: bool) {
        let Self { spec, generator, bundle, .. } = self;
        bundle.clear();
        let layout = spec.layout();
        let each = &mut |session: &Made<'_>| {
            let mut ids = RowIds::new(spec.ids(), layout, session);
            let is_member = session.member.is_some_and(|view| view.member.link.is_member());
            let start_delay = session.member.map_or(0, |view| view.member.start_delay_tenths);
            let row = |(index, turn): (usize, &agentgen_core::Turn)| {
                let mut ranges = Vec::new();
                ids.row(session, index, &mut ranges);
                let covered = if layout == Layout::Incremental { turn.input } else { turn.context };
                if layout == Layout::Cumulative && !covered.is_multiple_of(spec.config().block_size) {
                    // The partial block is not in the digest.
                    ranges.pop();
                }
                let delay_tenths = if index == 0 { is_member.then_some(start_delay) } else { Some(turn.delay_tenths) };
                ExpectedRow {
                    tokens: covered,
                    output: turn.output,
                    returned: (turn.returned != ALL).then_some(turn.returned),
                    delay_ms: delay_tenths.map(|tenths| tenths as f64 / 10.0),
                    ids: ranges,
                }
            };
            let rows = session.turns.iter().enumerate().map(row).collect();
            let name = session
                .member
                .map_or_else(String::new, |view| view.member.name(spec.names(), session.root).to_string());
            bundle.push(ExpectedSession { name, rows });
            Ok::<_, ConfigError>(())
        };
        // A configuration of agents makes every session.
        let _ = if is_restart { generator.restart_bundle(root, 0, each) } else { generator.root_bundle(root, 0, each) };
        self.next = 0;
    }

    /// Checks the rows of a span, whose first row is turn `turn` of the session; returns the first line that differs.
    pub(crate) fn check(&mut self, digest: &Digest, span: &Span, turn: u32) -> Option<(u32, Diagnostic)> {
        self.rows = turn + (span.rows.end - span.rows.start);
        let session = self.bundle.get(self.current?)?;
        let runs = &digest.runs[span.runs.start as usize..span.runs.end as usize];
        let mut ids = Cursor { runs, consumed: 0 };
        for (at, index) in span.rows.clone().enumerate() {
            let row = &digest.rows[index as usize];
            let Some(expected) = session.rows.get(turn as usize + at) else {
                let expected = format!("{} rows of this session", session.rows.len());
                return Some((row.line, Diagnostic::new(rules::GENERATED_ROW, "another row", expected)));
            };
            if row.is_faulty || row.ids == 0 {
                // The ids after it cannot be told from those that are missing.
                return None;
            }
            if let Some((found, expected)) = differs(row, expected) {
                return Some((row.line, Diagnostic::new(rules::GENERATED_ROW, found, expected)));
            }
            for range in &expected.ids {
                if let Some((found, id)) = ids.expect(range.first as i64, range.count as i64) {
                    let expected = format!("id {id}, the one that follows");
                    return Some((row.line, Diagnostic::new(rules::ID_SPACE, format!("id {found}"), expected)));
                }
            }
        }
        None
    }
}

/// Found and expected value of the first field that differs.
fn differs(row: &RowSummary, expected: &ExpectedRow) -> Option<(String, String)> {
    let number = |value: Option<u32>| value.map_or("none".to_owned(), |value| value.to_string());
    if row.input != expected.tokens {
        return Some((format!("input_length {}", row.input), expected.tokens.to_string()));
    }
    if row.output != expected.output {
        return Some((format!("output_length {}", row.output), expected.output.to_string()));
    }
    if row.returned != expected.returned {
        return Some((format!("returned_length {}", number(row.returned)), number(expected.returned)));
    }
    match (row.delay, expected.delay_ms) {
        (Some(found), Some(delay_ms)) if found != delay_ms => Some((format!("delay {found}"), delay_ms.to_string())),
        _ => None,
    }
}
