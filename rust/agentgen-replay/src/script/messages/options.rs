//! What all conversations of a run are sent with.

use serde_json::value::RawValue;

use crate::script::History;

/// Settings of a run.
#[derive(Debug)]
pub struct MessagesOptions {
    /// What earlier answers are in later prompts.
    pub history: History,
    /// First line of every prompt; none if empty. Prompts of two runs share nothing if their salts differ.
    pub salt: String,
    /// Members of every body with their JSON text; rows and conversations may say otherwise.
    parameters: Vec<(String, String)>,
}

impl MessagesOptions {
    /// Settings with the run's `model` and `stream`, and the members of a JSON object `request`, which may replace both.
    pub fn new(history: History, salt: &str, model: &str, stream: bool, request: &str) -> Result<Self, String> {
        let members = agentgen_trace::source::json_object::members(request.as_bytes(), &mut Vec::new());
        let Some(members) = members else {
            return Err(format!("request: found {request}, expected one JSON object with every key once"));
        };
        if members.iter().any(|(name, _)| name == "messages") {
            return Err(
                "request: found messages, expected other members: the conversations give the messages".to_owned()
            );
        }
        let mut parameters = vec![
            ("model".to_owned(), serde_json::Value::from(model).to_string()),
            ("stream".to_owned(), stream.to_string()),
        ];
        parameters.extend(members.into_iter().map(|(name, value): (_, &RawValue)| (name, value.get().to_owned())));
        Ok(Self { history, salt: salt.to_owned(), parameters })
    }

    /// Name and JSON text of each; of a name that comes twice, the last counts.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters().filter(|(given, _)| *given == name).last().map(|(_, value)| value)
    }

    /// Tokens to answer with at most, by whichever name the run gives it.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        let names = agentgen_trace::transcript::Parameters::LIMITS;
        names.iter().find_map(|name| self.get(name)).and_then(|text| serde_json::from_str(text).ok())
    }
}
