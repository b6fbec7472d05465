//! Which sessions of a trace are played, up to which turn, and from when their times count.

use std::collections::HashMap;

use agentgen_engine::timeline::TimedSession as _;
use agentgen_trace::session::{Link, Session};
use agentgen_trace::transcript::Transcript;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// What is played of a trace; by default all of it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Most tokens of a request, prompt and output; `None` for any.
    pub max_request_tokens: Option<u64>,
    /// Whether a session with a longer request is played up to that request; else it is left out.
    pub truncates: bool,
    /// Share of the sessions, with all that are linked to them; `None` for all.
    pub sample: Option<f64>,
    /// First arrival that is played, ms after the earliest one. Times count from here.
    pub from_ms: Option<f64>,
    /// Sessions that arrive at this time or later are left out, ms after the earliest arrival.
    pub until_ms: Option<f64>,
}

/// What is left out of a trace.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// Sessions outside the sample or the window of time.
    pub unselected_sessions: u64,
    /// Sessions without any of their turns, because of a request that is too long.
    pub skipped_sessions: u64,
    /// Sessions without their last turns, for the same reason.
    pub truncated_sessions: u64,
    /// Requests of these sessions that are left out.
    pub too_long_requests: u64,
}

/// What is played of a session that others may be linked to.
#[derive(Debug, Clone, Copy)]
struct Played {
    is_selected: bool,
    /// Number of its turns that are played, if not all are.
    cut: Option<usize>,
}

/// Applies a selection to sessions in the order in which they start.
#[derive(Debug)]
pub(super) struct Selector {
    selection: Selection,
    selects: bool,
    /// The earliest arrival, ms.
    first_ms: Option<f64>,
    played: HashMap<u64, Played>,
    pub left_out: LeftOut,
}

impl Selector {
    pub fn new(selection: Selection) -> Self {
        let selects = selection != Selection::default();
        Self { selection, selects, first_ms: None, played: HashMap::new(), left_out: LeftOut::default() }
    }

    /// The time of the trace from which played times count, ms.
    pub fn origin_ms(&self) -> f64 {
        self.first_ms.unwrap_or(0.0) + self.selection.from_ms.unwrap_or(0.0)
    }

    /// Cuts a session to what is played of it; false if nothing is.
    pub fn take(&mut self, session: &mut Session) -> bool {
        if let Some(arrival_ms) = session.turns[0].timestamp_ms {
            self.first_ms.get_or_insert(arrival_ms);
        }
        if !self.selects {
            return true;
        }
        let above = session.link.parent().and_then(|parent| self.played.get(&parent)).copied();
        let is_selected = above.map_or_else(
            || {
                let key = session.name.clone().unwrap_or_else(|| format!("request-{}", session.number));
                self.is_in_sample(&key) && self.is_in_window(session.arrival_ms())
            },
            |parent| parent.is_selected,
        );
        let begins = match (above.and_then(|parent| parent.cut), session.link) {
            (None, _) => true,
            (Some(turns), Link::SubAgent { parent_turn, .. }) => (parent_turn as usize) < turns,
            // The history that it continues is not complete.
            (Some(_), _) => false,
        };
        let sizes = session.turns.iter().map(|turn| u64::from(turn.context_tokens) + u64::from(turn.output_tokens));
        let cut = if begins { self.cut(sizes) } else { Some(0) };
        if session.may_be_continued || session.may_have_members() {
            self.played.insert(session.number, Played { is_selected, cut });
        }
        let kept = self.count(is_selected, session.turns.len(), cut);
        if kept < session.turns.len() {
            session.turns.truncate(kept);
            session.may_be_continued = false;
        }
        kept > 0
    }

    /// Cuts a recorded conversation to what is played of it; false if nothing is.
    pub fn take_transcript(&mut self, transcript: &mut Transcript) -> bool {
        if !self.selects {
            return true;
        }
        let sizes = (0..transcript.requests.len()).map(|at| transcript.size(at));
        let cut = self.cut(sizes.map(|size| size.context_tokens + size.output_tokens));
        let kept = self.count(self.is_in_sample(&transcript.id), transcript.requests.len(), cut);
        transcript.requests.truncate(kept);
        kept > 0
    }

    /// Number of turns to play, if not all are.
    fn cut(&self, mut sizes: impl Iterator<Item = u64>) -> Option<usize> {
        let most = self.selection.max_request_tokens?;
        let first = sizes.position(|tokens| tokens > most)?;
        Some(if self.selection.truncates { first } else { 0 })
    }

    /// Counts what is left out of a session; the number of turns that are played.
    fn count(&mut self, is_selected: bool, turns: usize, cut: Option<usize>) -> usize {
        let left = &mut self.left_out;
        if !is_selected {
            left.unselected_sessions += 1;
            return 0;
        }
        let Some(kept) = cut else { return turns };
        left.too_long_requests += (turns - kept) as u64;
        if kept == 0 {
            left.skipped_sessions += 1;
        } else {
            left.truncated_sessions += 1;
        }
        kept
    }

    fn is_in_window(&self, arrival_ms: f64) -> bool {
        let since_ms = (arrival_ms - self.first_ms.unwrap_or(0.0)).max(0.0);
        self.selection.from_ms.is_none_or(|from| since_ms >= from)
            && self.selection.until_ms.is_none_or(|until| since_ms < until)
    }

    /// Whether the session of this name is in the sample: its hash, as a fraction, is below the share.
    fn is_in_sample(&self, key: &str) -> bool {
        let fraction = xxh3_64(key.as_bytes()) as f64 / u64::MAX as f64;
        self.selection.sample.is_none_or(|share| fraction < share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_holds_its_share_and_grows_with_it() {
        let picked = |share: f64| -> Vec<u32> {
            let selector = Selector::new(Selection { sample: Some(share), ..Selection::default() });
            (0..10_000).filter(|number| selector.is_in_sample(&format!("session-{number}"))).collect()
        };
        let (tenth, half) = (picked(0.1), picked(0.5));
        assert!((900..1_100).contains(&tenth.len()), "{}", tenth.len());
        assert!(tenth.iter().all(|number| half.contains(number)));
        assert_eq!((picked(0.0).len(), picked(1.0).len()), (0, 10_000));
    }
}
