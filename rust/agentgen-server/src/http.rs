//! HTTP requests and responses.

use std::sync::Arc;

use agentgen_engine::serving::TooLarge;
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

use crate::answer::Answer;
use crate::body::{Dropped, Reply, Stream};
use crate::engine::{EngineRequest, Sent};
use crate::fault::{Cut, Faults, HEADER};
use crate::metrics::Outcome;
use crate::records::{Record, Records};
use crate::request::{Endpoint, Request};
use crate::shared::{Shared, Ticket};

type Replied = Result<Response<Reply>, Dropped>;

/// An error response, as OpenAI-compatible servers give it.
struct Problem {
    status: StatusCode,
    message: String,
    code: Option<&'static str>,
    retry_after: Option<u32>,
}

impl Problem {
    fn bad_request(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message, code: None, retry_after: None }
    }

    fn too_long(message: String) -> Self {
        Self { code: Some("context_length_exceeded"), ..Self::bad_request(message) }
    }

    fn response(self) -> Response<Reply> {
        let kind = match self.status.as_u16() {
            401 => "authentication_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        let error = json!({"message": self.message, "type": kind, "param": null, "code": self.code});
        let mut response = document(self.status, "application/json", json!({"error": error}).to_string());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn document(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::Document(Some(text.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Answers a request.
pub async fn answer(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Replied {
    let path = request.uri().path();
    let ok = |kind, text: String| Ok(document(StatusCode::OK, kind, text));
    match (request.method(), path) {
        (&Method::POST, "/v1/chat/completions") => complete(shared, Endpoint::Chat, request).await,
        (&Method::POST, "/v1/completions") => complete(shared, Endpoint::Completions, request).await,
        (&Method::GET, "/health") => ok("text/plain; charset=utf-8", String::new()),
        (&Method::GET, "/v1/models") => ok("application/json", models(&shared)),
        (&Method::GET, "/metrics") => {
            let (model, options) = (&shared.template.model, &shared.options);
            let page = shared.metrics.page(&shared.engine(), model, options.block_tokens, options.capacity_blocks);
            ok("text/plain; version=0.0.4; charset=utf-8", page)
        }
        (&Method::GET, "/debug/requests") if shared.records.is_some() => {
            ok("application/json", shared.records.as_ref().map_or_else(String::new, Records::to_json))
        }
        (method, "/v1/chat/completions" | "/v1/completions" | "/health" | "/v1/models" | "/metrics") => {
            let message = format!("{path}: the method {method} is not allowed");
            Ok(Problem { status: StatusCode::METHOD_NOT_ALLOWED, ..Problem::bad_request(message) }.response())
        }
        _ => {
            let message = format!("{path}: no such path");
            Ok(Problem { status: StatusCode::NOT_FOUND, ..Problem::bad_request(message) }.response())
        }
    }
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

/// Reads all bytes of a body; `None` if the client disconnects.
async fn read(mut body: Incoming) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(body.size_hint().lower().min(1 << 28) as usize);
    while let Some(frame) = std::future::poll_fn(|context| std::pin::Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes)
}

async fn complete(shared: Arc<Shared>, endpoint: Endpoint, request: hyper::Request<Incoming>) -> Replied {
    let (head, body) = request.into_parts();
    let Some(bytes) = read(body).await else { return Err(Dropped) };
    let mut ticket = Ticket::new(shared.clone(), shared.number());
    let arrived = shared.now();

    let header = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut faults = Faults::default();
    let asked = header(HEADER).map_or(Ok(()), |text| faults.add(text));
    shared.inject(ticket.number(), &mut faults);
    let late = faults.delay_headers.as_nanos() as u64;

    let read = asked.and_then(|()| Request::read(endpoint, &bytes, shared.options.block_tokens));
    drop(bytes);
    let checked = read.map_err(Problem::bad_request).and_then(|request| check(&shared, request));
    if let Some(records) = &shared.records {
        let request = checked.as_ref().ok();
        records.add(Record {
            number: ticket.number(),
            session: header("x-session-id").map(str::to_owned),
            path: if endpoint == Endpoint::Chat { "/v1/chat/completions" } else { "/v1/completions" },
            arrived_ns: arrived,
            ended_ns: None,
            prompt_tokens: request.map_or(0, |request| request.chain.tokens()),
            cached_tokens: None,
            output_tokens: request.map_or(0, |request| request.output_tokens),
            concurrent: 0,
            outcome: None,
        });
    }
    let (checked, outcome) = match (checked, faults.status) {
        (Ok(_), Some((status, retry_after))) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (Err(Problem { status, message: "injected fault".to_owned(), code: None, retry_after }), Outcome::Fault)
        }
        (checked, _) => (checked, Outcome::Refused),
    };
    let entered = checked.and_then(|request| enter(&mut ticket, endpoint, request, arrived, &faults));
    if late > 0 {
        shared.delay_until(arrived + late).await;
    }
    if faults.cut == Some(Cut::BeforeHeaders) {
        ticket.finish(Outcome::Fault);
        return Err(Dropped);
    }
    match entered {
        Err(problem) => {
            ticket.finish(outcome);
            Ok(problem.response())
        }
        Ok(entered) if entered.stream => Ok(stream(ticket, entered, faults, late)),
        Ok(entered) => whole(ticket, entered, &faults, late).await,
    }
}

/// Checks a parsed request against the server's options.
fn check(shared: &Shared, request: Request) -> Result<Request, Problem> {
    if let Some(model) = request.model.as_ref().filter(|model| **model != shared.options.model) {
        let message = format!("The model `{model}` does not exist; this server has `{}`.", shared.options.model);
        let status = StatusCode::NOT_FOUND;
        return Err(Problem { status, code: Some("model_not_found"), ..Problem::bad_request(message) });
    }
    let (prompt, output) = (request.chain.tokens(), u64::from(request.output_tokens));
    // Lengths are 32 bits wide from here on.
    let longest = shared.options.max_model_len.unwrap_or(i32::MAX as u32);
    if prompt + output > longest.into() {
        return Err(Problem::too_long(format!(
            "This model's maximum context length is {longest} tokens. However, you requested {} tokens ({prompt} in the prompt, {output} in the completion). Please reduce the length of the prompt or completion.",
            prompt + output
        )));
    }
    Ok(request)
}

/// A request that was sent to the engine, and its answer.
struct Entered {
    answer: Answer,
    sent: Sent,
    stream: bool,
    include_usage: bool,
}

fn enter(
    ticket: &mut Ticket,
    endpoint: Endpoint,
    request: Request,
    arrived: u64,
    faults: &Faults,
) -> Result<Entered, Problem> {
    let shared = ticket.shared.clone();
    let default = if request.functions.is_empty() { 0 } else { shared.options.tool_calls };
    let calls = faults.tool_calls.unwrap_or(default.max(request.call_required.into()));
    let calls = if endpoint == Endpoint::Chat { calls } else { 0 };
    let answer = Answer::new(shared.template.clone(), endpoint, &request, ticket.number(), calls, faults);
    let context_tokens = request.chain.tokens() as u32;
    let mut chain = request.chain;
    answer.push_to(&mut chain, request.of_ids);
    let output_tokens = answer.tokens();
    let in_engine = EngineRequest { stream: chain.stream(), context_tokens, output_tokens };
    let (id, sent) = shared.send(arrived, in_engine).map_err(|TooLarge { needed_blocks }| {
        let capacity = shared.options.capacity_blocks.unwrap_or(u64::MAX);
        let block = shared.options.block_tokens;
        Problem::too_long(format!(
            "This server's KV memory holds {capacity} blocks of {block} tokens. However, you requested {} tokens ({context_tokens} in the prompt, {output_tokens} in the completion), {needed_blocks} blocks. Please reduce the length of the prompt or completion.",
            context_tokens + output_tokens
        ))
    })?;
    ticket.entered(id);
    Ok(Entered { answer, sent, stream: request.stream, include_usage: request.include_usage })
}

fn stream(ticket: Ticket, entered: Entered, faults: Faults, late: u64) -> Response<Reply> {
    let Entered { answer, sent, include_usage, .. } = entered;
    let steps = answer.steps(include_usage, &faults);
    let mut response = Response::new(Reply::Stream(Box::new(Stream::new(ticket, answer, sent, steps, faults, late))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn whole(mut ticket: Ticket, entered: Entered, faults: &Faults, late: u64) -> Replied {
    let Entered { mut answer, sent, .. } = entered;
    let admission = match sent {
        Sent::Admitted(admission) => admission,
        Sent::Waiting(receiver) => receiver.await.map_err(|_| Dropped)?,
    };
    ticket.admitted(&admission);
    answer.cached_tokens = admission.cached_tokens;
    let due = admission.end + late + faults.delay_first.as_nanos() as u64;
    if due > ticket.shared.now() {
        ticket.shared.delay_until(due).await;
    }
    ticket.shared.metrics.lag.add(ticket.shared.now() - due);
    ticket.finish(if *faults == Faults::default() { Outcome::Answered } else { Outcome::Fault });
    let mut text = answer.document(faults);
    if faults.malformed.is_some() || faults.cut.is_some() {
        text.truncate(text.len() / 2);
    }
    let mut response = document(StatusCode::OK, "application/json", text);
    if let (Some(_), Reply::Document(bytes)) = (faults.cut, response.body_mut()) {
        let first = bytes.take().filter(|_| faults.cut != Some(Cut::After(0)));
        *response.body_mut() = Reply::Broken { first, written: false };
    }
    Ok(response)
}
