//! A configuration of agents, compiled for drawing.

use super::curve::Function;
use super::effects::EffectLaw;
use crate::config::{
    BreakKind, CallsPerHumanTurn, Caused, Config, ContextWindow, Distribution, Effect, KeptPart, NewPrompt, OutputKept,
    SubagentKind, Triggers,
};
use crate::dist::{Quantiles, TurnCountDist};
use crate::error::ConfigError;

/// Sessions of agents: the main agent's, and those of its sub-agents.
#[derive(Debug, Clone)]
pub(crate) struct AgentModel {
    /// The main agent's calls.
    pub main: Profile,
    /// First prompt: tokens added to the draw, the draw, smallest and largest.
    pub first_prompt: FirstPromptLaw,
    pub runs: Runs,
    /// Calls of a session, where stated.
    pub turns: Option<TurnCountDist>,
    /// Sub-agents, by kind.
    pub kinds: Vec<Kind>,
    /// Most sub-agents of a bundle, and their levels.
    pub most_subagents: u32,
    pub depth: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct FirstPromptLaw {
    pub added: u32,
    pub draws: Quantiles,
    pub low: u32,
    pub cap: u32,
}

/// What the calls of an agent are like.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// Tokens of the agent's prefix.
    pub prefix: u32,
    pub tool: Cause,
    pub human: Cause,
    pub output: Quantiles,
    pub smallest_output: u32,
    pub effects: EffectLaw,
    pub kept: Option<KeptLaw>,
    pub windows: Vec<Window>,
    pub breaks: Vec<BreakLaw>,
    pub most_breaks: u32,
}

/// Calls of one trigger.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// New tokens below each context size.
    pub bands: Vec<(u32, Quantiles)>,
    pub delay_ms: Quantiles,
    pub tokens_effect: Effect,
    pub delay_effect: Effect,
}

/// What causes the calls of the main agent.
#[derive(Debug, Clone)]
pub(crate) enum Runs {
    /// Runs of calls after a person's text.
    Stated(Box<StatedRuns>),
    /// Each call after the first is caused by a tool with this probability.
    Independent { tool_share: f64 },
}

/// Lengths of runs of calls after a person's text.
#[derive(Debug, Clone)]
pub(crate) struct StatedRuns {
    pub median: Function,
    pub first_turn_factor: Function,
    pub stated: CallsPerHumanTurn,
    pub human_turns: Option<Quantiles>,
}

#[derive(Debug, Clone)]
pub(crate) struct KeptLaw {
    pub short_probability: Function,
    pub missing_share: Quantiles,
    pub short_new_tokens: Option<Quantiles>,
}

/// A context limit.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub max_prompt: u32,
    pub weight: Function,
    pub end_probability: Function,
    pub end_factor: Function,
    /// By trigger, tool first: upper bounds of the probability of a break, for [`CELLS`] equal parts of the window.
    pub break_bounds: [Vec<f64>; 2],
}

/// Parts of a window that have a bound of their own.
pub(crate) const CELLS: u32 = 256;

#[derive(Debug, Clone)]
pub(crate) struct BreakLaw {
    /// Whether sessions of each window have it.
    pub windows: Vec<bool>,
    /// By trigger, tool first.
    pub probability: [Function; 2],
    pub at_limit: bool,
    /// Cumulative weights.
    pub keeps: Vec<(f64, KeptDraw)>,
    pub size: Size,
    pub delay_ms: Option<Quantiles>,
}

#[derive(Debug, Clone)]
pub(crate) enum KeptDraw {
    Nothing,
    Prefix,
    Turn(u32),
    Share(Quantiles),
}

#[derive(Debug, Clone)]
pub(crate) enum Size {
    Tokens(Quantiles),
    Ratio(Quantiles),
}

/// A kind of sub-agent.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub profile: Profile,
    pub spawn_probability: f64,
    pub fan_out: Quantiles,
    pub background_share: f64,
    pub first_prompt: Quantiles,
    pub calls: Quantiles,
    pub start_delay_ms: Quantiles,
}

