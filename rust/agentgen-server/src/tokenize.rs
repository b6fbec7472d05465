//! Tokens of a prompt without an answer: `/tokenize` as vLLM has it, and Anthropic's `count_tokens`.

use hyper::StatusCode;
use hyper::body::Incoming;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::body::Dropped;
use crate::chain::Chain;
use crate::problem::{Problem, Replied, closing, document};
use crate::request::{Endpoint, Request};
use crate::shared::Shared;
use crate::upload::{Unread, read};

/// The form of request and response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A prompt or messages of a chat; the token ids and their number.
    Tokens,
    /// Anthropic's messages; the number of tokens.
    Count,
}

#[derive(Deserialize)]
struct Given {
    messages: Option<IgnoredAny>,
}

/// Counts the tokens of a prompt.
pub async fn tokenize(shared: &Shared, form: Form, body: Incoming) -> Replied {
    let endpoint = (form == Form::Count).then_some(Endpoint::Messages);
    let bytes = match read(body, &shared.options).await {
        Ok(bytes) => bytes,
        Err(Unread::Disconnected) => return Err(Dropped),
        Err(Unread::Refused(problem)) => return Ok(closing(problem.response(endpoint))),
    };
    let has_messages = || serde_json::from_slice::<Given>(&bytes).is_ok_and(|given| given.messages.is_some());
    let read_as = endpoint.unwrap_or_else(|| if has_messages() { Endpoint::Chat } else { Endpoint::Completions });
    let chain = Chain::recording(shared.options.block_tokens);
    match Request::read_prompt(read_as, &bytes, chain) {
        Err(message) => Ok(Problem::bad_request(message).response(endpoint)),
        Ok(chain) => {
            let count = chain.tokens();
            let counted = match form {
                Form::Count => json!({"input_tokens": count}),
                Form::Tokens => json!({
                    "count": count,
                    "max_model_len": shared.options.max_model_len,
                    "tokens": chain.recorded(),
                    "token_strs": null,
                }),
            };
            Ok(document(StatusCode::OK, "application/json", counted.to_string()))
        }
    }
}
