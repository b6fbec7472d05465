//! What a trace says about itself.

pub use agentgen_core::Layout;
use agentgen_core::config::Config;
pub use agentgen_core::config::Overrides;
use serde::{Deserialize, Serialize};

/// Version of the generated rows: the same seed under the same version gives the same rows.
pub const FORMAT_VERSION: u32 = 1;

/// What files say made them.
pub const PROGRAM: &str = concat!("agentgen ", env!("CARGO_PKG_VERSION"));

/// Key of [`TraceMeta`] in the metadata of Arrow schemas and Parquet files.
pub const META_KEY: &str = "agentgen";

/// How to read a trace, and where a generated one comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceMeta {
    /// What `hash_ids` cover.
    pub layout: Layout,
    /// Tokens a block.
    pub block_size: u32,
    /// Format version of a generated trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_version: Option<u32>,
    /// What a generated trace was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The arguments that determine a generated trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The configuration, as stated, before overrides.
    pub config: Config,
    /// `--max-isl`, `--max-osl`.
    pub overrides: Overrides,
    /// Seed.
    pub seed: u64,
    /// Primary sessions of the whole data set.
    pub sessions: u64,
}
