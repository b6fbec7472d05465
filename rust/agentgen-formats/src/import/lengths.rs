//! Lengths of prompts and outputs: as counted, else estimated from the text.

use std::collections::HashMap;

use super::model::{Call, Part, Prompt, RecordedSession};

/// Outputs are at most this, as in all traces.
const MAX_OUTPUT: u64 = i32::MAX as u64;
/// Calls with longer prompts are left out: a row has an id for each block, and no model takes so much.
const MAX_PROMPT: u64 = 1 << 24;
/// Tokens of a byte of text where no call has both a count and its text.
const TOKENS_PER_BYTE: f64 = 0.25;

/// Where a length comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quality {
    /// Counted by the provider, or the trace states it.
    Recorded,
    /// Estimated from bytes of text, or from the number of blocks.
    Estimated,
    /// Nothing tells.
    Unknown,
}

impl Quality {
    /// The word in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
        }
    }
}

/// Tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Index of the call in its session.
    pub call: usize,
    /// The whole prompt; at least 1.
    pub prompt: u32,
    pub prompt_quality: Quality,
    /// The whole output; at least 1.
    pub output: u32,
    pub output_quality: Quality,
    /// Output tokens that are not part of the next prompt.
    pub reasoning: u32,
    /// By how much the parts of the prompt miss the provider's count.
    pub prompt_error: u32,
}

/// Tokens and bytes of one kind of text.
#[derive(Debug, Clone, Copy, Default)]
struct Ratio {
    tokens: u64,
    bytes: u64,
}

impl Ratio {
    fn add(&mut self, tokens: u64, bytes: u64) {
        self.tokens = self.tokens.saturating_add(tokens);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn tokens_of(self, bytes: u64) -> u64 {
        let per_byte =
            if self.tokens == 0 || self.bytes == 0 { TOKENS_PER_BYTE } else { self.tokens as f64 / self.bytes as f64 };
        ((bytes as f64 * per_byte).round() as u64).max(1)
    }
}

/// Gives every call its lengths.
///
/// A part of a prompt has one size in the whole import, so that equal beginnings of prompts are equal token for token. The
/// first call that holds a part decides: where its prompt is counted, its new parts share the tokens that known parts leave,
/// by their bytes; else the ratio of tokens to bytes of all counted calls of the format decides.
#[derive(Debug, Default)]
pub(crate) struct LengthEstimator {
    prompts: HashMap<String, Ratio>,
    outputs: HashMap<String, Ratio>,
    parts: HashMap<u128, u32>,
}

impl LengthEstimator {
    /// Calibrates the ratios.
    pub(crate) fn new(sessions: &[RecordedSession]) -> Self {
        let mut estimator = Self::default();
        for session in sessions {
            let (mut prompts, mut outputs) = (Ratio::default(), Ratio::default());
            let mut bytes = 0;
            for call in &session.calls {
                let sum =
                    |parts: &[Part], before| parts.iter().fold(before, |sum: u64, part| sum.saturating_add(part.bytes));
                bytes = match &call.prompt {
                    Prompt::Parts(parts) => sum(parts, 0),
                    Prompt::Appended(parts) => sum(parts, bytes),
                    Prompt::Counted | Prompt::Blocks { .. } => 0,
                };
                if let Some(tokens) = call.usage.prompt_tokens.filter(|_| bytes > 0) {
                    prompts.add(tokens, bytes);
                }
                if let (Some(bytes), Some(tokens)) = (call.output_bytes, call.usage.output_tokens) {
                    outputs.add(tokens, bytes);
                }
            }
            let format = &session.client.format;
            estimator.prompts.entry(format.clone()).or_default().add(prompts.tokens, prompts.bytes);
            estimator.outputs.entry(format.clone()).or_default().add(outputs.tokens, outputs.bytes);
        }
        estimator
    }

    /// Lengths of a session's calls; calls whose prompt has no length, or too great a one, are left out.
    pub(crate) fn lengths(&mut self, session: &RecordedSession) -> Vec<Lengths> {
        let format = &session.client.format;
        let outputs = self.outputs.get(format).copied().unwrap_or_default();
        let prompts = self.prompts.get(format).copied().unwrap_or_default();
        let mut history = 0;
        let lengths = |(index, call): (usize, &Call)| {
            let (prompt, prompt_quality, prompt_error) = self.prompt(call, &mut history, prompts)?;
            let (output, output_quality) = match (call.usage.output_tokens, call.output_bytes) {
                (Some(tokens), _) => (tokens, Quality::Recorded),
                (None, Some(bytes)) => (outputs.tokens_of(bytes), Quality::Estimated),
                (None, None) => (1, Quality::Unknown),
            };
            let output = output.clamp(1, MAX_OUTPUT) as u32;
            let reasoning = call.usage.reasoning_tokens.unwrap_or(0).min(u64::from(output)) as u32;
            Some(Lengths { call: index, prompt, prompt_quality, output, output_quality, reasoning, prompt_error })
        };
        session.calls.iter().enumerate().filter_map(lengths).collect()
    }

    /// Tokens of a part that a call has held.
    pub(crate) fn part(&self, part: &Part) -> u32 {
        self.parts.get(&part.hash).copied().unwrap_or(1)
    }

