//! A line: the calls of an agent across the breaks of its history.

use super::effects::Effects;
use super::model::{AgentModel, BreakLaw, Cause, KeptDraw, KeptLaw, Kind, Profile, Runs, Size, StatedRuns};
use crate::config::{Effect, MAX_TOKENS};
use crate::dist::{Quantiles, score, tenths};
use crate::rng::{Purpose, RandomStream, RandomStreams};
use crate::turns::{ALL, EndReason, Turn};

/// What caused a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Nothing of the session: the first call of a sub-agent or after a restart.
    None,
    /// New text of a person.
    Human,
    /// The result of a tool.
    Tool,
}

impl Trigger {
    /// The value of `trigger` in traces.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Human => Some("human"),
            Self::Tool => Some("tool"),
        }
    }
}

/// The calls of sessions, one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls {
    pub turns: Vec<Turn>,
    pub triggers: Vec<Trigger>,
}

impl Calls {
    pub(crate) fn push(&mut self, turn: Turn, trigger: Trigger) {
        self.turns.push(turn);
        self.triggers.push(trigger);
    }
}

/// Why the calls of a session end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SegmentEnd {
    /// Its history breaks: the kind, and the trigger of the next call.
    Break(usize, Trigger),
    /// It is over.
    Over(EndReason),
}

/// The state of a line across its breaks.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    profile: &'a Profile,
    /// Runs of calls after a person's text; `None` for a sub-agent, whose calls follow tools.
    runs: Option<&'a Runs>,
    effects: Effects,
    window: usize,
    end_factor: f64,
    /// Mean of the logarithm of the length of a run, for the first and for later runs.
    run_mu: [f64; 2],
    /// Calls before the next text of a person.
    run_left: u32,
    is_first_run: bool,
    /// Texts of a person that are left.
    human_left: u32,
    calls: u32,
    target: u32,
    breaks: u32,
}

impl<'a> Line<'a> {
    /// The main agent's line and its first call. `shared` draws what all its calls have in common.
    pub(crate) fn main(
        model: &'a AgentModel,
        shared: &mut RandomStream,
        stream: &mut RandomStream,
        calls: &mut Calls,
    ) -> Self {
        let profile = &model.main;
        let effects = profile.effects.draw(shared);
        let law = &model.first_prompt;
        let drawn = tokens(law.draws.at(score(stream)), law.low, law.cap);
        let first = law.added.saturating_add(drawn);
        let window = choose_window(profile, first, shared.uniform());
        let at = f64::from(first);
        let (run_mu, human_left) = match &model.runs {
            Runs::Stated(runs) => runs.of_line(at, shared),
            Runs::Independent { .. } => ([0.0; 2], u32::MAX),
        };
        let target = model.turns.as_ref().map_or(u32::MAX, |turns| turns.draw(shared));
        let end_factor = profile.windows[window].end_factor.at(at);
        let mut line = Self {
            profile,
            runs: Some(&model.runs),
            effects,
            window,
            end_factor,
            run_mu,
            run_left: 0,
            is_first_run: true,
            human_left,
            calls: 0,
            target,
            breaks: 0,
        };
        let trigger = line.next_trigger(stream).unwrap_or(Trigger::Human);
        let context = first.min(line.limit() - 1);
        line.accept(context, context, ALL, 0, trigger, stream, calls);
        line
    }

    /// A sub-agent's line and its first call.
    pub(crate) fn of_subagent(
        kind: &'a Kind,
        shared: &mut RandomStream,
        stream: &mut RandomStream,
        calls: &mut Calls,
    ) -> Self {
        let mut line = Self {
            profile: &kind.profile,
            runs: None,
            effects: Effects::default(),
            window: 0,
            end_factor: 1.0,
            run_mu: [0.0; 2],
            run_left: u32::MAX,
            is_first_run: false,
            human_left: u32::MAX,
            calls: 0,
            target: tokens(kind.calls.at(score(shared)), 1, MAX_TOKENS),
            breaks: 0,
        };
        let first = tokens(kind.first_prompt.at(score(stream)), kind.profile.prefix + 1, line.limit() - 1);
        line.accept(first, first, ALL, 0, Trigger::None, stream, calls);
        line
    }

    /// Prompts have fewer tokens than this.
    fn limit(&self) -> u32 {
        self.profile.windows[self.window].max_prompt
    }

    /// Breaks so far.
    pub(crate) fn breaks(&self) -> u32 {
        self.breaks
    }

