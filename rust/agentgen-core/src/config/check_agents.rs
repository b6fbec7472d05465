//! Rules of the sections about agents.

use super::agents::{BreakKind, CallsPerHumanTurn, Caused, Curve, KeptPart, NewPrompt, SubagentKind, Triggers};
use super::check::{Checked, positive, probability, rule, sigma_rule};
use super::{Bias, Config, Distribution, MAX_TOKENS};
use crate::error::ConfigError;

/// Most kinds of breaks or of sub-agents.
const MAX_KINDS: usize = 256;
/// Most levels of sub-agents.
const MAX_DEPTH: u32 = 16;
/// Bytes of the name of a kind.
const MAX_NAME: usize = 100;

fn under(path: &str) -> impl Fn(ConfigError) -> ConfigError + '_ {
    move |error| error.under(path)
}

impl Config {
    /// Checks the sections about agents.
    pub(super) fn check_agents(&self) -> Checked {
        if let Some(time) = self.service_time {
            let parts = [time.base_ms, time.output_token_ms, time.uncached_token_ms, time.prompt_token_ms];
            for ms in parts {
                rule(ms.is_finite() && ms >= 0.0, "service_time", ms, "times of at least 0 ms")?;
            }
        }
        if !self.describes_agents() {
            return Ok(());
        }
        let as_stated =
            "false: with sections about agents, or other forms than lognormals, distributions are drawn as stated";
        rule(!self.calibrate, "calibrate", true, as_stated)?;
        match &self.triggers {
            Some(triggers) => self.check_triggers(triggers)?,
            None => self.check_delays_as_stated()?,
        }
        if let Some(turns) = &self.turns {
            rule(turns.allow_truncation, "turns.allow_truncation", false, "true: no session of agents is drawn again")?;
        }
        if let Some(effects) = &self.session_effects {
            let shares = [
                ("tool_new_tokens", effects.tool_new_tokens),
                ("human_new_tokens", effects.human_new_tokens),
                ("output", effects.output),
                ("tool_delay", effects.tool_delay),
                ("human_delay", effects.human_delay),
            ];
            for (name, share) in shares {
                probability(share, &format!("session_effects.{name}"))?;
            }
            for correlation in &effects.correlations {
                let path = "session_effects.correlations";
                rule(correlation.between[0] != correlation.between[1], path, "one effect twice", "two effects")?;
                rule((-1.0..=1.0).contains(&correlation.value), path, correlation.value, "a number from -1 to 1")?;
            }
        }
        if let Some(kept) = &self.output_kept {
            kept.short_probability.check_probability("output_kept.short_probability")?;
            kept.missing_share.check(false).map_err(under("output_kept.missing_share"))?;
            if let Some(tokens) = &kept.short_new_tokens {
                tokens.check(true).map_err(under("output_kept.short_new_tokens"))?;
            }
        }
        self.check_windows()?;
        if let Some(breaks) = &self.breaks {
            rule(breaks.max_per_line < 1 << 16, "breaks.max_per_line", breaks.max_per_line, "0 to 65535")?;
            self.check_breaks(&breaks.kinds).map_err(under("breaks.kinds"))?;
        }
        self.check_subagents()
    }

    fn check_triggers(&self, triggers: &Triggers) -> Checked {
        let also = "null: triggers states it for each trigger";
        rule(self.new_tokens_per_turn.is_none(), "new_tokens_per_turn", "an object beside triggers", also)?;
        rule(self.inter_turn_delay.is_none(), "inter_turn_delay", "an object beside triggers", also)?;
        triggers.human.check().map_err(under("triggers.human"))?;
        triggers.tool.check().map_err(under("triggers.tool"))?;
        triggers.calls_per_human_turn.check().map_err(under("triggers.calls_per_human_turn"))?;
        if let Some(turns) = &triggers.human_turns {
            turns.check(true).map_err(under("triggers.human_turns"))?;
        }
        Ok(())
    }

