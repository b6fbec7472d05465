//! The events of a stream in order, worked out one at a time.

use crate::fault::{Cut, Faults};

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The role, without content.
    Role,
    /// One of the events before the items of an answer.
    Begin(u8),
    /// One of the events that begin an item.
    Open {
        /// The item.
        item: usize,
        /// Which of its events.
        event: u8,
    },
    /// A token of the text, of the reasoning before it, or of a tool call.
    Token,
    /// One of the events that end an item.
    Close {
        /// The item.
        item: usize,
        /// Which of its events.
        event: u8,
    },
    /// The finish reason.
    Finish,
    /// The usage.
    Usage,
    /// The last event: `[DONE]`, or that of the endpoint.
    Done,
    /// A server error.
    Error,
    /// Invalid JSON.
    Malformed,
    /// Not an event: the connection is dropped.
    Drop,
}

/// An event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its kind.
    pub part: Part,
    /// Output tokens before it.
    pub token: u32,
}

/// Events of one kind in a row.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    part: Part,
    /// Output tokens before the first.
    token: u32,
    /// Number of events; each of them is a token, or there is one.
    count: u32,
}

impl Run {
    /// One event after this many tokens.
    pub fn one(part: Part, token: u32) -> Self {
        Self { part, token, count: 1 }
    }

    /// An event for each of the tokens `first..end`.
    pub fn tokens(first: u32, end: u32) -> Self {
        Self { part: Part::Token, token: first, count: end.saturating_sub(first) }
    }
}

/// The events of a stream, with injected faults.
#[derive(Debug, Clone)]
pub struct Steps {
    tokens: u32,
    has_done: bool,
    /// All events but the last, each run with the number of events before it.
    runs: Vec<(usize, Run)>,
    /// Events in `runs`.
    content_events: usize,
    malformed: Option<usize>,
    error: Option<usize>,
    /// Events before the connection is dropped.
    cut: Option<usize>,
}

impl Steps {
    /// The events of an answer of `tokens` tokens. An error ends the stream unless `done_after_error`.
    pub fn new(events: impl IntoIterator<Item = Run>, tokens: u32, done_after_error: bool, faults: &Faults) -> Self {
        let (mut runs, mut content_events) = (Vec::new(), 0);
        for run in events {
            if run.count > 0 {
                runs.push((content_events, run));
                content_events += run.count as usize;
            }
        }
        let error = faults.error.map(|at| at as usize).filter(|&at| at < content_events);
        Self {
            tokens,
            has_done: !faults.no_done && (error.is_none() || done_after_error),
            runs,
            content_events,
            malformed: faults.malformed.map(|at| at as usize),
            error,
            cut: match faults.cut {
                Some(Cut::After(events)) => Some(events as usize),
                Some(Cut::Within(events)) => Some(events as usize + 1),
                Some(Cut::BeforeHeaders) | None => None,
            },
        }
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        let all = self.before_done() + usize::from(self.has_done);
        self.cut.map_or(all, |cut| cut.min(all) + 1)
    }

    /// Event `at`.
    pub fn get(&self, at: usize) -> Option<Step> {
        match self.cut {
            Some(cut) if at + 1 == self.len() => {
                let token = self.uncut(cut.saturating_sub(1)).map_or(self.tokens, |step| step.token);
                Some(Step { part: Part::Drop, token })
            }
            Some(_) if at >= self.len() => None,
            _ => self.uncut(at),
        }
    }

    fn uncut(&self, at: usize) -> Option<Step> {
        let before = self.before_done();
        if at == before && self.has_done {
            let token = before.checked_sub(1).and_then(|last| self.faulty(last)).map_or(self.tokens, |step| step.token);
            return Some(Step { part: Part::Done, token });
        }
        self.faulty(at)
    }

    fn before_done(&self) -> usize {
        self.error.map_or(self.content_events, |at| at + 1)
    }

