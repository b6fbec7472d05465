//! Splits a recorded session where a prompt does not extend the one before. Within each piece the prompt only grows.

use super::content::Content;
use super::lengths::{LengthEstimator, Lengths};
use super::model::{Call, Prompt, RecordedSession, Rewrite};

/// A drop of the prompt by this many tokens and this share, from at least this size, looks like a compaction, if none of
/// the next calls has the old size again.
const COMPACTION_TOKENS: u32 = 8_000;
const COMPACTION_SHARE: f64 = 0.25;
const COMPACTION_FROM: u32 = 32_000;
const REBOUND_CALLS: usize = 3;
const REBOUND_SHARE: f64 = 0.75;
/// A rewrite that keeps this share of the prompt is an edit.
const EDIT_SHARE: f64 = 0.5;

/// Why a session ends and another continues its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum BreakKind {
    Compaction,
    Clear,
    Rollback,
    /// The prompt changed near its beginning.
    Rewrite,
    /// The prompt changed in its second half.
    Edit,
}

impl BreakKind {
    /// The value of `break_kind`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compaction => "compaction",
            Self::Clear => "clear",
            Self::Rollback => "rollback",
            Self::Rewrite => "rewrite",
            Self::Edit => "edit",
        }
    }
}

/// A break between two sessions of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Break {
    pub kind: BreakKind,
    /// Tokens that the new prompt keeps of the old one: whole blocks, fewer than either prompt has.
    pub kept: u32,
    /// Whether the kind follows from lengths or content alone.
    pub is_inferred: bool,
}

/// A call as a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub lengths: Lengths,
    /// Prompt tokens after the previous prompt and what it holds of the previous output; the whole prompt on turn 0.
    pub new: u32,
    /// Tokens of the previous output that the prompt holds, if not all of them.
    pub returned: Option<u32>,
}

/// The calls of a line between two breaks; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// How it begins, unless it begins the line.
    pub begins: Option<Break>,
    pub turns: Vec<Turn>,
}

/// Splits a session. `prefix` tokens are known to be shared by all prompts; the cache may prove more.
pub(crate) fn split(
    session: &RecordedSession,
    lengths: &[Lengths],
    estimator: &LengthEstimator,
    prefix: u32,
    block_tokens: u32,
) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut content = Content::default();
    let mut read = 0;
    for (index, now) in lengths.iter().enumerate() {
        // Calls that were left out are part of the history all the same.
        for skipped in &session.calls[read..now.call] {
            content.follow(&skipped.prompt, estimator);
        }
        read = now.call + 1;
        let call = &session.calls[now.call];
        let before = index.checked_sub(1).map(|before| lengths[before]);
        let measured =
            before.and_then(|before| shared(&session.calls[before.call], call, before.prompt, &content, block_tokens));
        content.follow(&call.prompt, estimator);
        let (Some(segment), Some(before)) = (segments.last_mut(), before) else {
            segments.push(Segment { begins: None, turns: vec![first(*now)] });
            continue;
        };
        let grows = now.prompt > before.prompt;
        let breaks = match measured {
            Some(shared) => !grows || shared < before.prompt,
            None => !grows || call.rewrite.is_some(),
        };
        if !breaks {
            segment.turns.push(next(&before, *now));
            continue;
        }
        let kept = measured.unwrap_or_else(|| counted_kept(call, segment, *now, prefix));
        let kept = kept.min(before.prompt).min(now.prompt - 1) / block_tokens * block_tokens;
        let marked = call.rewrite.map(|rewrite| match rewrite {
            Rewrite::ManualCompaction | Rewrite::AutoCompaction => BreakKind::Compaction,
            Rewrite::Clear => BreakKind::Clear,
            Rewrite::Rollback => BreakKind::Rollback,
        });
        let kind = marked.unwrap_or_else(|| kind(&before, &lengths[index..], kept));
        let begins = Some(Break { kind, kept, is_inferred: marked.is_none() });
        segments.push(Segment { begins, turns: vec![first(*now)] });
    }
    segments
}

fn first(lengths: Lengths) -> Turn {
    Turn { lengths, new: lengths.prompt, returned: None }
}

/// A turn whose prompt is longer than the one before. The tokens that it holds of the previous output are those that are not
/// reasoning, as far as the growth allows with one new token.
fn next(before: &Lengths, now: Lengths) -> Turn {
    let growth = now.prompt - before.prompt;
    let returned = (before.output - before.reasoning).min(growth - 1);
    Turn { lengths: now, new: growth - returned, returned: (returned < before.output).then_some(returned) }
}

/// Tokens that two prompts share at their beginnings, where their content is known; `content` is that of the first. All of
/// its tokens if they only differ beyond its full blocks, which nobody can tell apart.
fn shared(before: &Call, now: &Call, prompt: u32, content: &Content, block_tokens: u32) -> Option<u32> {
    match (&before.prompt, &now.prompt) {
        (_, Prompt::Appended(_)) => Some(prompt),
        (_, Prompt::Parts(parts)) if content.is_known() => Some(content.shared(parts).min(u64::from(prompt)) as u32),
        (Prompt::Blocks { ids: before, scope: a, .. }, Prompt::Blocks { ids: now, scope: b, .. }) => {
            let common = if a == b { before.iter().zip(now).take_while(|(a, b)| a == b).count() } else { 0 };
            // Prompts of which only full blocks are known, or whose length exceeds their blocks.
            let full = before.len().min((prompt / block_tokens) as usize);
            let tokens = common as u64 * u64::from(block_tokens);
            Some(if common >= full { prompt } else { tokens.min(u64::from(prompt)) as u32 })
        }
        _ => None,
    }
}

/// What a prompt of which only counts are known keeps of the line before.
fn counted_kept(call: &Call, segment: &Segment, now: Lengths, prefix: u32) -> u32 {
    let cached = call.usage.cached_tokens.map(|cached| cached.min(u64::from(now.prompt)) as u32);
    let known = match (cached, call.rewrite) {
        (Some(cached), _) => cached,
        // An earlier prompt of the session, with something else after it.
        (None, Some(Rewrite::Rollback)) => {
            let prompts = segment.turns.iter().rev().map(|turn| turn.lengths.prompt);
            prompts.filter(|prompt| *prompt < now.prompt).max().unwrap_or(0)
        }
        (None, _) => 0,
    };
    known.max(prefix)
}

/// The kind of a break that the source does not name. `following` begins with the call after the break.
fn kind(before: &Lengths, following: &[Lengths], kept: u32) -> BreakKind {
    let (old, new) = (before.prompt, following.first().map_or(0, |now| now.prompt));
    let drop = old.saturating_sub(new);
    let large =
        old >= COMPACTION_FROM && drop >= COMPACTION_TOKENS && f64::from(drop) >= COMPACTION_SHARE * f64::from(old);
    let rebounds = || {
        let next = following.iter().skip(1).take(REBOUND_CALLS);
        next.map(|call| f64::from(call.prompt)).any(|prompt| prompt >= REBOUND_SHARE * f64::from(old))
    };
    if f64::from(kept) >= EDIT_SHARE * f64::from(old) {
        BreakKind::Edit
    } else if large && !rebounds() {
        BreakKind::Compaction
    } else {
        BreakKind::Rewrite
    }
}
