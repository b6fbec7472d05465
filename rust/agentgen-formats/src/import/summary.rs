//! What an import holds, and what of it was estimated or inferred: `quality.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

/// Version of `quality.json` of an import.
const SCHEMA_VERSION: u32 = 1;

/// `quality.json` of an imported run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ImportQuality {
    /// Version of this file.
    pub schema_version: u32,
    /// What was imported.
    pub import: Summary,
}

impl ImportQuality {
    pub(crate) fn of(summary: &Summary) -> Self {
        Self { schema_version: SCHEMA_VERSION, import: summary.clone() }
    }
}

/// What an import holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// Tokens per block.
    pub block_size: u32,
    /// Sessions of the trace: recorded ones, split at breaks.
    pub sessions: u64,
    /// Sessions that begin a tree.
    pub root_sessions: u64,
    /// Model calls: rows of the trace.
    pub calls: u64,
    /// Requests of users that these calls work on.
    pub human_turns: u64,
    /// Tokens of all prompts.
    pub prompt_tokens: u64,
    /// Tokens of all outputs.
    pub output_tokens: u64,
    /// Breaks by kind.
    pub breaks: BTreeMap<&'static str, BreakCount>,
    /// Sub-agents.
    pub subagents: SubagentCount,
    /// Calls that were left out: the source does not tell how long their prompts are, or they exceed 2^24 tokens.
    pub calls_without_prompt_length: u64,
    /// Prompts whose length was estimated from text or blocks.
    pub prompts_estimated: u64,
    /// Most tokens by which a prompt differs from its count, because its parts have one size in all prompts.
    pub prompt_error_tokens_max: u32,
    /// Outputs whose length was estimated from text.
    pub outputs_estimated: u64,
    /// Outputs of unknown length, written as 1 token.
    pub outputs_unknown: u64,
    /// What prompts hold of the outputs before them.
    pub returned: ReturnedOutputs,
    /// Times that are not as recorded.
    pub delays: super::times::TimeCounts,
}

/// Breaks of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BreakCount {
    /// All of them.
    pub count: u64,
    /// Those whose kind the source does not state.
    pub inferred: u64,
}

/// Sub-agents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SubagentCount {
    /// All of them.
    pub sessions: u64,
    /// Those whose result a call of the parent waits for.
    pub joined: u64,
}

/// What prompts hold of the outputs before them: all but the reasoning, and less where the prompt grew by less.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReturnedOutputs {
    /// Prompts that hold a part of the output before them only.
    pub partly: u64,
    /// Most output tokens of one recorded session that no prompt holds: a replay that returns whole outputs has prompts
    /// that are longer by that many.
    pub missing_tokens_of_a_session_max: u64,
}