    /// Tokens of a prompt; `history` are those of the prompt before.
    fn prompt(&mut self, call: &Call, history: &mut u64, ratio: Ratio) -> Option<(u32, Quality, u32)> {
        let counted = call.usage.prompt_tokens;
        let mut by_parts = |parts: &[Part], before: u64| {
            self.learn(parts, counted.map(|counted| counted.saturating_sub(before)), ratio);
            parts.iter().fold(before, |sum, part| sum.saturating_add(u64::from(self.part(part))))
        };
        let (tokens, estimated) = match &call.prompt {
            Prompt::Counted => (counted, None),
            Prompt::Blocks { block_tokens, ids, .. } => {
                (counted, Some((ids.len() as u64).saturating_mul(u64::from(*block_tokens))))
            }
            Prompt::Parts(parts) => (Some(by_parts(parts, 0)), None),
            Prompt::Appended(parts) => (Some(by_parts(parts, *history)), None),
        };
        let tokens = tokens.or(estimated).filter(|tokens| (1..=MAX_PROMPT).contains(tokens))?;
        *history = tokens;
        let error = counted.map_or(0, |counted| counted.abs_diff(tokens).min(MAX_OUTPUT) as u32);
        let quality = if counted.is_some() { Quality::Recorded } else { Quality::Estimated };
        Some((tokens as u32, quality, error))
    }

    /// Gives the parts that occur for the first time their sizes.
    fn learn(&mut self, parts: &[Part], counted: Option<u64>, ratio: Ratio) {
        let mut known = 0;
        // With how often each occurs.
        let mut fresh: Vec<(Part, u64)> = Vec::new();
        let mut place = HashMap::new();
        for part in parts {
            if let Some(tokens) = self.parts.get(&part.hash) {
                known += u64::from(*tokens);
                continue;
            }
            let at = *place.entry(part.hash).or_insert(fresh.len());
            match fresh.get_mut(at) {
                Some((_, times)) => *times += 1,
                None => fresh.push((*part, 1)),
            }
        }
        let occurrences: u64 = fresh.iter().map(|(_, times)| times).sum();
        let rest = counted.and_then(|counted| counted.checked_sub(known));
        let rest = rest.filter(|rest| (occurrences..=MAX_PROMPT).contains(rest));
        let bytes: u128 = fresh.iter().map(|(part, times)| u128::from(part.bytes) * u128::from(*times)).sum();
        // Rounding is carried on, so that the sum is exact unless parts without text take a token each.
        let (mut done, mut given) = (0_u128, 0_u64);
        for (part, times) in &fresh {
            let tokens = match rest {
                Some(rest) => {
                    done += u128::from(part.bytes) * u128::from(*times);
                    // Without any text the first part gets all.
                    let until = (u128::from(rest) * done.max(u128::from(bytes == 0)) / bytes.max(1)) as u64;
                    let tokens = (until.saturating_sub(given) / times).max(1);
                    given += tokens * times;
                    tokens
                }
                None => ratio.tokens_of(part.bytes),
            };
            self.parts.insert(part.hash, tokens.min(MAX_PROMPT + 1) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Usage;
    use super::*;

    fn session(calls: Vec<Call>) -> RecordedSession {
        RecordedSession { calls, ..RecordedSession::new("x".to_owned(), "test", Vec::new()) }
    }

    fn call(parts: &[(u128, u64)], prompt_tokens: Option<u64>) -> Call {
        let parts = parts.iter().map(|(hash, bytes)| Part { hash: *hash, bytes: *bytes }).collect();
        Call {
            prompt: Prompt::Parts(parts),
            usage: Usage { prompt_tokens, ..Usage::default() },
            output_bytes: Some(400),
            ..Call::default()
        }
    }

    fn prompts(calls: Vec<Call>) -> Vec<(u32, u32)> {
        let session = session(calls);
        let mut estimator = LengthEstimator::new(std::slice::from_ref(&session));
        estimator.lengths(&session).iter().map(|lengths| (lengths.prompt, lengths.prompt_error)).collect()
    }

    #[test]
    fn parts_of_counted_prompts_add_up_and_keep_their_size() {
        let calls = vec![
            call(&[(1, 1_000), (2, 333)], Some(401)),
            call(&[(1, 1_000), (2, 333), (3, 10), (4, 17)], Some(500)),
            // The known parts have more tokens than this call was counted with.
            call(&[(1, 1_000), (5, 40)], Some(100)),
        ];
        let found = prompts(calls);
        assert_eq!(found[..2], [(401, 0), (500, 0)]);
        assert!(found[2].1 > 200, "{found:?}");
    }

    #[test]
    fn parts_of_other_prompts_are_estimated_by_the_ratio_of_counted_ones() {
        assert_eq!(prompts(vec![call(&[(1, 4_000)], None)]), [(1_000, 0)]);
        let found = prompts(vec![call(&[(1, 4_000)], Some(2_000)), call(&[(1, 4_000), (2, 400)], None)]);
        assert_eq!(found, [(2_000, 0), (2_200, 0)]);
    }

    #[test]
    fn calls_without_a_length_are_left_out() {
        let counted = |prompt_tokens| Call { usage: Usage { prompt_tokens, ..Usage::default() }, ..Call::default() };
        let session = session(vec![counted(None), counted(Some(0)), counted(Some(1 << 40)), counted(Some(7))]);
        let found = LengthEstimator::new(&[]).lengths(&session);
        assert_eq!(found.iter().map(|l| (l.call, l.prompt, l.output)).collect::<Vec<_>>(), [(3, 7, 1)]);
        assert_eq!(found[0].output_quality, Quality::Unknown);
    }
}
