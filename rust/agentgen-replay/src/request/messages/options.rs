//! Options that all conversations of a run share.

use serde_json::value::RawValue;

use crate::request::options::{History, RequestError};

/// Options of a run that replays recorded conversations.
#[derive(Debug)]
pub struct MessagesOptions {
    /// Whose answers later prompts hold.
    pub history: History,
    /// First line of every prompt; none if empty. Prompts of runs with different salts share no prefix blocks.
    pub salt: String,
    /// Members of every body with their JSON text; those of conversations and requests take precedence.
    parameters: Vec<(String, String)>,
}

impl MessagesOptions {
    /// Takes the run's `model` and `stream`, and the members of the JSON object `request`, which take precedence.
    pub fn new(history: History, salt: &str, model: &str, stream: bool, request: &str) -> Result<Self, RequestError> {
        let members = agentgen_trace::source::json_object::members(request.as_bytes(), &mut Vec::new());
        let Some(members) = members else {
            return Err(RequestError::options("request", request, "one JSON object with every key once"));
        };
        if members.iter().any(|(name, _)| name == "messages") {
            let expected = "other members: the conversations give the messages";
            return Err(RequestError::options("request", "messages", expected));
        }
        let mut parameters = vec![
            ("model".to_owned(), serde_json::Value::from(model).to_string()),
            ("stream".to_owned(), stream.to_string()),
        ];
        parameters.extend(members.into_iter().map(|(name, value): (_, &RawValue)| (name, value.get().to_owned())));
        Ok(Self { history, salt: salt.to_owned(), parameters })
    }

    /// Name and JSON text of each; of a repeated name the last counts.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters().filter(|(given, _)| *given == name).last().map(|(_, value)| value)
    }

    /// The most tokens of an answer, under any of its names.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        let names = agentgen_trace::transcript::Parameters::LIMITS;
        names.iter().find_map(|name| self.get(name)).and_then(|text| serde_json::from_str(text).ok())
    }
}
