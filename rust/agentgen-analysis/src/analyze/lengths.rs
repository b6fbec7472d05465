//! Distributions of a trace: turns per session, prompt and output tokens, delays.

use std::collections::BTreeMap;

use agentgen_core::{DatasetSpec, Quantity};
use schemars::JsonSchema;
use serde::Serialize;

use crate::bins::{Expected, Histogram, TURN_BINS, UNIT_BINS};
use crate::histogram::{Counts, Observed, Times};
use agentgen_trace::session::{Link, Session};

/// Number of turn indices with a distribution of their own.
const MAX_TURNS: usize = 256;

/// Prompts of a turn index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct TurnContext {
    /// Turn index, 0-based.
    pub turn_index: u32,
    /// Number of requests.
    pub requests: u64,
    /// 10th percentile, tokens; all three within 0.05 %.
    pub p10: f64,
    /// Median, tokens.
    pub median: f64,
    /// 90th percentile, tokens.
    pub p90: f64,
}

impl TurnContext {
    pub(super) fn new(turn_index: u32, contexts: &Times) -> Option<Self> {
        let [p10, median, p90] = contexts.quantiles([0.1, 0.5, 0.9])?;
        Some(Self { turn_index, requests: contexts.count(), p10, median, p90 })
    }
}

/// Summaries of distributions, in tokens except for delays and turns; null if a trace has no value.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LengthSummaries {
    /// First prompts of root sessions.
    pub initial_context: Option<Observed>,
    /// First prompts of restart sessions.
    pub initial_context_of_continuations: Option<Observed>,
    /// All prompts.
    pub context: Option<Observed>,
    /// New tokens of the turns after the first.
    pub new_tokens_per_turn: Option<Observed>,
    /// Outputs.
    pub generation_length: Option<Observed>,
    /// Delays between turns, ms.
    pub inter_turn_delay_ms: Option<Observed>,
    /// Turns per session.
    pub turns_per_session: Option<Observed>,
}

/// Distributions over the sessions and requests of a trace.
#[derive(Debug, Clone, Default)]
pub(super) struct Lengths {
    pub sessions: u64,
    pub continuations: u64,
    pub linked_continuations: u64,
    pub breaks: u64,
    pub sub_agents: u64,
    pub input_tokens: u64,
    pub prompt_tokens: u64,
    pub output_tokens: u64,
    pub ends: BTreeMap<String, u64>,
    requests: u64,
    initial_context: Counts,
    initial_context_of_continuations: Counts,
    context: Counts,
    new_tokens_per_turn: Counts,
    generation_length: Counts,
    inter_turn_delay: Times,
    turns_per_session: Counts,
    context_by_turn: Vec<Times>,
}