    /// Without `triggers`, tools and persons cause calls by `agentic_fraction`.
    fn check_delays_as_stated(&self) -> Checked {
        let (new_tokens, delay) = self.plain_turns()?;
        let has_factor = matches!(new_tokens.bias, Some(Bias::Factor(_)));
        rule(!has_factor, "new_tokens_per_turn.bias", "a factor", "none: distributions are drawn as stated")?;
        rule(delay.max.is_none(), "inter_turn_delay.max", "a limit", "null: each delay has its own max")?;
        let path = "inter_turn_delay.context_speedup";
        rule(delay.context_speedup.is_none(), path, "an object", "null beside sections about agents")
    }

    fn check_windows(&self) -> Checked {
        let Some(windows) = &self.context_windows else { return Ok(()) };
        rule(
            self.reset.is_none(),
            "reset",
            "an object beside context_windows",
            "null: each window has end_probability",
        )?;
        let mut largest = 0;
        for (index, window) in windows.iter().enumerate() {
            let path = format!("context_windows[{index}]");
            let limit = window.max_prompt_tokens;
            let least = self.prefix_tokens() + 2;
            rule(
                (least..=u64::from(self.max_prompt_tokens)).contains(&u64::from(limit)),
                &format!("{path}.max_prompt_tokens"),
                limit,
                &format!("{least} to max_prompt_tokens ({})", self.max_prompt_tokens),
            )?;
            largest = largest.max(limit);
            window.weight.check_each(&format!("{path}.weight"), |weight| weight >= 0.0, "at least 0")?;
            window.end_probability.check_probability(&format!("{path}.end_probability"))?;
            window.end_factor.check_each(&format!("{path}.end_factor"), |factor| factor >= 0.0, "at least 0")?;
        }
        let expected = format!("a window of max_prompt_tokens ({})", self.max_prompt_tokens);
        rule(largest == self.max_prompt_tokens, "context_windows", format!("{largest} tokens at most"), &expected)
    }

    fn check_breaks(&self, kinds: &[BreakKind]) -> Checked {
        rule(kinds.len() <= MAX_KINDS, "", format!("{} kinds", kinds.len()), "at most 256")?;
        for kind in kinds {
            check_name(&kind.name)?;
            kind.check().map_err(under(&kind.name))?;
            for window in &kind.windows {
                let is_known = self.context_windows.iter().flatten().any(|known| known.name == *window);
                rule(is_known, "windows", format!("{window:?}"), "the name of a window of context_windows")?;
            }
        }
        Ok(())
    }

    fn check_subagents(&self) -> Checked {
        let Some(subagents) = &self.subagents else { return Ok(()) };
        rule(subagents.max_per_bundle < 1 << 16, "subagents.max_per_bundle", subagents.max_per_bundle, "0 to 65535")?;
        let breaks = subagents.max_breaks_per_line;
        rule(breaks < 1 << 16, "subagents.max_breaks_per_line", breaks, "0 to 65535")?;
        let depth = subagents.depth;
        rule((1..=MAX_DEPTH).contains(&depth), "subagents.depth", depth, "1 to 16")?;
        let count = subagents.kinds.len();
        rule(count <= MAX_KINDS, "subagents.kinds", format!("{count} kinds"), "at most 256")?;
        let sum: f64 = subagents.kinds.iter().map(|kind| kind.spawn_probability).sum();
        rule(sum <= 1.0, "subagents.kinds", format!("a sum of spawn_probability of {sum}"), "at most 1")?;
        for kind in &subagents.kinds {
            check_name(&kind.name)?;
            rule(kind.name != "main", "subagents.kinds", "\"main\"", "another name: main is the main agent's")?;
            let path = format!("subagents.kinds.{}", kind.name);
            kind.check().map_err(under(&path))?;
            let prefix = self.kind_prefix_tokens(kind);
            let most = u64::from(self.max_prompt_tokens) - 2;
            let field = format!("{path}.prefix_tokens");
            rule(prefix <= most, &field, kind.prefix_tokens, "less than max_prompt_tokens, rounded up to blocks")?;
            self.check_breaks(&kind.breaks).map_err(|e| e.under("breaks").under(&path))?;
        }
        Ok(())
    }
}

