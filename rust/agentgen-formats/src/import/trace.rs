//! Recorded sessions as the sessions of a trace: lengths, breaks, links and times.

use agentgen_trace::diagnostic::Diagnostic;
use agentgen_trace::error::{Result, TraceError};

use super::lengths::{LengthEstimator, Quality};
use super::model::{Prompt, RecordedSession};
use super::names::Names;
use super::prefix::{Prefix, prefixes};
use super::split::{Segment, split};
use super::summary::Summary;
use super::times::{Times, times};
use super::tree::{Link, Tree, link};

/// Tokens of a block where the sources have none.
pub(crate) const BLOCK_TOKENS: u32 = 64;

/// What all rows of an import follow from.
#[derive(Debug)]
pub(crate) struct Trace {
    pub recorded: Vec<RecordedSession>,
    /// The segments of each recorded session.
    pub lines: Vec<Vec<Segment>>,
    pub prefixes: Vec<Option<Prefix>>,
    pub tree: Tree,
    pub times: Times,
    pub estimator: LengthEstimator,
    pub block_tokens: u32,
    pub summary: Summary,
}

impl Trace {
    /// Puts sessions together. `block_size`: tokens of a block, for sources without block ids.
    pub(crate) fn new(recorded: Vec<RecordedSession>, block_size: Option<u32>) -> Result<Self> {
        let block_tokens = block_tokens(&recorded, block_size)?;
        let mut estimator = LengthEstimator::new(&recorded);
        let lengths: Vec<_> = recorded.iter().map(|session| estimator.lengths(session)).collect();
        let prefixes = prefixes(&recorded, &lengths);
        let segments = |((session, lengths), prefix): ((&RecordedSession, &Vec<_>), &Option<Prefix>)| {
            split(session, lengths, &estimator, prefix.map_or(0, |prefix| prefix.tokens), block_tokens)
        };
        let lines: Vec<Vec<Segment>> = recorded.iter().zip(&lengths).zip(&prefixes).map(segments).collect();
        let tree = link(&recorded, &lines);
        let times = times(&recorded, &lines, &tree);
        let mut trace = Self {
            recorded,
            lines,
            prefixes,
            tree,
            times,
            estimator,
            block_tokens,
            summary: Summary { block_size: block_tokens, ..Summary::default() },
        };
        trace.summarize();
        Ok(trace)
    }

    /// Learns all names, in the order of the file.
    pub(crate) fn learn(&self, names: &mut Names) {
        for session in &self.tree.sessions {
            let recorded = &self.recorded[session.line];
            let turns = &self.lines[session.line][session.segment].turns;
            names.learn(recorded, turns.iter().map(|turn| &recorded.calls[turn.lengths.call]));
        }
    }

    fn summarize(&mut self) {
        let summary = &mut self.summary;
        summary.delays = self.times.counts;
        for session in &self.tree.sessions {
            summary.sessions += 1;
            match session.link {
                Link::Root => summary.root_sessions += 1,
                Link::Break { .. } => {}
                Link::Subagent { join_turn, .. } => {
                    summary.subagents.sessions += 1;
                    summary.subagents.joined += u64::from(join_turn.is_some());
                }
            }
            let segment = &self.lines[session.line][session.segment];
            if let Some(begins) = segment.begins {
                let breaks = summary.breaks.entry(begins.kind.name()).or_default();
                breaks.count += 1;
                breaks.inferred += u64::from(begins.is_inferred);
            }
        }
        for (session, line) in self.recorded.iter().zip(&self.lines) {
            let turns = || line.iter().flat_map(|segment| &segment.turns);
            summary.calls += turns().count() as u64;
            summary.calls_without_prompt_length += (session.calls.len() - turns().count()) as u64;
            let mut human_turns: Vec<u32> =
                turns().map(|turn| session.calls[turn.lengths.call].human_turn_index).collect();
            human_turns.dedup();
            summary.human_turns += human_turns.len() as u64;
            let mut outputs_before = None;
            let mut shortfall = 0;
            for turn in turns() {
                let lengths = &turn.lengths;
                summary.prompt_tokens += u64::from(lengths.prompt);
                summary.output_tokens += u64::from(lengths.output);
                summary.prompts_estimated += u64::from(lengths.prompt_quality != Quality::Recorded);
                summary.outputs_estimated += u64::from(lengths.output_quality == Quality::Estimated);
                summary.outputs_unknown += u64::from(lengths.output_quality == Quality::Unknown);
                summary.prompt_error_tokens_max = summary.prompt_error_tokens_max.max(lengths.prompt_error);
                if let (Some(returned), Some(before)) = (turn.returned, outputs_before) {
                    summary.returned.partly += 1;
                    shortfall += u64::from(before - returned);
                }
                outputs_before = Some(lengths.output);
            }
            summary.returned.missing_tokens_of_a_session_max =
                summary.returned.missing_tokens_of_a_session_max.max(shortfall);
        }
    }
}

/// The block size of the trace: that of the sources, if they have one.
fn block_tokens(recorded: &[RecordedSession], option: Option<u32>) -> Result<u32> {
    let mut sizes = recorded.iter().flat_map(|session| {
        let size = |call: &super::model::Call| match call.prompt {
            Prompt::Blocks { block_tokens, .. } => Some(block_tokens),
            _ => None,
        };
        session.calls.iter().filter_map(size)
    });
    let first = sizes.next();
    if first == Some(0) {
        return Err(Diagnostic::unnamed("blocks of 0 tokens", "at least 1").into());
    }
    if let Some(first) = first {
        if let Some(other) = sizes.find(|size| *size != first) {
            let found = format!("block ids of {first} tokens and of {other} tokens");
            let diagnostic = Diagnostic::unnamed(found, "one block size in all sources");
            return Err(diagnostic.with_help("import them apart").into());
        }
        if let Some(option) = option.filter(|option| *option != first) {
            let diagnostic = Diagnostic::unnamed(option.to_string(), format!("{first}, as the sources have"));
            return Err(TraceError::usage("block_size", diagnostic.with_help("leave it out")));
        }
    }
    Ok(first.or(option).unwrap_or(BLOCK_TOKENS))
}
