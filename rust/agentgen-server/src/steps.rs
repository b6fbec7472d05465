//! The events of a stream in order, worked out one at a time.

use crate::fault::{Cut, Faults};

/// The kind of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The role, without content.
    Role,
    /// A token of the text, of the reasoning before it, or of a tool call.
    Token,
    /// The finish reason.
    Finish,
    /// The usage.
    Usage,
    /// `[DONE]`.
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

/// The events of a stream, with injected faults.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    tokens: u32,
    has_role: bool,
    has_done: bool,
    /// What follows the tokens.
    ends: [Option<Part>; 2],
    malformed: Option<usize>,
    error: Option<usize>,
    /// Events before the connection is dropped.
    cut: Option<usize>,
}

impl Steps {
    /// The events of an answer of `tokens` tokens; `has_role` if the role has an event of its own.
    pub fn new(has_role: bool, tokens: u32, include_usage: bool, faults: &Faults) -> Self {
        let mut steps = Self {
            tokens,
            has_role,
            has_done: !faults.no_done,
            ends: [
                (!faults.no_finish).then_some(Part::Finish),
                (include_usage && !faults.no_usage).then_some(Part::Usage),
            ],
            malformed: faults.malformed.map(|at| at as usize),
            error: None,
            cut: match faults.cut {
                Some(Cut::After(events)) => Some(events as usize),
                Some(Cut::Within(events)) => Some(events as usize + 1),
                Some(Cut::BeforeHeaders) | None => None,
            },
        };
        steps.error = faults.error.map(|at| at as usize).filter(|&at| steps.content(at).is_some());
        steps
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
        let ends = self.ends.iter().flatten().count();
        self.error.map_or(usize::from(self.has_role) + self.tokens as usize + ends, |at| at + 1)
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
        let Some(token) = at.checked_sub(usize::from(self.has_role)) else {
            return Some(Step { part: Part::Role, token: 0 });
        };
        if let Some(end) = token.checked_sub(self.tokens as usize) {
            return self.ends.iter().flatten().nth(end).map(|&part| Step { part, token: self.tokens });
        }
        Some(Step { part: Part::Token, token: token as u32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                    let steps = Steps::new(flag(4), tokens, flag(5), &faults);
                    let found: Vec<_> = (0..steps.len()).filter_map(|at| steps.get(at)).collect();
                    assert_eq!(found, expected, "{faults:?} {bits}");
                    assert_eq!((steps.len(), steps.get(steps.len())), (expected.len(), None));
                }
            }
        }
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
