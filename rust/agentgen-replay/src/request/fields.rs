//! Which fields a request has beside its prompt: sent, under another name, or dropped. Servers differ in what they accept.

use serde_json::{Map, Value, json};

use super::options::{Endpoint, MaxTokensField, Options, RequestError};

/// Fields that the trace gives, or an option of their own.
const RESERVED: [&str; 4] = ["messages", "prompt", "input", "stream"];
const TOKENS: &str = "max_tokens";
const COMPLETION_TOKENS: &str = "max_completion_tokens";

/// The fields of every request of a run.
#[derive(Debug, Clone)]
pub struct Fields {
    /// Those with a value.
    values: Map<String, Value>,
    /// Names of those that no request has.
    dropped: Vec<String>,
    limits: Vec<&'static str>,
}

impl Fields {
    /// The fields of `options`. A given value replaces that of its field, and `null` drops the field.
    pub fn new(options: &Options) -> Result<Self, RequestError> {
        if let Some(name) = RESERVED.into_iter().find(|name| options.request.contains_key(*name)) {
            return Err(RequestError::options("request", name, "no field that the replay sets itself"));
        }
        let mut values = Map::new();
        values.insert("model".to_owned(), options.model.clone().into());
        values.insert("stream".to_owned(), options.stream.into());
        // The other endpoints always send the usage.
        if options.stream && !options.endpoint.has_items() {
            values.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        values.extend(options.request.clone());
        let limits = limits(options.max_tokens_field, options.endpoint, &options.request);
        let dropped = values.iter().filter(|(_, value)| value.is_null()).map(|(name, _)| name.clone()).collect();
        values.retain(|_, value| !value.is_null());
        Ok(Self { values, dropped, limits })
    }

    /// The fields with a value.
    pub fn values(&self) -> &Map<String, Value> {
        &self.values
    }

    /// Whether no request has this field.
    pub fn drops(&self, name: &str) -> bool {
        self.dropped.iter().any(|dropped| dropped == name)
    }

    /// The names under which the limit of an answer is sent.
    pub fn limits(&self) -> impl Iterator<Item = &'static str> {
        self.limits.iter().copied()
    }
}

fn limits(field: MaxTokensField, endpoint: Endpoint, given: &Map<String, Value>) -> Vec<&'static str> {
    let is_accepted = |name: &str| given.get(name) != Some(&Value::Null);
    let names: &[&str] = match field {
        MaxTokensField::Auto => {
            let known: &[&str] = match endpoint {
                Endpoint::Chat => &[COMPLETION_TOKENS, TOKENS],
                Endpoint::Completions | Endpoint::Messages => &[TOKENS],
                Endpoint::Responses => &["max_output_tokens"],
            };
            let given = known.iter().find(|name| given.get(**name).is_some_and(|value| !value.is_null()));
            return given.or_else(|| known.iter().find(|name| is_accepted(name))).copied().into_iter().collect();
        }
        MaxTokensField::MaxTokens => &[TOKENS],
        MaxTokensField::MaxCompletionTokens => &[COMPLETION_TOKENS],
        MaxTokensField::Both => &[COMPLETION_TOKENS, TOKENS],
        MaxTokensField::None => &[],
    };
    names.iter().copied().filter(|name| is_accepted(name)).collect()
}
