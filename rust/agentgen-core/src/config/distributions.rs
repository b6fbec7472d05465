//! Every distribution of a configuration, by its path.

use super::{BreakKind, Caused, Config, Distribution, KeptPart, NewPrompt, SubagentKind};

impl Config {
    /// Path and distribution of every field that is one, in the order of the fields.
    #[must_use]
    pub fn distributions(&self) -> Vec<(String, &Distribution)> {
        let mut all = Paths::default();
        all.add("cache.layer2", self.cache.layer2.as_ref());
        all.add("cache.first_prompt", self.cache.first_prompt.as_ref());
        all.add("new_tokens_per_turn", self.new_tokens_per_turn.as_ref());
        all.add("generation_length", Some(&self.generation_length));
        if let Some(delay) = &self.inter_turn_delay {
            all.add("inter_turn_delay.agentic_delay", Some(&delay.agentic_delay));
            all.add("inter_turn_delay.human_delay", Some(&delay.human_delay));
        }
        if let Some(triggers) = &self.triggers {
            all.caused("triggers.human", &triggers.human);
            all.caused("triggers.tool", &triggers.tool);
            all.add("triggers.human_turns", triggers.human_turns.as_ref());
        }
        if let Some(kept) = &self.output_kept {
            all.add("output_kept.missing_share", Some(&kept.missing_share));
            all.add("output_kept.short_new_tokens", kept.short_new_tokens.as_ref());
        }
        for kind in self.breaks.iter().flat_map(|breaks| &breaks.kinds) {
            all.a_break(&format!("breaks.{}", kind.name), kind);
        }
        for kind in self.subagents.iter().flat_map(|subagents| &subagents.kinds) {
            all.subagent(&format!("subagents.{}", kind.name), kind);
        }
        all.0
    }
}

/// Distributions with their paths.
#[derive(Debug, Default)]
struct Paths<'a>(Vec<(String, &'a Distribution)>);

impl<'a> Paths<'a> {
    fn add(&mut self, path: &str, stated: Option<&'a Distribution>) {
        self.0.extend(stated.map(|stated| (path.to_owned(), stated)));
    }

    fn caused(&mut self, path: &str, caused: &'a Caused) {
        for band in &caused.new_tokens {
            let below = band.context_below.map(|tokens| format!(", context < {tokens}")).unwrap_or_default();
            self.add(&format!("{path}.new_tokens{below}"), Some(&band.tokens));
        }
        self.add(&format!("{path}.delay_ms"), Some(&caused.delay_ms));
    }

    fn a_break(&mut self, path: &str, kind: &'a BreakKind) {
        for kept in &kind.keeps {
            if let KeptPart::Share(share) = &kept.part {
                self.add(&format!("{path}.keeps.share"), Some(share));
            }
        }
        match &kind.new_prompt {
            NewPrompt::Tokens(tokens) => self.add(&format!("{path}.new_prompt.tokens"), Some(tokens)),
            NewPrompt::Ratio(ratio) => self.add(&format!("{path}.new_prompt.ratio"), Some(ratio)),
        }
        self.add(&format!("{path}.delay_ms"), kind.delay_ms.as_ref());
    }

    fn subagent(&mut self, path: &str, kind: &'a SubagentKind) {
        for (name, stated) in [
            ("fan_out", &kind.fan_out),
            ("first_prompt", &kind.first_prompt),
            ("calls", &kind.calls),
            ("new_tokens", &kind.new_tokens),
            ("output", &kind.output),
            ("delay_ms", &kind.delay_ms),
            ("start_delay_ms", &kind.start_delay_ms),
        ] {
            self.add(&format!("{path}.{name}"), Some(stated));
        }
        for kind in &kind.breaks {
            self.a_break(&format!("{path}.breaks.{}", kind.name), kind);
        }
    }
}
