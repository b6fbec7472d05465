//! One session at a time: a primary, or the continuation of one that a restart split.

use crate::error::ConfigError;
use crate::plan::Plan;
use crate::rng::Purpose;
use crate::rules::{EndReason, Turn};

/// A session, as its rows are made from.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    /// The run, by index.
    pub run: u64,
    /// The run's L1.5 group.
    pub group: u32,
    /// Whether this is the side of the run after its restart.
    pub is_continuation: bool,
    /// When it arrives, in tenths of a millisecond.
    pub arrival_tenths: u64,
    /// Its turns.
    pub turns: &'a [Turn],
    /// For a continuation: the turns of the session it continues.
    pub origin: &'a [Turn],
    /// Why it ended.
    pub end: EndReason,
}

/// Simulates sessions of a plan; keeps its buffers from session to session.
#[derive(Debug)]
pub struct SessionGenerator<'a> {
    plan: &'a Plan,
    turns: Vec<Turn>,
    origin: Vec<Turn>,
}

impl<'a> SessionGenerator<'a> {
    /// A simulator of `plan`.
    #[must_use]
    pub fn new(plan: &'a Plan) -> Self {
        Self { plan, turns: Vec::new(), origin: Vec::new() }
    }

    /// The primary session of a run.
    pub fn root(&mut self, run: u64, arrival_tenths: u64) -> Result<Session<'_>, ConfigError> {
        let plan = self.plan;
        let rules = &plan.rules;
        let mut stream = plan.streams.stream(Purpose::Content, run);
        let target = rules.target.as_ref().map(|t| t.draw(&mut plan.streams.stream(Purpose::Target, run)));
        let split = plan.split(run);
        for _ in 0..rules.attempts {
            self.turns.clear();
            self.turns.push(rules.first(&mut stream));
            let end = rules.proceed(&mut stream, split, target, &mut self.turns).reason;
            if target.is_none() || end == EndReason::TargetTurnCount || rules.allow_truncation {
                let group = plan.group(run);
                let turns = &self.turns;
                return Ok(Session { run, group, is_continuation: false, arrival_tenths, turns, origin: &[], end });
            }
        }
        Err(ConfigError::new(
            "turns",
            format!(
                "session {run}: no draw of {} turns stayed below max_prompt_tokens {} in {} attempts (set \
                 allow_truncation, raise max_session_attempts, or lower turns.max)",
                target.unwrap_or_default(),
                plan.config().max_prompt_tokens,
                rules.attempts
            ),
        ))
    }

    /// The continuation of a run that a restart may split; `None` when the run ended before its split.
    pub fn continuation(&mut self, run: u64, arrival_tenths: u64) -> Option<Session<'_>> {
        let plan = self.plan;
        let split = plan.split(run)?;
        let mut stream = plan.streams.stream(Purpose::Content, run);
        self.origin.clear();
        self.origin.push(plan.rules.first(&mut stream));
        if plan.rules.proceed(&mut stream, Some(split), None, &mut self.origin).reason != EndReason::RestartSplit {
            return None;
        }
        self.turns.clear();
        self.turns.push(plan.rules.resumed(*self.origin.last()?, &mut stream));
        let end = plan.rules.proceed(&mut stream, None, None, &mut self.turns).reason;
        let (turns, origin, group) = (&self.turns, &self.origin, plan.group(run));
        Some(Session { run, group, is_continuation: true, arrival_tenths, turns, origin, end })
    }
}