impl Lengths {
    pub(super) fn add(&mut self, conversation: &Session) {
        if conversation.names_its_session() {
            self.sessions += 1;
            self.turns_per_session.add(conversation.turns.len() as u64, 1);
        }
        let first = u64::from(conversation.first_context_tokens());
        if conversation.link.is_restart() {
            self.continuations += 1;
            self.linked_continuations += u64::from(conversation.link.parent().is_some());
            self.initial_context_of_continuations.add(first, 1);
        }
        match conversation.link {
            Link::Root if conversation.names_its_session() => self.initial_context.add(first, 1),
            Link::Root | Link::Restart { .. } => {}
            Link::Break { .. } => self.breaks += 1,
            Link::SubAgent { .. } => self.sub_agents += 1,
        }
        if let Some(end) = &conversation.end {
            *self.ends.entry(end.name().to_owned()).or_default() += 1;
        }
        // Turns of breaks and sub-agents do not begin where those of root sessions do.
        let is_member = matches!(conversation.link, Link::Break { .. } | Link::SubAgent { .. });
        for (index, turn) in conversation.turns.iter().enumerate() {
            self.requests += 1;
            self.input_tokens += u64::from(turn.input_tokens);
            self.prompt_tokens += u64::from(turn.context_tokens);
            self.output_tokens += u64::from(turn.output_tokens);
            self.context.add(u64::from(turn.context_tokens), 1);
            if index < MAX_TURNS && conversation.names_its_session() && !is_member {
                if index == self.context_by_turn.len() {
                    self.context_by_turn.push(Times::default());
                }
                self.context_by_turn[index].add(u64::from(turn.context_tokens));
            }
            self.generation_length.add(u64::from(turn.output_tokens), 1);
            if index > 0 {
                self.new_tokens_per_turn.add(u64::from(turn.input_tokens), 1);
            }
            if let Some(delay_ms) = turn.delay_ms {
                self.inter_turn_delay.add((delay_ms * 10.0).round() as u64);
            }
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    pub(super) fn summaries(&self) -> LengthSummaries {
        LengthSummaries {
            initial_context: self.initial_context.observed(1.0),
            initial_context_of_continuations: self.initial_context_of_continuations.observed(1.0),
            context: self.context.observed(1.0),
            new_tokens_per_turn: self.new_tokens_per_turn.observed(1.0),
            generation_length: self.generation_length.observed(1.0),
            inter_turn_delay_ms: self.inter_turn_delay.observed_ms(),
            turns_per_session: self.turns_per_session.observed(1.0),
        }
    }

    /// Histograms by name, of those with a value; `spec` is the specification of a generated trace.
    pub(super) fn histograms(&self, spec: Option<&DatasetSpec>) -> BTreeMap<String, Histogram> {
        let one = Expected::Of;
        let histograms = [
            (
                "initial_context",
                self.initial_context.histogram(UNIT_BINS).with_expected(spec, one(Quantity::FirstPrompt)),
            ),
            ("initial_context_of_continuations", self.initial_context_of_continuations.histogram(UNIT_BINS)),
            ("context", self.context.histogram(UNIT_BINS)),
            (
                "new_tokens_per_turn",
                self.new_tokens_per_turn.histogram(UNIT_BINS).with_expected(spec, one(Quantity::NewTokens)),
            ),
            (
                "generation_length",
                self.generation_length.histogram(UNIT_BINS).with_expected(spec, one(Quantity::Output)),
            ),
            ("inter_turn_delay_ms", self.inter_turn_delay.histogram_ms().with_expected(spec, Expected::Delays)),
            (
                "turns_per_session",
                self.turns_per_session.histogram(TURN_BINS).with_expected(spec, one(Quantity::Turns)),
            ),
        ];
        let named = histograms.into_iter().filter(|(_, histogram)| !histogram.counts.is_empty());
        named.map(|(name, histogram)| (name.to_owned(), histogram)).collect()
    }

    /// Prompts by turn index, for the first [`MAX_TURNS`] turns.
    pub(super) fn context_by_turn(&self) -> Vec<TurnContext> {
        let turns = self.context_by_turn.iter().zip(0..);
        turns.filter_map(|(contexts, turn_index)| TurnContext::new(turn_index, contexts)).collect()
    }

    /// Two-sample Kolmogorov-Smirnov distances by name, of those that both traces have.
    pub(super) fn distances(&self, other: &Self) -> Vec<(&'static str, f64)> {
        let pairs = [
            ("initial_context", self.initial_context.distance(&other.initial_context)),
            (
                "initial_context_of_continuations",
                self.initial_context_of_continuations.distance(&other.initial_context_of_continuations),
            ),
            ("context", self.context.distance(&other.context)),
            ("new_tokens_per_turn", self.new_tokens_per_turn.distance(&other.new_tokens_per_turn)),
            ("generation_length", self.generation_length.distance(&other.generation_length)),
            ("inter_turn_delay_ms", self.inter_turn_delay.distance(&other.inter_turn_delay)),
            ("turns_per_session", self.turns_per_session.distance(&other.turns_per_session)),
        ];
        pairs.into_iter().filter_map(|(name, distance)| Some((name, distance?))).collect()
    }
}
