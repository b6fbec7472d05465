//! What the rows of one data set are held against.

use agentgen_core::ids::{IdSpace, SessionNames};
use agentgen_core::rng::Streams;
use agentgen_trace::{Layout, Result, TraceMeta};

use super::findings::Severity;

/// Everything that is known before the first row is read.
#[derive(Debug)]
pub(crate) struct Law {
    pub layout: Layout,
    pub block_size: u32,
    /// Known for generated traces, which are held to more rules than foreign ones.
    pub origin: Option<Known>,
    /// What a missing parent is: in a shard alone it may be in another shard.
    pub parent_missing: Severity,
}

/// What the configuration of a generated trace determines.
#[derive(Debug)]
pub(crate) struct Known {
    pub max_prompt_tokens: u32,
    pub sessions: u64,
    pub ids: IdSpace,
    pub names: SessionNames,
}

impl Law {
    pub fn new(meta: &TraceMeta, is_lone_shard: bool) -> Result<Self> {
        let known = |origin: &agentgen_trace::Origin| {
            let config = origin.config.overridden(origin.overrides)?;
            let ids = IdSpace::new(&config, origin.sessions)?;
            let names = SessionNames::new(&Streams::new(origin.seed));
            let (max_prompt_tokens, sessions) = (config.max_prompt_tokens, origin.sessions);
            Ok::<_, agentgen_core::ConfigError>(Known { max_prompt_tokens, sessions, ids, names })
        };
        Ok(Self {
            layout: meta.layout,
            block_size: meta.block_size,
            origin: meta.origin.as_ref().map(known).transpose()?,
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
