//! Traces as jobs: every session with all its tokens, in each reading.

use std::collections::HashMap;

use agentgen_core::Layout;
use agentgen_trace::session::TraceTiming;

use crate::traces::{self, Prompts, Token, Trace};

/// A session before its requests are ordered.
#[derive(Debug, Clone)]
pub struct Job {
    pub arrival_ms: f64,
    /// The job that must end before.
    pub parent: Option<usize>,
    pub is_continuation: bool,
    /// Whether it is a session rather than a request without a name.
    pub is_named: bool,
    pub turns: Vec<Turn>,
    pub linked: Vec<Token>,
    pub standalone: Vec<Token>,
    /// Turns whose prompt does not extend the one before, with the tokens from there on.
    pub anew: Option<(usize, Vec<Token>)>,
}

#[derive(Debug, Clone, Copy)]
pub struct Turn {
    pub context: usize,
    pub new: usize,
    pub output: usize,
    pub send: Send,
}

#[derive(Debug, Clone, Copy)]
pub enum Send {
    After(f64),
    At(f64),
}

/// Numbers blocks: equal numbers are equal chains.
#[derive(Debug, Default)]
pub struct Names(HashMap<(usize, Vec<Token>), usize>);

impl Names {
    /// Number of distinct blocks.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn chain(&mut self, tokens: &[Token], block: usize) -> Vec<usize> {
        let mut last = 0;
        let chain = tokens.chunks_exact(block).map(|content| {
            let next = self.0.len() + 1;
            last = *self.0.entry((last, content.to_vec())).or_insert(next);
            last
        });
        chain.collect()
    }
}

/// The sessions of a trace as stated by its rows in `layout`.
pub fn jobs(trace: &Trace, layout: Layout, is_recorded: bool) -> (Vec<Job>, TraceTiming) {
    let arrives = |tenths: u64| tenths as f64 / 10.0;
    let is_closed = trace.sessions.iter().all(|s| s.arrival_tenths == trace.sessions[0].arrival_tenths);
    let clock = match layout {
        Layout::Cumulative if is_recorded && trace.sessions.iter().any(|s| s.turns.len() > 1) => TraceTiming::Recorded,
        _ if is_closed => TraceTiming::Closed,
        _ => TraceTiming::Arrivals,
    };
    let job = |session: &traces::Session| {
        let (mut now, mut before) = (session.arrival_tenths, 0);
        let turns = session.turns.iter().zip(session.contexts()).enumerate().map(|(index, (turn, context))| {
            let (_, output, delay) = *turn;
            let delay = if index == 0 { 0 } else { delay };
            now += delay;
            // All tokens of a prompt that is not longer than the context before are new.
            let new = if context > before { context - before } else { context };
            before = context + output;
            let send =
                if clock == TraceTiming::Recorded { Send::At(arrives(now)) } else { Send::After(arrives(delay)) };
            Turn { context, new, output, send }
        });
        let alone = if layout == Layout::Cumulative { &session.by_blocks } else { &session.standalone };
        Job {
            arrival_ms: arrives(session.arrival_tenths),
            parent: session.parent.filter(|_| trace.names_parents && clock != TraceTiming::Recorded),
            is_continuation: session.parent.is_some(),
            is_named: true,
            turns: turns.collect(),
            anew: session.anew.as_ref().map(|(turn, _, tokens)| (*turn, tokens.clone())),
            linked: if trace.names_parents { session.linked.clone() } else { alone.clone() },
            standalone: if trace.names_parents { session.standalone.clone() } else { alone.clone() },
        }
    };
    (trace.sessions.iter().map(job).collect(), clock)
}

/// Requests without sessions: each id is a block of tokens.
pub fn requests(prompts: &Prompts) -> Vec<Job> {
    let job = |(ids, context, output, tenths): &(Vec<i64>, usize, usize, u64)| {
        let tokens: Vec<Token> =
            ids.iter().flat_map(|id| (0..prompts.id_tokens as u64).map(|at| [0, *id as u64, at])).collect();
        Job {
            arrival_ms: *tenths as f64 / 10.0,
            parent: None,
            is_continuation: false,
            is_named: false,
            turns: vec![Turn { context: *context, new: *context, output: *output, send: Send::After(0.0) }],
            anew: None,
            standalone: tokens.clone(),
            linked: tokens,
        }
    };
    prompts.rows.iter().map(job).collect()
}