    /// Appends calls until the session ends. `split`: the number of calls of the line at which a restart splits it.
    ///
    /// The order of the draws of a call is part of the format: trigger, break, returned tokens, new tokens, end, delay,
    /// output. A call that ends the session makes no further draws.
    pub(crate) fn extend(&mut self, split: Option<u32>, stream: &mut RandomStream, calls: &mut Calls) -> SegmentEnd {
        let over = SegmentEnd::Over;
        loop {
            let Some(last) = calls.turns.last().copied() else { return over(EndReason::ForcedRetire) };
            if self.calls >= self.target {
                return over(EndReason::TargetTurnCount);
            }
            if Some(self.calls) == split {
                return over(EndReason::RestartSplit);
            }
            let Some(trigger) = self.next_trigger(stream) else { return over(EndReason::TargetTurnCount) };
            if let Some(kind) = self.draw_break(last.context, trigger, stream) {
                return SegmentEnd::Break(kind, trigger);
            }
            let cause = self.cause(trigger);
            let returned = self.returned(last.output, stream);
            let drawn = match &self.profile.kept {
                Some(KeptLaw { short_new_tokens: Some(law), .. }) if returned < last.output => law.at(score(stream)),
                _ => cause.new_tokens(last.context).at(self.score(cause.tokens_effect, stream)),
            };
            let input = tokens(drawn, 1, MAX_TOKENS);
            let context = u64::from(last.context) + u64::from(returned) + u64::from(input);
            if context >= u64::from(self.limit()) {
                return match self.break_at_limit() {
                    Some(kind) => SegmentEnd::Break(kind, trigger),
                    None => over(EndReason::ForcedRetire),
                };
            }
            let window = &self.profile.windows[self.window];
            if stream.uniform() < window.end_probability.at(context as f64) * self.end_factor {
                return over(EndReason::ProbabilisticReset);
            }
            let delay_tenths = self.delay(&cause.delay_ms, cause.delay_effect, stream);
            let returned = if returned == last.output { ALL } else { returned };
            self.accept(context as u32, input, returned, delay_tenths, trigger, stream, calls);
        }
    }

    /// The first call after a break; returns the tokens that it keeps of the session `parent`.
    pub(crate) fn after_break(
        &mut self,
        kind: usize,
        trigger: Trigger,
        parent: std::ops::Range<usize>,
        block_size: u32,
        stream: &mut RandomStream,
        calls: &mut Calls,
    ) -> u32 {
        self.breaks += 1;
        let law = &self.profile.breaks[kind];
        let most = self.limit() - 1;
        let last = calls.turns[parent.end - 1];
        let mut context = match &law.size {
            Size::Tokens(size) => tokens(size.at(score(stream)), 1, most),
            Size::Ratio(ratio) => tokens(ratio.at(score(stream)) * f64::from(last.context), 1, most),
        };
        let u = stream.uniform();
        let part = law.keeps.iter().find(|(weight, _)| u < *weight).or(law.keeps.last());
        let wanted = match part.map(|(_, part)| part) {
            None | Some(KeptDraw::Nothing) => 0,
            Some(KeptDraw::Prefix) => {
                context = context.max(self.profile.prefix.saturating_add(1).min(most));
                self.profile.prefix
            }
            Some(KeptDraw::Turn(turn)) => {
                calls.turns[parent.start..parent.end][(*turn as usize).min(parent.len() - 1)].context
            }
            Some(KeptDraw::Share(share)) => tokens(share.at(score(stream)) * f64::from(last.context), 0, last.context),
        };
        let kept = wanted.min(last.context).min(context - 1);
        let delay_tenths = if let Some(delay) = &law.delay_ms {
            tenths(delay.at(score(stream)))
        } else {
            let cause = self.cause(trigger);
            self.delay(&cause.delay_ms, cause.delay_effect, stream)
        };
        self.accept(context, context, ALL, delay_tenths, trigger, stream, calls);
        kept / block_size * block_size
    }

    /// The first row after a restart: the whole history, sent again. It is no call; the next one is a person's.
    pub(crate) fn after_restart(&mut self, last: Turn, stream: &mut RandomStream, calls: &mut Calls) {
        let returned = self.returned(last.output, stream);
        let context = last.context.saturating_add(returned).min(self.limit() - 1);
        let returned = if returned == last.output { ALL } else { returned };
        let output = self.output(stream);
        calls.push(Turn { context, input: context, output, returned, delay_tenths: 0 }, Trigger::None);
        self.run_left = 0;
    }

    #[allow(clippy::too_many_arguments)] // the fields of a call
    fn accept(
        &mut self,
        context: u32,
        input: u32,
        returned: u32,
        delay_tenths: u64,
        trigger: Trigger,
        stream: &mut RandomStream,
        calls: &mut Calls,
    ) {
        let output = self.output(stream);
        calls.push(Turn { context, input, output, returned, delay_tenths }, trigger);
        self.calls += 1;
    }

    /// What causes the next call; `None` if the person has no text left.
    fn next_trigger(&mut self, stream: &mut RandomStream) -> Option<Trigger> {
        let Some(runs) = self.runs else { return Some(Trigger::Tool) };
        let runs = match runs {
            Runs::Stated(runs) => runs,
            Runs::Independent { tool_share } => {
                let is_tool = self.run_left > 0;
                self.run_left = u32::from(stream.uniform() < *tool_share);
                return Some(if is_tool { Trigger::Tool } else { Trigger::Human });
            }
        };
        if self.run_left > 0 {
            self.run_left -= 1;
            return Some(Trigger::Tool);
        }
        self.human_left = self.human_left.checked_sub(1)?;
        let mu = self.run_mu[usize::from(!self.is_first_run)];
        self.is_first_run = false;
        let length = libm::exp(mu + runs.stated.sigma * score(stream)).ceil();
        self.run_left = tokens(length, 1, MAX_TOKENS) - 1;
        Some(Trigger::Human)
    }

