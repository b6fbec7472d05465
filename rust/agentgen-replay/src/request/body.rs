//! The body of a request around an encoded prompt.

use super::fields::Fields;
use super::options::{Encoding, Endpoint, Options, RequestError};

/// The members of every body.
#[derive(Debug, Clone)]
pub struct Members {
    endpoint: Endpoint,
    /// A JSON object of all but the prompt and the limit of the answer, without its last brace.
    head: Vec<u8>,
    /// Names of the members that limit the answer.
    limits: Vec<&'static str>,
}

impl Members {
    /// The members that `options` give.
    pub fn new(options: &Options) -> Result<Self, RequestError> {
        let fields = Fields::new(options)?;
        let mut head = serde_json::Value::Object(fields.values().clone()).to_string().into_bytes();
        head.pop();
        let limits = fields.limits().filter(|name| !fields.values().contains_key(*name)).collect();
        Ok(Self { endpoint: options.endpoint, head, limits })
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
        let mut body = Vec::with_capacity(self.head.len() + prompt.len() + 80);
        body.extend_from_slice(&self.head);
        for limit in &self.limits {
            // Servers refuse 0.
            body.extend_from_slice(format!(",\"{limit}\":{}", output_tokens.max(1)).as_bytes());
        }
        body.extend_from_slice(format!(",\"{name}\":{open}").as_bytes());
        body.extend_from_slice(prompt);
        body.extend_from_slice(close.as_bytes());
        body.push(b'}');
        body
    }
}

/// Tokens of the answer that a probe asks for: some servers refuse fewer.
const PROBE_TOKENS: u64 = 16;

/// The body of a short request with the fields of a run, to find out whether a server takes them.
pub fn probe(options: &Options) -> Result<Vec<u8>, RequestError> {
    let encoding = options.encoding()?;
    let prompt = match encoding {
        Encoding::Messages => r#"{"role":"user","content":"Hello"}"#,
        Encoding::Text => "Hello",
        Encoding::Ids => "1000",
    };
    Ok(Members::new(options)?.body(encoding, prompt.as_bytes(), PROBE_TOKENS))
}
