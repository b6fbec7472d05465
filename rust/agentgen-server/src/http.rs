//! Paths, and the pages that need no engine.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::json;

use crate::body::Reply;
use crate::complete::complete;
use crate::fault::{Faults, HEADER};
use crate::problem::{Problem, Replied, closing, document};
use crate::records::Records;
use crate::request::Endpoint;
use crate::shared::Shared;
use crate::tokenize::{self, tokenize};

/// Paths that are pages, and those that take bodies beside the endpoints.
const GET: [&str; 3] = ["/health", "/v1/models", "/metrics"];
const POST: [&str; 3] = ["/reset_prefix_cache", "/tokenize", "/v1/messages/count_tokens"];

/// Answers a request.
pub async fn answer(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Replied {
    let path = request.uri().path();
    let ok = |kind, text: String| Ok(document(StatusCode::OK, kind, text));
    let endpoint = Endpoint::of_path(path);
    let is_post = request.method() == Method::POST;
    if let Some(endpoint) = endpoint.filter(|_| is_post) {
        return complete(shared, endpoint, request).await;
    }
    match (request.method(), path) {
        (&Method::POST, "/reset_prefix_cache") => {
            shared.engine().clear_cache();
            ok("text/plain; charset=utf-8", String::new())
        }
        (&Method::POST, "/tokenize") => tokenize(&shared, tokenize::Form::Tokens, request.into_body()).await,
        (&Method::POST, "/v1/messages/count_tokens") => {
            tokenize(&shared, tokenize::Form::Count, request.into_body()).await
        }
        (&Method::GET, "/health") => ok("text/plain; charset=utf-8", String::new()),
        (&Method::GET, "/v1/models") if has_models(&shared, request.headers()) => {
            ok("application/json", models(&shared))
        }
        (&Method::GET, "/metrics") => {
            let (model, options) = (&shared.template.model, &shared.options);
            let page = shared.metrics.page(&shared.engine(), model, options.block_tokens, options.capacity_blocks);
            ok("text/plain; version=0.0.4; charset=utf-8", page)
        }
        (&Method::GET, "/debug/requests") if shared.records.is_some() => {
            ok("application/json", shared.records.as_ref().map_or_else(String::new, Records::to_json))
        }
        (method, path)
            if endpoint.is_some()
                || (GET.contains(&path) && method != Method::GET)
                || (POST.contains(&path) && !is_post) =>
        {
            let message = format!("{path}: the method {method} is not allowed");
            let problem = Problem { status: StatusCode::METHOD_NOT_ALLOWED, ..Problem::bad_request(message) };
            Ok(problem.response(endpoint))
        }
        _ => {
            let message = format!("{path}: no such path");
            let problem = Problem { status: StatusCode::NOT_FOUND, ..Problem::bad_request(message) };
            Ok(problem.response(endpoint))
        }
    }
}

/// Whether the server has a list of models, by the faults of this request.
fn has_models(shared: &Shared, headers: &HeaderMap) -> bool {
    let mut faults = Faults::default();
    let header = headers.get(HEADER).and_then(|value| value.to_str().ok());
    // An unknown fault is an error of the requests that have an answer.
    let _ = header.map(|text| faults.add(text));
    shared.inject(0, &mut faults);
    !faults.no_models
}

fn models(shared: &Shared) -> String {
    let model = json!({
        "id": shared.options.model,
        "object": "model",
        "created": shared.template.created,
        "owned_by": "agentgen",
        "max_model_len": shared.options.max_model_len,
    });
    json!({"object": "list", "data": [model]}).to_string()
}

/// Answers any request to a server that has too many connections.
pub fn overloaded(most: usize) -> Response<Reply> {
    let message = format!("too many connections, expected at most {most}");
    let problem = Problem { status: StatusCode::SERVICE_UNAVAILABLE, ..Problem::bad_request(message) };
    closing(problem.response(None))
}