    fn faulty(&self, at: usize) -> Option<Step> {
        let step = self.content(at)?;
        match self.error {
            Some(error) if at == error => Some(Step { part: Part::Error, ..step }),
            Some(error) if at > error => None,
            _ if self.malformed == Some(at) => Some(Step { part: Part::Malformed, ..step }),
            _ => Some(step),
        }
    }

    fn content(&self, at: usize) -> Option<Step> {
        if at >= self.content_events {
            return None;
        }
        let next = self.runs.partition_point(|(first, _)| *first <= at);
        let (first, run) = self.runs.get(next.checked_sub(1)?)?;
        Some(Step { part: run.part, token: run.token + (at - first) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_the_last_event_of_an_endpoint_that_ends_with_it() {
        let faults = Faults { error: Some(1), ..Faults::default() };
        let steps = |done_after_error| Steps::new([Run::tokens(0, 3)], 3, done_after_error, &faults);
        assert_eq!((steps(true).len(), steps(false).len()), (3, 2));
        assert_eq!(steps(false).get(1), Some(Step { part: Part::Error, token: 1 }));
    }

    /// The same events as a list that is made and then changed, for all faults.
    #[test]
    fn events_are_those_of_a_list() {
        for bits in 0..64_u32 {
            let flag = |bit: u32| bits >> bit & 1 == 1;
            for place in 0..9 {
                for (cut, tokens) in [(None, 0), (None, 3), (Some(Cut::After(place)), 3), (Some(Cut::Within(place)), 3)]
                {
                    let faults = Faults {
                        no_done: flag(0),
                        no_finish: flag(1),
                        malformed: flag(2).then_some(place),
                        error: flag(3).then_some(place / 2),
                        cut,
                        ..Faults::default()
                    };
                    let expected = list(flag(4), tokens, flag(5), &faults);
                    let steps = Steps::new(runs(flag(4), tokens, flag(5), &faults), tokens, true, &faults);
                    let found: Vec<_> = (0..steps.len()).filter_map(|at| steps.get(at)).collect();
                    assert_eq!(found, expected, "{faults:?} {bits}");
                    assert_eq!((steps.len(), steps.get(steps.len())), (expected.len(), None));
                }
            }
        }
    }

    fn runs(has_role: bool, tokens: u32, include_usage: bool, faults: &Faults) -> Vec<Run> {
        let mut runs = vec![Run::tokens(0, tokens)];
        if has_role {
            runs.insert(0, Run::one(Part::Role, 0));
        }
        if !faults.no_finish {
            runs.push(Run::one(Part::Finish, tokens));
        }
        if include_usage {
            runs.push(Run::one(Part::Usage, tokens));
        }
        runs
    }

    fn list(has_role: bool, tokens: u32, include_usage: bool, faults: &Faults) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut push = |part, token| steps.push(Step { part, token });
        if has_role {
            push(Part::Role, 0);
        }
        (0..tokens).for_each(|token| push(Part::Token, token));
        if !faults.no_finish {
            push(Part::Finish, tokens);
        }
        if include_usage {
            push(Part::Usage, tokens);
        }
        if let Some(step) = faults.malformed.and_then(|at| steps.get_mut(at as usize)) {
            step.part = Part::Malformed;
        }
        if let Some((at, step)) = faults.error.and_then(|at| Some((at, *steps.get(at as usize)?))) {
            steps.truncate(at as usize);
            steps.push(Step { part: Part::Error, ..step });
        }
        if !faults.no_done {
            steps.push(Step { part: Part::Done, token: steps.last().map_or(tokens, |step| step.token) });
        }
        let whole = match faults.cut {
            Some(Cut::After(events)) => events as usize,
            Some(Cut::Within(events)) => events as usize + 1,
            Some(Cut::BeforeHeaders) | None => return steps,
        };
        let token = steps.get(whole.saturating_sub(1)).map_or(tokens, |step| step.token);
        steps.truncate(whole);
        steps.push(Step { part: Part::Drop, token });
        steps
    }
}