/// Compiles the distribution of a field.
fn quantiles(path: &str, stated: &Distribution) -> Result<Quantiles, ConfigError> {
    Quantiles::new(stated).map_err(|reason| ConfigError::new(path, reason))
}

impl AgentModel {
    /// Of a checked configuration; `None` if it does not describe agents.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, ConfigError> {
        if !config.describes_agents() {
            return Ok(None);
        }
        let first = config.first_prompt()?;
        let first_prompt = FirstPromptLaw {
            added: first.added,
            draws: quantiles(first.path, first.stated)?,
            low: first.low,
            cap: first.cap,
        };
        let kept = config.output_kept.as_ref().map(KeptLaw::new).transpose()?;
        let effects = EffectLaw::new(&config.session_effects.clone().unwrap_or_default())
            .ok_or_else(|| contradiction("session_effects.correlations"))?;
        let (kinds_of_break, most_breaks) =
            config.breaks.as_ref().map_or((&[][..], 0), |breaks| (&breaks.kinds[..], breaks.max_per_line));
        let mut windows = Window::all(config);
        let names: Vec<&str> = config.context_windows.iter().flatten().map(|window| window.name.as_str()).collect();
        let breaks = BreakLaw::all("breaks.kinds", kinds_of_break, &names, &mut windows)?;
        let (runs, tool, human) = causes(config)?;
        let main = Profile {
            prefix: config.prefix_tokens() as u32,
            tool,
            human,
            output: quantiles("generation_length", &config.generation_length)?,
            smallest_output: config.smallest_output(),
            effects,
            kept,
            windows,
            breaks,
            most_breaks,
        };
        let (kinds, most_subagents, depth) = match &config.subagents {
            Some(subagents) => {
                let kind = |(index, kind)| Kind::new(config, &main, subagents.max_breaks_per_line, index, kind);
                let kinds = subagents.kinds.iter().enumerate().map(kind).collect::<Result<_, _>>()?;
                (kinds, subagents.max_per_bundle, subagents.depth)
            }
            None => (Vec::new(), 0, 0),
        };
        Ok(Some(Self {
            main,
            first_prompt,
            runs,
            turns: config.turns.as_ref().and_then(TurnCountDist::uncalibrated),
            kinds,
            most_subagents,
            depth,
        }))
    }
}

fn contradiction(path: &str) -> ConfigError {
    ConfigError::new(path, "found correlations that contradict each other, expected a positive definite matrix")
}

/// What causes calls, and those that tools and persons cause.
fn causes(config: &Config) -> Result<(Runs, Cause, Cause), ConfigError> {
    if let Some(triggers) = &config.triggers {
        let runs = Runs::Stated(Box::new(StatedRuns::new(triggers)?));
        let tool = Cause::new("triggers.tool", &triggers.tool, Effect::ToolNewTokens, Effect::ToolDelay)?;
        let human = Cause::new("triggers.human", &triggers.human, Effect::HumanNewTokens, Effect::HumanDelay)?;
        return Ok((runs, tool, human));
    }
    let (new_tokens, delay) = config.plain_turns()?;
    let cause = |name: &str, delay_ms, tokens_effect, delay_effect| {
        Ok::<_, ConfigError>(Cause {
            bands: vec![(u32::MAX, quantiles("new_tokens_per_turn", new_tokens)?)],
            delay_ms: quantiles(&format!("inter_turn_delay.{name}"), delay_ms)?,
            tokens_effect,
            delay_effect,
        })
    };
    let runs = Runs::Independent { tool_share: delay.agentic_fraction };
    let tool = cause("agentic_delay", &delay.agentic_delay, Effect::ToolNewTokens, Effect::ToolDelay)?;
    let human = cause("human_delay", &delay.human_delay, Effect::HumanNewTokens, Effect::HumanDelay)?;
    Ok((runs, tool, human))
}

