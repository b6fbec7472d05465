//! Derives the columns that depend on earlier rows of a session: turn, context, new tokens, delay, group and parent.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use super::json_key::MAX_LENGTH;
use super::parsed::RowHeader;
use crate::diagnostic::Diagnostic;
use crate::meta::Layout;
use crate::row::RowLinks;

/// The columns that depend on a session's earlier rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Derived {
    pub turn_index: u32,
    pub input_length: u32,
    pub context_length: u32,
    pub delay: Option<f64>,
    pub group_id: Option<u32>,
    pub is_restart: bool,
}

/// Totals of a session's rows so far.
#[derive(Debug, Default)]
struct State {
    turns: u32,
    context: u32,
    output: u32,
    timestamp: Option<f64>,
    group_id: Option<u32>,
    is_restart: bool,
    parent: Option<String>,
    /// What its first row says of its links.
    links: Option<Box<RowLinks>>,
}

/// Tracks the sessions of a trace from row to row, in the order of its files.
#[derive(Debug)]
pub(super) struct Sessions {
    layout: Layout,
    current: String,
    state: State,
    /// Incremental: hashes of the names of ended sessions. Among a million names, two share a hash with probability
    /// 3e-8; among a billion, with a few per cent.
    ended: HashSet<u64>,
    hasher: RandomState,
    /// Cumulative: all other sessions; each may have further rows.
    others: HashMap<String, State>,
}

impl Sessions {
    pub(super) fn new(layout: Layout) -> Self {
        let (current, state, others) = (String::new(), State::default(), HashMap::new());
        Self { layout, current, state, ended: HashSet::new(), hasher: RandomState::new(), others }
    }

    /// Name of the session that the last row's session continues.
    pub(super) fn parent(&self) -> Option<&str> {
        self.state.parent.as_deref()
    }

    /// What the first row of the last row's session says of its links.
    pub(super) fn links(&self) -> Option<&RowLinks> {
        self.state.links.as_deref()
    }

    /// Derives the columns of the next row; `text` holds its names.
    pub(super) fn derive(&mut self, row: &RowHeader, text: &str) -> Result<Derived, Diagnostic> {
        self.enter(row.session.clone().map_or("", |span| &text[span]))?;
        let state = &mut self.state;
        let is_first = state.turns == 0;
        let links = row.links.as_deref();
        let returned = links.and_then(|links| links.returned_length).map_or(state.output, |n| n.min(state.output));
        let before = u64::from(state.context) + u64::from(returned);
        let stated = u64::from(row.input_length);
        let (input, context) = match self.layout {
            Layout::Incremental => (stated, before + stated),
            // A prompt that is not longer than the context before it starts a new one: all its tokens are new.
            Layout::Cumulative => (if stated > before { stated - before } else { stated }, stated),
        };
        if context > MAX_LENGTH {
            let found = format!("a context of {context} tokens");
            return Err(Diagnostic::new("range", found, format!("at most {MAX_LENGTH}")));
        }
        let elapsed = || match self.layout {
            Layout::Incremental => None,
            Layout::Cumulative => difference(state.timestamp?, row.timestamp?),
        };
        let delay = if is_first { links.and_then(|links| links.start_delay) } else { row.delay.or_else(elapsed) };
        if is_first {
            state.links.clone_from(&row.links);
        }
        state.group_id = row.group_id.or(state.group_id);
        state.is_restart |= row.is_restart.unwrap_or(false);
        if let Some(span) = row.parent.clone() {
            state.parent = Some(text[span].to_owned());
        }
        let derived = Derived {
            turn_index: state.turns,
            input_length: input as u32,
            context_length: context as u32,
            delay,
            group_id: state.group_id,
            is_restart: state.is_restart,
        };
        state.turns += 1;
        (state.context, state.output) = (context as u32, row.output_length);
        state.timestamp = row.timestamp.or(state.timestamp);
        Ok(derived)
    }

    /// Switches to the session of the next row. A row without a name is a session of its own.
    fn enter(&mut self, name: &str) -> Result<(), Diagnostic> {
        if name == self.current && !name.is_empty() {
            return Ok(());
        }
        let last_name = std::mem::replace(&mut self.current, name.to_owned());
        let last = std::mem::take(&mut self.state);
        match self.layout {
            Layout::Incremental => {
                if !last_name.is_empty() {
                    self.ended.insert(self.hasher.hash_one(&last_name));
                }
                if !name.is_empty() && self.ended.contains(&self.hasher.hash_one(name)) {
                    let found = format!("session_id {name} again after other sessions");
                    let split = Diagnostic::new("session-order", found, "the rows of a session one after the other");
                    return Err(split.with_help("agentgen convert --group puts them together"));
                }
            }
            Layout::Cumulative => {
                if !last_name.is_empty() {
                    self.others.insert(last_name, last);
                }
                self.state = self.others.remove(name).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// The time from `start` to `end`: exact if both are whole tenths of a millisecond; `None` if negative.
#[expect(clippy::float_cmp, reason = "whether a time is checked_cast a tenth is the question")]
fn difference(start: f64, end: f64) -> Option<f64> {
    let tenths = |ms: f64| Some((ms * 10.0).round()).filter(|t| t / 10.0 == ms);
    let exact = tenths(start).zip(tenths(end)).map(|(start, end)| (end - start) / 10.0);
    Some(exact.unwrap_or(end - start)).filter(|ms| *ms >= 0.0)
}