    /// The kind of the break before a call, if there is one.
    #[inline]
    fn draw_break(&self, context: u32, trigger: Trigger, stream: &mut RandomStream) -> Option<usize> {
        if self.breaks >= self.profile.most_breaks || self.profile.breaks.is_empty() {
            return None;
        }
        let by_trigger = usize::from(trigger == Trigger::Human);
        let u = stream.uniform();
        if u >= self.profile.windows[self.window].break_bound(by_trigger, context) {
            return None;
        }
        let mut sum = 0.0;
        self.profile.breaks.iter().position(|law| {
            sum += if law.windows[self.window] { law.probability[by_trigger].at(f64::from(context)) } else { 0.0 };
            u < sum
        })
    }

    fn break_at_limit(&self) -> Option<usize> {
        let is_left = self.breaks < self.profile.most_breaks;
        let applies = |law: &BreakLaw| is_left && law.at_limit && law.windows[self.window];
        self.profile.breaks.iter().position(applies)
    }

    fn cause(&self, trigger: Trigger) -> &'a Cause {
        if trigger == Trigger::Human { &self.profile.human } else { &self.profile.tool }
    }

    #[inline]
    fn score(&self, effect: Effect, stream: &mut RandomStream) -> f64 {
        self.profile.effects.score(&self.effects, effect, stream)
    }

    #[inline]
    fn output(&self, stream: &mut RandomStream) -> u32 {
        let score = self.score(Effect::Output, stream);
        tokens(self.profile.output.at(score), self.profile.smallest_output, MAX_TOKENS)
    }

    #[inline]
    fn delay(&self, delay_ms: &Quantiles, effect: Effect, stream: &mut RandomStream) -> u64 {
        tenths(delay_ms.at(self.score(effect, stream)))
    }

    /// Tokens of an output that the next prompt holds.
    #[inline]
    fn returned(&self, output: u32, stream: &mut RandomStream) -> u32 {
        let Some(KeptLaw { short_probability, missing_share, .. }) = &self.profile.kept else { return output };
        if stream.uniform() >= short_probability.at(f64::from(output)) {
            return output;
        }
        let share = 1.0 - missing_share.at(score(stream));
        tokens(share * f64::from(output), 0, output)
    }
}

impl StatedRuns {
    /// Means of the logarithm of the length of a line's first and later runs, and its texts of a person.
    fn of_line(&self, first_prompt: f64, shared: &mut RandomStream) -> ([f64; 2], u32) {
        let stated = &self.stated;
        let is_chat = shared.uniform() < stated.chat_probability;
        let style = stated.session_sigma * score(shared);
        let mu = if is_chat {
            [libm::log(stated.chat_median); 2]
        } else {
            let median = libm::log(self.median.at(first_prompt)) + style;
            [median + libm::log(self.first_turn_factor.at(first_prompt)), median]
        };
        (mu, self.human_turns.as_ref().map_or(u32::MAX, |d| tokens(d.at(score(shared)), 1, MAX_TOKENS)))
    }
}

/// Whole tokens from `low` to `high`; the cast saturates.
#[inline]
fn tokens(drawn: f64, low: u32, high: u32) -> u32 {
    (drawn as u32).clamp(low, high)
}

/// The context window of a session with this first prompt, which must fit.
fn choose_window(profile: &Profile, first: u32, u: f64) -> usize {
    let windows = &profile.windows;
    let weight = |index: usize| {
        let window = &windows[index];
        if first < window.max_prompt { window.weight.at(f64::from(first)) } else { 0.0 }
    };
    let total: f64 = (0..windows.len()).map(weight).sum();
    let mut sum = 0.0;
    let chosen = (0..windows.len()).find(|index| {
        sum += weight(*index);
        u * total < sum
    });
    chosen.unwrap_or_else(|| (0..windows.len()).max_by_key(|index| windows[*index].max_prompt).unwrap_or(0))
}

impl AgentModel {
    /// Calls of the main agent in a session, which depend on `streams` and its index.
    pub(crate) fn count_calls(&self, streams: &RandomStreams, root: u64) -> usize {
        let mut calls = Calls::default();
        let mut stream = streams.member_stream(Purpose::Content, root, 0);
        let mut line = Line::main(self, &mut streams.member_stream(Purpose::Line, root, 0), &mut stream, &mut calls);
        let mut start = 0;
        while let SegmentEnd::Break(kind, trigger) = line.extend(None, &mut stream, &mut calls) {
            let end = calls.turns.len();
            line.after_break(kind, trigger, start..end, 1, &mut stream, &mut calls);
            start = end;
        }
        calls.turns.len()
    }
}
