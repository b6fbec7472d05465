//! Trace metadata.

pub use agentgen_core::Layout;
use agentgen_core::config::Config;
pub use agentgen_core::config::Overrides;
use serde::{Deserialize, Serialize};

/// Version of the generated rows: the same seed under the same version gives the same rows.
pub const FORMAT_VERSION: u32 = 2;

/// Name and version of the program, as written to files.
pub const PROGRAM: &str = concat!("agentgen ", env!("CARGO_PKG_VERSION"));

/// Key of [`TraceMeta`] in the metadata of Arrow schemas and Parquet files.
pub const META_KEY: &str = "agentgen";

/// Metadata of a trace: how to read it and, if it was generated, its origin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceMeta {
    /// Which tokens `hash_ids` cover.
    pub layout: Layout,
    /// Tokens per block.
    pub block_size: u32,
    /// Whether sessions may be linked as breaks and sub-agents, in the columns for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub linked: bool,
    /// Format version of a generated trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format_version: Option<u32>,
    /// The arguments that a generated trace was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The arguments that determine a generated trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The configuration before overrides.
    pub config: Config,
    /// `--max-isl`, `--max-osl`.
    pub overrides: Overrides,
    /// Seed.
    pub seed: u64,
    /// Root sessions of the whole data set.
    pub sessions: u64,
}
