//! The body of a request around an encoded prompt.

use serde_json::{Map, Value, json};

use super::options::{Encoding, Endpoint, Options, RequestError};

/// The members of every body.
#[derive(Debug, Clone)]
pub struct Members {
    endpoint: Endpoint,
    /// All but the prompt and the limit of the answer.
    values: Map<String, Value>,
    /// Names of the members that limit the answer.
    limits: &'static [&'static str],
}

impl Members {
    /// The members that `options` give; those of `request` take precedence over all that the replay does not set itself.
    pub fn new(options: &Options) -> Result<Self, RequestError> {
        let mut fields = Map::new();
        fields.insert("model".to_owned(), options.model.clone().into());
        fields.insert("stream".to_owned(), options.stream.into());
        // The other endpoints always send the usage.
        if options.stream && !options.endpoint.has_items() {
            fields.insert("stream_options".to_owned(), json!({"include_usage": true}));
        }
        for (name, value) in &options.request {
            if ["messages", "prompt", "input", "stream"].contains(&name.as_str()) {
                let expected = "no field that the replay sets itself";
                return Err(RequestError::options("request", name.clone(), expected));
            }
            fields.insert(name.clone(), value.clone());
        }
        let limits = match options.endpoint {
            Endpoint::Chat => &["max_tokens", "max_completion_tokens"][..],
            Endpoint::Completions | Endpoint::Messages => &["max_tokens"],
            Endpoint::Responses => &["max_output_tokens"],
        };
        let is_limited = limits.iter().any(|name| fields.contains_key(*name));
        Ok(Self { endpoint: options.endpoint, values: fields, limits: if is_limited { &[] } else { limits } })
    }

    /// The body of a request for an answer of `output_tokens` tokens.
    #[must_use]
    pub fn body(&self, encoding: Encoding, prompt: &[u8], output_tokens: u64) -> Vec<u8> {
        let (name, open, close) = match (self.endpoint, encoding) {
            (Endpoint::Chat | Endpoint::Messages, _) => ("messages", "[", "]"),
            (Endpoint::Responses, _) => ("input", "[", "]"),
            (Endpoint::Completions, Encoding::Ids) => ("prompt", "[", "]"),
            (Endpoint::Completions, _) => ("prompt", "\"", "\""),
        };
        let mut fields = self.values.clone();
        for limit in self.limits {
            // Servers refuse 0.
            fields.insert((*limit).to_owned(), output_tokens.max(1).into());
        }
        let head = Value::Object(fields).to_string();
        let mut body = Vec::with_capacity(head.len() + prompt.len() + 24);
        body.extend_from_slice(&head.as_bytes()[..head.len() - 1]);
        body.extend_from_slice(format!(",\"{name}\":{open}").as_bytes());
        body.extend_from_slice(prompt);
        body.extend_from_slice(close.as_bytes());
        body.push(b'}');
        body
    }
}
