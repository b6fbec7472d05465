//! Rules between fields, and ranges within which the arithmetic cannot overflow.

use super::{Arrival, Bias, Config, Distribution, InterTurnDelay, Turns};
use crate::error::ConfigError;

/// Largest token count; draws saturate here.
pub const MAX_TOKENS: u32 = i32::MAX as u32;

/// Minimum of `max_prompt_tokens`.
pub const MIN_PROMPT_LIMIT: u32 = 3;

/// Maximum number of groups: their weights are kept in memory.
const MAX_GROUPS: u32 = 10_000_000;

pub(super) type Checked = Result<(), ConfigError>;

/// The error `path: found value, expected ...` unless `ok`.
pub(super) fn rule(ok: bool, path: &str, found: impl std::fmt::Display, expected: &str) -> Checked {
    if ok { Ok(()) } else { Err(ConfigError::new(path, format!("found {found}, expected {expected}"))) }
}

impl Config {
    /// Checks every rule and returns the first violation.
    pub fn check(&self) -> Result<(), ConfigError> {
        let max = self.max_prompt_tokens;
        rule((MIN_PROMPT_LIMIT..=MAX_TOKENS).contains(&max), "max_prompt_tokens", max, "3 to 2147483647")?;
        rule((1..=MAX_TOKENS).contains(&self.block_size), "block_size", self.block_size, "1 to 2147483647")?;
        self.check_cache()?;
        self.check_agents()?;
        if self.triggers.is_none() {
            let (new_tokens, delay) = self.plain_turns()?;
            new_tokens.check(true).map_err(|e| e.under("new_tokens_per_turn"))?;
            check_delay(delay)?;
        }
        self.generation_length.check(true).map_err(|e| e.under("generation_length"))?;
        rule(
            self.generation_length.bias.is_none(),
            "generation_length.bias",
            "a bias",
            "none: only new_tokens_per_turn has one",
        )?;
        if let Some(reset) = self.reset {
            probability(reset.base_probability, "reset.base_probability")?;
            let scaling = reset.context_scaling;
            rule(scaling.is_finite() && scaling >= 1.0, "reset.context_scaling", scaling, "a number of at least 1")?;
        }
        probability(self.restart_initial_probability, "restart_initial_probability")?;
        let [first, end] = self.restart_turn_range;
        rule(
            1 <= first && first < end && end <= MAX_TOKENS,
            "restart_turn_range",
            format!("[{first}, {end}]"),
            "[min, max) with 1 <= min < max",
        )?;
        if let Arrival::Poisson { rate } = self.arrival {
            let expected = "0.000001 to 1000000000 sessions per second";
            rule(rate.is_finite() && (1e-6..=1e9).contains(&rate), "arrival.poisson.rate", rate, expected)?;
        }
        match &self.turns {
            Some(turns) => self.check_turns(turns),
            None if self.triggers.is_some() || self.context_windows.is_some() => Ok(()),
            None => rule(self.reset.is_some(), "reset", "null", "an object, unless turns is given"),
        }
    }

    fn check_cache(&self) -> Checked {
        let cache = &self.cache;
        rule(cache.layer1_tokens <= MAX_TOKENS, "cache.layer1_tokens", cache.layer1_tokens, "0 to 2147483647")?;
        rule(cache.layer1_5_tokens <= MAX_TOKENS, "cache.layer1_5_tokens", cache.layer1_5_tokens, "0 to 2147483647")?;
        let groups = &cache.layer1_5_groups;
        let num_groups = groups.num_groups;
        rule((1..=MAX_GROUPS).contains(&num_groups), "cache.layer1_5_groups.num_groups", num_groups, "1 to 10000000")?;
        let alpha = groups.zipf_alpha;
        rule(alpha.is_finite() && alpha >= 0.0, "cache.layer1_5_groups.zipf_alpha", alpha, "a number of at least 0")?;
        let (prefix, max) = (self.prefix_tokens(), self.max_prompt_tokens);
        rule(
            prefix + 2 <= u64::from(max),
            "max_prompt_tokens",
            max,
            &format!(
                "at least {}: L1 and L1.5, rounded up to whole blocks, take {prefix} tokens (raise it, or lower \
                 cache.layer1_tokens or cache.layer1_5_tokens)",
                prefix + 2
            ),
        )?;
        let first = self.first_prompt()?;
        first.stated.check(true).map_err(|e| e.under(first.path))?;
        let bias = format!("{}.bias", first.path);
        rule(first.stated.bias.is_none(), &bias, "a bias", "none: only new_tokens_per_turn has one")?;
        let most = first.stated.max.unwrap_or(f64::INFINITY);
        rule(
            most >= f64::from(first.low),
            &format!("{}.max", first.path),
            most,
            &format!("at least {}: L1 and L1.5 take {prefix} tokens, and a prompt has one of its own", first.low),
        )
    }

