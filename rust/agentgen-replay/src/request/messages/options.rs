//! Options that all conversations of a run share.

use agentgen_trace::transcript::Parameters;

use crate::request::fields::Fields;
use crate::request::options::{History, Options, Reasoning, RequestError};

/// Options of a run that replays recorded conversations.
#[derive(Debug)]
pub struct MessagesOptions {
    /// Whose answers later prompts hold.
    pub history: History,
    /// First line of every prompt; none if empty. Prompts of runs with different salts share no prefix blocks.
    pub salt: String,
    /// Which reasoning of earlier answers later prompts hold.
    pub reasoning: Reasoning,
    pub(super) fields: Fields,
    /// Names of the run's fields with their JSON text; those of conversations and requests take precedence.
    parameters: Vec<(String, String)>,
}

impl MessagesOptions {
    /// Those that the run gives.
    pub fn new(options: &Options) -> Result<Self, RequestError> {
        let fields = Fields::new(options)?;
        let parameters = fields.values().iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
        let (history, reasoning) = (options.history, options.reasoning);
        Ok(Self { history, salt: options.salt.clone(), reasoning, fields, parameters })
    }

    /// Name and JSON text of each.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The most tokens of an answer, under any of its names.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        Parameters::LIMITS.iter().find_map(|name| self.fields.values().get(*name)).and_then(serde_json::Value::as_u64)
    }
}
