//! The rules that apply to a data set.

use agentgen_core::ids::{IdSpace, SessionNames};
use agentgen_core::rng::RandomStreams;
use agentgen_core::{Config, DatasetSpec, EndReason};
use agentgen_trace::{Layout, Result, TraceMeta};

use agentgen_trace::diagnostic::Severity;

/// All that is known before the first row is read.
#[derive(Debug)]
pub(crate) struct TraceRules {
    pub layout: Layout,
    pub block_size: u32,
    /// Whether sessions may be linked as breaks and sub-agents.
    pub linked: bool,
    /// Set for generated traces without links, to which more rules apply.
    pub origin: Option<OriginRules>,
    /// Set for generated traces with links, whose rows are generated again.
    pub generated: Option<DatasetSpec>,
    /// Severity of a missing parent: a warning for a single shard, as the parent may be in another one.
    pub parent_missing: Severity,
}

/// Properties of a generated trace that follow from its configuration.
#[derive(Debug)]
pub(crate) struct OriginRules {
    pub max_prompt_tokens: u32,
    pub sessions: u64,
    pub ids: IdSpace,
    pub names: SessionNames,
    /// Ids of partial tails of whole prompts begin here, relative to the root session's first id.
    pub own_blocks: i64,
    config: Config,
}

/// The root session that a generated session's name refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lineage {
    pub root: u64,
    pub is_continuation: bool,
}

impl OriginRules {
    /// The lineage of a session name; `None` if the configuration has no such session.
    pub fn lineage(&self, name: &str) -> Option<Lineage> {
        let (root, is_continuation) = self.names.root_of(name)?;
        (root < self.sessions).then_some(Lineage { root, is_continuation })
    }

    /// L1.5 groups.
    pub fn groups(&self) -> u32 {
        self.config.cache.layer1_5_groups.num_groups
    }

    /// Minimum number of root sessions that start between a session and its continuation.
    pub fn gap(&self) -> u64 {
        (self.sessions / 4).max(1)
    }

    /// Whether a session can end with this reason.
    pub fn can_end(&self, end: EndReason, is_continuation: bool) -> bool {
        let turns = self.config.turns.as_ref();
        match end {
            EndReason::ForcedRetire => turns.is_none_or(|t| t.allow_truncation),
            EndReason::ProbabilisticReset => self.config.reset.is_some_and(|r| r.base_probability > 0.0),
            EndReason::RestartSplit => {
                self.config.restart_initial_probability > 0.0 && self.sessions > 1 && !is_continuation
            }
            EndReason::TargetTurnCount => turns.is_some(),
            EndReason::Break => false,
        }
    }
}

impl TraceRules {
    pub fn new(meta: &TraceMeta, is_lone_shard: bool) -> Result<Self> {
        let known = |origin: &agentgen_trace::Origin| {
            let config = origin.config.overridden(origin.overrides)?;
            let ids = IdSpace::new(&config, origin.sessions)?;
            let names = SessionNames::new(&RandomStreams::new(origin.seed));
            let (max_prompt_tokens, sessions) = (config.max_prompt_tokens, origin.sessions);
            let room = u64::from(max_prompt_tokens) - 1 - config.prefix_tokens();
            let own_blocks = room.div_ceil(u64::from(config.block_size)) as i64;
            Ok::<_, agentgen_core::ConfigError>(OriginRules {
                max_prompt_tokens,
                sessions,
                ids,
                names,
                own_blocks,
                config,
            })
        };
        let again = |origin: &agentgen_trace::Origin| {
            DatasetSpec::new(&origin.config, origin.overrides, origin.seed, origin.sessions, meta.layout)
        };
        Ok(Self {
            layout: meta.layout,
            block_size: meta.block_size,
            linked: meta.linked,
            origin: meta.origin.as_ref().filter(|_| !meta.linked).map(known).transpose()?,
            generated: meta.origin.as_ref().filter(|_| meta.linked).map(again).transpose()?,
            parent_missing: if is_lone_shard { Severity::Warning } else { Severity::Error },
        })
    }

    pub fn is_generated(&self) -> bool {
        self.origin.is_some()
    }

    pub fn max_prompt_tokens(&self) -> Option<u32> {
        self.origin.as_ref().map(|k| k.max_prompt_tokens)
    }
}