    fn check_turns(&self, turns: &Turns) -> Checked {
        rule(
            self.reset.is_none(),
            "reset",
            "an object",
            "null: sessions end at their turn count (remove reset or turns)",
        )?;
        rule(
            self.restart_initial_probability == 0.0,
            "restart_initial_probability",
            self.restart_initial_probability,
            "0: turns allows no restarts (remove restart_initial_probability or turns)",
        )?;
        turns.check().map_err(|e| e.under("turns"))
    }
}

fn check_delay(delay: &InterTurnDelay) -> Checked {
    probability(delay.agentic_fraction, "inter_turn_delay.agentic_fraction")?;
    for (name, component) in [("agentic_delay", &delay.agentic_delay), ("human_delay", &delay.human_delay)] {
        let path = format!("inter_turn_delay.{name}");
        component.check(false).map_err(|e| e.under(&path))?;
        rule(component.bias.is_none(), &format!("{path}.bias"), "a bias", "none: only new_tokens_per_turn has one")?;
    }
    if let Some(max) = delay.max {
        rule(max.is_finite() && max >= 0.0, "inter_turn_delay.max", max, "null or at least 0 ms")?;
    }
    if let Some(speedup) = delay.context_speedup {
        let path = "inter_turn_delay.context_speedup";
        rule(
            speedup.slope.is_finite() && speedup.slope >= 0.0,
            &format!("{path}.slope"),
            speedup.slope,
            "a number of at least 0",
        )?;
        probability(speedup.floor, &format!("{path}.floor"))?;
    }
    Ok(())
}

pub(super) fn probability(p: f64, path: &str) -> Checked {
    rule((0.0..=1.0).contains(&p), path, p, "a number from 0 to 1")
}

impl Turns {
    fn check(&self) -> Checked {
        rule(1 <= self.min && self.min <= self.max, "min", self.min, &format!("1 to max ({})", self.max))?;
        rule(self.max <= MAX_TOKENS, "max", self.max, "at most 2147483647")?;
        let stated = [("mean", self.mean), ("median", self.median), ("sigma", self.sigma)];
        if stated.iter().filter(|(_, value)| value.is_some()).count() != 2 {
            let given: Vec<&str> = stated.iter().filter_map(|(name, value)| value.map(|_| *name)).collect();
            let found = if given.is_empty() { "none of them".to_owned() } else { given.join(" + ") };
            return rule(false, "", found, "exactly one of mean + median, mean + sigma, median + sigma");
        }
        if let Some(sigma) = self.sigma {
            sigma_rule(sigma)?;
        }
        if let Some(median) = self.median {
            rule(median.is_finite() && median > 0.0, "median", median, "more than 0")?;
        }
        if let Some(mean) = self.mean {
            let median = self.median.unwrap_or(0.0);
            rule(mean.is_finite() && mean >= median, "mean", mean, &format!("at least the median ({median})"))?;
            rule(
                mean >= f64::from(self.min) && mean <= f64::from(self.max),
                "mean",
                mean,
                &format!("min to max ({} to {})", self.min, self.max),
            )?;
        }
        match self.max_session_attempts {
            Some(0) => rule(false, "max_session_attempts", 0, "at least 1, or null for 100"),
            Some(attempts) => rule(
                !self.allow_truncation,
                "max_session_attempts",
                attempts,
                "null with allow_truncation: nothing is drawn again (remove one of the two)",
            ),
            None => Ok(()),
        }
    }
}