impl Cause {
    fn new(path: &str, stated: &Caused, tokens_effect: Effect, delay_effect: Effect) -> Result<Self, ConfigError> {
        let band = |(index, band): (usize, &crate::config::ContextBand)| {
            let tokens = quantiles(&format!("{path}.new_tokens[{index}].tokens"), &band.tokens)?;
            Ok::<_, ConfigError>((band.context_below.unwrap_or(u32::MAX), tokens))
        };
        Ok(Self {
            bands: stated.new_tokens.iter().enumerate().map(band).collect::<Result<_, _>>()?,
            delay_ms: quantiles(&format!("{path}.delay_ms"), &stated.delay_ms)?,
            tokens_effect,
            delay_effect,
        })
    }

    /// New tokens after a context.
    #[inline]
    pub(crate) fn new_tokens(&self, context: u32) -> &Quantiles {
        let band = self.bands.iter().find(|band| context < band.0);
        &band.unwrap_or(&self.bands[self.bands.len() - 1]).1
    }
}

impl StatedRuns {
    fn new(triggers: &Triggers) -> Result<Self, ConfigError> {
        let stated = &triggers.calls_per_human_turn;
        Ok(Self {
            median: Function::new(&stated.median),
            first_turn_factor: Function::new(&stated.first_turn_factor),
            stated: stated.clone(),
            human_turns: triggers.human_turns.as_ref().map(|d| quantiles("triggers.human_turns", d)).transpose()?,
        })
    }
}

impl KeptLaw {
    fn new(stated: &OutputKept) -> Result<Self, ConfigError> {
        Ok(Self {
            short_probability: Function::new(&stated.short_probability),
            missing_share: quantiles("output_kept.missing_share", &stated.missing_share)?,
            short_new_tokens: stated
                .short_new_tokens
                .as_ref()
                .map(|d| quantiles("output_kept.short_new_tokens", d))
                .transpose()?,
        })
    }
}

impl Window {
    fn of(window: &ContextWindow) -> Self {
        Self {
            max_prompt: window.max_prompt_tokens,
            weight: Function::new(&window.weight),
            end_probability: Function::new(&window.end_probability),
            end_factor: Function::new(&window.end_factor),
            break_bounds: [Vec::new(), Vec::new()],
        }
    }

    /// The window of all sessions where none is stated: `reset` is the probability that they end.
    fn all(config: &Config) -> Vec<Self> {
        if let Some(windows) = &config.context_windows {
            return windows.iter().map(Self::of).collect();
        }
        let (max, reset) = (f64::from(config.max_prompt_tokens), config.reset);
        let end = reset.map_or([0.0; 2], |reset| [1.0, reset.context_scaling].map(|f| f * reset.base_probability));
        vec![Self {
            end_probability: Function::new(&crate::config::Curve::Points(vec![[0.0, end[0]], [max, end[1]]])),
            ..Self::endless(config.max_prompt_tokens)
        }]
    }

    /// A window whose sessions end at its limit alone.
    fn endless(max_prompt: u32) -> Self {
        let constant = |value| Function::new(&crate::config::Curve::Constant(value));
        Self {
            max_prompt,
            weight: constant(1.0),
            end_probability: constant(0.0),
            end_factor: constant(1.0),
            break_bounds: [Vec::new(), Vec::new()],
        }
    }

    /// An upper bound of the probability of a break at a context; `trigger`: 0 for a tool's result.
    #[inline]
    pub(crate) fn break_bound(&self, trigger: usize, context: u32) -> f64 {
        let cell = u64::from(context) * u64::from(CELLS) / u64::from(self.max_prompt);
        self.break_bounds[trigger].get(cell as usize).copied().unwrap_or(0.0)
    }

    fn bound(&mut self, index: usize, breaks: &[BreakLaw]) {
        if breaks.is_empty() {
            return;
        }
        for (trigger, bounds) in self.break_bounds.iter_mut().enumerate() {
            let edge = |cell: u32| f64::from(cell) * f64::from(self.max_prompt) / f64::from(CELLS);
            *bounds = (0..CELLS)
                .map(|cell| {
                    let has = breaks.iter().filter(|kind| kind.windows[index]);
                    has.map(|kind| kind.probability[trigger].largest_between(edge(cell), edge(cell + 1))).sum()
                })
                .collect();
        }
    }
}

