//! Sessions of real agents: what causes a call, how sessions differ, where prefixes break, which sub-agents are started.
//!
//! Each section is optional by itself.

use serde::{Deserialize, Serialize};

use super::Distribution;

/// What causes a call of the model: new text of a person, or the result of a tool. Each has its own lengths and delays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// Calls that a person's text causes.
    pub human: Caused,
    /// Calls that a tool's result causes.
    pub tool: Caused,
    /// Calls from one text of a person to the next.
    pub calls_per_human_turn: CallsPerHumanTurn,
    /// Texts of a person in a session, breaks included; null: sessions end otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human_turns: Option<Distribution>,
}

/// Calls of one trigger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caused {
    /// New tokens of the prompt, by the context before the call.
    pub new_tokens: Vec<ContextBand>,
    /// Delay after the end of the call before, ms.
    pub delay_ms: Distribution,
}

/// A distribution that holds up to a context size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextBand {
    /// Contexts of fewer tokens; null: all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_below: Option<u32>,
    /// The distribution.
    pub tokens: Distribution,
}

/// The number of calls after a person's text: a lognormal rounded up, whose median is a session's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallsPerHumanTurn {
    /// Median of the lognormal over all sessions, by first prompt.
    pub median: Curve,
    /// Factor on the median for the first text of a session, by first prompt.
    pub first_turn_factor: Curve,
    /// Standard deviation of the logarithm within a session.
    pub sigma: f64,
    /// Standard deviation of the logarithm of the medians of sessions.
    pub session_sigma: f64,
    /// Share of the sessions that are chats: their median is the same for all.
    pub chat_probability: f64,
    /// Median of chats.
    pub chat_median: f64,
}

/// A number, or a function through points `[x, y]`: linear between them, constant outside. Two points with the same `x`
/// make a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Curve {
    /// The same everywhere.
    Constant(f64),
    /// Points in ascending order of `x`.
    Points(Vec<[f64; 2]>),
}

/// How much of the spread of a quantity lies between sessions: shares of the variance of its normal score.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SessionEffects {
    /// New tokens of calls that a tool's result causes.
    pub tool_new_tokens: f64,
    /// New tokens of calls that a person's text causes.
    pub human_new_tokens: f64,
    /// Outputs.
    pub output: f64,
    /// Delays of calls that a tool's result causes.
    pub tool_delay: f64,
    /// Delays of calls that a person's text causes.
    pub human_delay: f64,
    /// Correlations between the effects of a session.
    pub correlations: Vec<Correlation>,
}

/// A correlation between two effects.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// The two effects.
    pub between: [Effect; 2],
    /// From -1 to 1.
    pub value: f64,
}

/// A quantity in which sessions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// New tokens of calls that a tool's result causes.
    ToolNewTokens,
    /// New tokens of calls that a person's text causes.
    HumanNewTokens,
    /// Outputs.
    Output,
    /// Delays of calls that a tool's result causes.
    ToolDelay,
    /// Delays of calls that a person's text causes.
    HumanDelay,
}

/// How much of an output the next prompt holds. The tokens that are missing are the output's first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputKept {
    /// Probability that tokens are missing, by the tokens of the output.
    pub short_probability: Curve,
    /// Share of the output that is missing then, 0 to 1.
    pub missing_share: Distribution,
    /// New tokens of such a prompt; null: as of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_new_tokens: Option<Distribution>,
}

/// A context limit that some of the sessions have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextWindow {
    /// Its name, for `breaks`.
    pub name: String,
    /// Every prompt has fewer tokens than this; at most `max_prompt_tokens` of the configuration.
    pub max_prompt_tokens: u32,
    /// Weight with which a session has this limit, by first prompt.
    pub weight: Curve,
    /// Probability that a session ends before a call, by the context of the call.
    pub end_probability: Curve,
    /// Factor on it, by first prompt.
    pub end_factor: Curve,
}

/// Where a prompt does not begin with the prompt before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaks {
    /// Most breaks of a session.
    pub max_per_line: u32,
    /// The kinds; a call has at most one break, of the first kind that is drawn.
    pub kinds: Vec<BreakKind>,
}

/// A kind of break.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakKind {
    /// The value of `break_kind` in traces.
    pub name: String,
    /// Names of the context windows whose sessions have it; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// Probability at a call that a tool's result causes, by the context before.
    pub tool_probability: Curve,
    /// Probability at a call that a person's text causes, by the context before.
    pub human_probability: Curve,
    /// Whether a prompt that would reach the context limit becomes a break of this kind.
    #[serde(default)]
    pub at_limit: bool,
    /// What the new prompt keeps of the old one; one is drawn by weight.
    pub keeps: Vec<Kept>,
    /// The size of the new prompt.
    pub new_prompt: NewPrompt,
    /// Delay before the call, ms; null: that of its trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<Distribution>,
}

/// What a break keeps of the prompt before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Weight.
    pub weight: f64,
    /// The part.
    pub part: KeptPart,
}

/// A part of a prompt, from its begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KeptPart {
    /// Nothing.
    Nothing,
    /// The agent's prefix: L1 and L1.5, or that of a sub-agent's kind.
    Prefix,
    /// The prompt of this call of the session, from 0 on.
    Turn(u32),
    /// A drawn share of the prompt, 0 to 1.
    Share(Distribution),
}

/// The size of a prompt after a break.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NewPrompt {
    /// Tokens.
    Tokens(Distribution),
    /// Ratio to the prompt before.
    Ratio(Distribution),
}

/// Other agents that a session starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subagents {
    /// Most sub-agents of a session and all under it.
    pub max_per_bundle: u32,
    /// Most breaks of a sub-agent.
    pub max_breaks_per_line: u32,
    /// Levels of sub-agents under a session; 1: sub-agents start none.
    pub depth: u32,
    /// The kinds.
    pub kinds: Vec<SubagentKind>,
}

/// A kind of sub-agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubagentKind {
    /// The value of `agent` in traces.
    pub name: String,
    /// Tokens that all sub-agents of the kind share; rounded up to whole blocks.
    pub prefix_tokens: u32,
    /// Probability that a call which a tool's result causes follows sub-agents of this kind.
    pub spawn_probability: f64,
    /// Sub-agents that are started together, rounded down, at least 1.
    pub fan_out: Distribution,
    /// Share of the sub-agents that nobody waits for.
    pub background_share: f64,
    /// First prompt, the prefix included, tokens.
    pub first_prompt: Distribution,
    /// Calls, rounded down, at least 1.
    pub calls: Distribution,
    /// New tokens of the prompt.
    pub new_tokens: Distribution,
    /// Output tokens.
    pub output: Distribution,
    /// Delay after the end of the call before, ms.
    pub delay_ms: Distribution,
    /// Delay between the response that starts it and its first call, ms.
    pub start_delay_ms: Distribution,
    /// Breaks of its history; `windows` and `at_limit` as for the main agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaks: Vec<BreakKind>,
}

/// The time that a server takes for a call, ms. Only analyses that need times use it: a generated trace holds delays.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTime {
    /// Each call.
    pub base_ms: f64,
    /// Each output token.
    pub output_token_ms: f64,
    /// Each prompt token that is not cached.
    pub uncached_token_ms: f64,
    /// Each prompt token.
    pub prompt_token_ms: f64,
}