impl Distribution {
    /// Any form. `is_tokens`: token counts, for which `max` must be at least 1.
    pub(super) fn check(&self, is_tokens: bool) -> Checked {
        self.check_form()?;
        if let Some(min) = self.min {
            rule(min.is_finite() && min >= 0.0, "min", min, "a number of at least 0")?;
        }
        if let Some(max) = self.max {
            let least = if is_tokens { 1.0 } else { 0.0 };
            rule(
                max.is_finite() && max >= least && max > 0.0,
                "max",
                max,
                if is_tokens { "at least 1" } else { "more than 0" },
            )?;
            let min = self.min.unwrap_or(0.0);
            rule(min <= max, "min", min, &format!("at most max ({max})"))?;
        }
        if let Some(Bias::Factor(factor)) = self.bias {
            positive(factor, "bias")?;
        }
        Ok(())
    }
}

impl Distribution {
    /// Exactly one form is stated, and its parameters are in range.
    fn check_form(&self) -> Checked {
        match (&self.family, &self.mixture, &self.quantiles) {
            (None, None, None) => {
                rule(self.shape.is_none(), "shape", "a value without family", "family beside it")?;
                self.check_parameters()
            }
            (Some(_), None, None) => {
                let others = self.mean.or(self.mu).or(self.sigma);
                let (Some(median), Some(shape), None) = (self.median, self.shape, others) else {
                    return rule(false, "", "a family with other parameters", "median and shape beside family");
                };
                positive(median, "median")?;
                rule((0.05..=100.0).contains(&shape), "shape", shape, "a number from 0.05 to 100")
            }
            (None, Some(components), None) => {
                self.without_parameters("mixture")?;
                rule(!components.is_empty(), "mixture", "an empty list", "at least one lognormal")?;
                for component in components {
                    positive(component.weight, "mixture.weight")?;
                    positive(component.median, "mixture.median")?;
                    sigma_rule(component.sigma).map_err(|e| e.under("mixture"))?;
                }
                Ok(())
            }
            (None, None, Some(points)) => {
                self.without_parameters("quantiles")?;
                let ascends = |i: usize| points.windows(2).all(|pair| pair[0][i] <= pair[1][i]);
                let is_whole = points.len() >= 2
                    && points.first().is_some_and(|point| point[0] == 0.0 && point[1] >= 0.0)
                    && points.last().is_some_and(|point| point[0] == 1.0 && point[1].is_finite());
                let expected = "points [p, value] with p ascending from 0 to 1 and values that do not fall";
                rule(is_whole && ascends(0) && ascends(1), "quantiles", format!("{} points", points.len()), expected)
            }
            _ => rule(false, "", "several forms", "one of family, mixture and quantiles"),
        }
    }

    fn without_parameters(&self, form: &str) -> Checked {
        let stated = [self.mean, self.median, self.mu, self.sigma, self.shape];
        let is_alone = stated.iter().all(Option::is_none);
        rule(is_alone, "", "mean, median, mu, sigma or shape", &format!("none of them beside {form}"))
    }

    /// A lognormal.
    fn check_parameters(&self) -> Checked {
        let expected = "exactly one of mean + median, mean + sigma, median + sigma, mu + sigma";
        match (self.mean, self.median, self.mu, self.sigma) {
            (Some(mean), Some(median), None, None) => {
                positive(median, "median")?;
                positive(mean, "mean")?;
                rule(mean >= median, "mean", mean, &format!("at least the median ({median})"))
            }
            (Some(mean), None, None, Some(sigma)) => {
                positive(mean, "mean")?;
                sigma_rule(sigma)
            }
            (None, Some(median), None, Some(sigma)) => {
                positive(median, "median")?;
                sigma_rule(sigma)
            }
            (None, None, Some(mu), Some(sigma)) => {
                rule(mu.is_finite() && mu.abs() <= 700.0, "mu", mu, "a number from -700 to 700")?;
                sigma_rule(sigma)
            }
            (mean, median, mu, sigma) => {
                let given: Vec<&str> = [("mean", mean), ("median", median), ("mu", mu), ("sigma", sigma)]
                    .iter()
                    .filter_map(|(name, value)| value.map(|_| *name))
                    .collect();
                let given = if given.is_empty() { "none of them".to_owned() } else { given.join(" + ") };
                rule(false, "", given, expected)
            }
        }
    }
}

pub(super) fn positive(value: f64, path: &str) -> Checked {
    rule(value.is_finite() && value > 0.0 && value <= 1e15, path, value, "more than 0, at most 1e15")
}

pub(super) fn sigma_rule(sigma: f64) -> Checked {
    rule((0.0..=10.0).contains(&sigma), "sigma", sigma, "a number from 0 to 10")
}
