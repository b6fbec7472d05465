//! Options of a recorder.

use std::path::PathBuf;

use agentgen_server::proxy::ProxyOptions;
use serde::Deserialize;

/// Options of a recorder.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordOptions {
    /// Options of the proxy.
    pub proxy: ProxyOptions,
    /// The journal, a new file.
    pub journal: PathBuf,
    /// A new file for the conversations with their texts.
    #[serde(default)]
    pub messages: Option<PathBuf>,
    /// Further headers with the id of a session, which take precedence over those that are known.
    #[serde(default)]
    pub session_headers: Vec<String>,
}

impl RecordOptions {
    /// Parses JSON. The error is one line.
    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("options: {error}"))
    }
}