fn check_name(name: &str) -> Checked {
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
    rule(is_name, "name", format!("{name:?}"), "a name of at most 100 bytes")
}

impl CallsPerHumanTurn {
    fn check(&self) -> Checked {
        self.median.check_each("median", |median| median > 0.0, "more than 0")?;
        self.first_turn_factor.check_each("first_turn_factor", |factor| factor > 0.0, "more than 0")?;
        sigma_rule(self.sigma)?;
        sigma_rule(self.session_sigma)?;
        probability(self.chat_probability, "chat_probability")?;
        positive(self.chat_median, "chat_median")
    }
}

impl Caused {
    fn check(&self) -> Checked {
        rule(!self.new_tokens.is_empty(), "new_tokens", "an empty list", "at least one band of contexts")?;
        for band in &self.new_tokens {
            band.tokens.check(true).map_err(under("new_tokens.tokens"))?;
        }
        let below = |band: &super::ContextBand| band.context_below.unwrap_or(u32::MAX);
        let ascends = self.new_tokens.windows(2).all(|pair| below(&pair[0]) < below(&pair[1]));
        let ends = self.new_tokens.last().is_some_and(|band| band.context_below.is_none());
        let expected = "bands with ascending context_below, the last without it";
        rule(ascends && ends, "new_tokens", "other bands", expected)?;
        self.delay_ms.check(false).map_err(under("delay_ms"))
    }
}

impl Curve {
    fn check_probability(&self, path: &str) -> Checked {
        self.check_each(path, |p| (0.0..=1.0).contains(&p), "a number from 0 to 1")
    }

    fn check_each(&self, path: &str, is_right: impl Fn(f64) -> bool, expected: &str) -> Checked {
        match self {
            Self::Constant(value) => rule(value.is_finite() && is_right(*value), path, value, expected),
            Self::Points(points) => {
                let ascends = points.windows(2).all(|pair| pair[0][0] <= pair[1][0]);
                let shape = "points [x, y] with ascending x, at least one";
                rule(!points.is_empty() && ascends, path, format!("{} points", points.len()), shape)?;
                let wrong = points.iter().find(|[x, y]| !x.is_finite() || !y.is_finite() || !is_right(*y));
                wrong.map_or(Ok(()), |[x, y]| rule(false, path, format!("[{x}, {y}]"), expected))
            }
        }
    }
}

impl BreakKind {
    fn check(&self) -> Checked {
        self.tool_probability.check_probability("tool_probability")?;
        self.human_probability.check_probability("human_probability")?;
        rule(!self.keeps.is_empty(), "keeps", "an empty list", "at least one part")?;
        for kept in &self.keeps {
            positive(kept.weight, "keeps.weight")?;
            if let KeptPart::Share(share) = &kept.part {
                share.check(false).map_err(under("keeps.part.share"))?;
            }
        }
        match &self.new_prompt {
            NewPrompt::Tokens(size) => size.check(true).map_err(under("new_prompt.tokens"))?,
            NewPrompt::Ratio(ratio) => ratio.check(false).map_err(under("new_prompt.ratio"))?,
        }
        self.delay_ms.as_ref().map_or(Ok(()), |delay| delay.check(false).map_err(under("delay_ms")))
    }
}

impl SubagentKind {
    fn check(&self) -> Checked {
        rule(self.prefix_tokens <= MAX_TOKENS, "prefix_tokens", self.prefix_tokens, "0 to 2147483647")?;
        probability(self.spawn_probability, "spawn_probability")?;
        probability(self.background_share, "background_share")?;
        let each: [(&str, &Distribution, bool); 7] = [
            ("fan_out", &self.fan_out, true),
            ("first_prompt", &self.first_prompt, true),
            ("calls", &self.calls, true),
            ("new_tokens", &self.new_tokens, true),
            ("output", &self.output, true),
            ("delay_ms", &self.delay_ms, false),
            ("start_delay_ms", &self.start_delay_ms, false),
        ];
        each.into_iter().try_for_each(|(name, stated, is_tokens)| stated.check(is_tokens).map_err(under(name)))
    }
}