impl BreakLaw {
    fn all(path: &str, stated: &[BreakKind], names: &[&str], windows: &mut [Window]) -> Result<Vec<Self>, ConfigError> {
        let each = |(index, kind)| Self::new(&format!("{path}[{index}]"), kind, names, windows.len());
        let laws: Vec<Self> = stated.iter().enumerate().map(each).collect::<Result<_, _>>()?;
        for (index, window) in windows.iter_mut().enumerate() {
            window.bound(index, &laws);
        }
        Ok(laws)
    }

    fn new(path: &str, stated: &BreakKind, names: &[&str], windows: usize) -> Result<Self, ConfigError> {
        let mut sum = 0.0;
        let mut keeps = Vec::new();
        for (index, kept) in stated.keeps.iter().enumerate() {
            sum += kept.weight;
            let part = match &kept.part {
                KeptPart::Nothing => KeptDraw::Nothing,
                KeptPart::Prefix => KeptDraw::Prefix,
                KeptPart::Turn(turn) => KeptDraw::Turn(*turn),
                KeptPart::Share(share) => {
                    KeptDraw::Share(quantiles(&format!("{path}.keeps[{index}].part.share"), share)?)
                }
            };
            keeps.push((sum, part));
        }
        for (weight, _) in &mut keeps {
            *weight /= sum;
        }
        let has = |index: usize| {
            stated.windows.is_empty() || names.get(index).is_some_and(|n| stated.windows.iter().any(|w| w == n))
        };
        Ok(Self {
            windows: (0..windows).map(has).collect(),
            probability: [Function::new(&stated.tool_probability), Function::new(&stated.human_probability)],
            at_limit: stated.at_limit,
            keeps,
            size: match &stated.new_prompt {
                NewPrompt::Tokens(tokens) => Size::Tokens(quantiles(&format!("{path}.new_prompt.tokens"), tokens)?),
                NewPrompt::Ratio(ratio) => Size::Ratio(quantiles(&format!("{path}.new_prompt.ratio"), ratio)?),
            },
            delay_ms: stated.delay_ms.as_ref().map(|d| quantiles(&format!("{path}.delay_ms"), d)).transpose()?,
        })
    }
}

impl Kind {
    fn new(
        config: &Config,
        main: &Profile,
        most_breaks: u32,
        index: usize,
        stated: &SubagentKind,
    ) -> Result<Self, ConfigError> {
        let field = |name: &str, d| quantiles(&format!("subagents.kinds[{index}].{name}"), d);
        let cause = || {
            Ok::<_, ConfigError>(Cause {
                bands: vec![(u32::MAX, field("new_tokens", &stated.new_tokens)?)],
                delay_ms: field("delay_ms", &stated.delay_ms)?,
                tokens_effect: Effect::ToolNewTokens,
                delay_effect: Effect::ToolDelay,
            })
        };
        let mut windows = vec![Window::endless(config.max_prompt_tokens)];
        let breaks = BreakLaw::all(&format!("subagents.kinds[{index}].breaks"), &stated.breaks, &[], &mut windows)?;
        let effects = EffectLaw::new(&crate::config::SessionEffects::default()).ok_or_else(|| contradiction(""))?;
        let profile = Profile {
            prefix: config.kind_prefix_tokens(stated) as u32,
            tool: cause()?,
            human: cause()?,
            output: field("output", &stated.output)?,
            smallest_output: 1,
            effects,
            kept: main.kept.clone(),
            windows,
            breaks,
            most_breaks,
        };
        Ok(Self {
            profile,
            spawn_probability: stated.spawn_probability,
            fan_out: field("fan_out", &stated.fan_out)?,
            background_share: stated.background_share,
            first_prompt: field("first_prompt", &stated.first_prompt)?,
            calls: field("calls", &stated.calls)?,
            start_delay_ms: field("start_delay_ms", &stated.start_delay_ms)?,
        })
    }
}
