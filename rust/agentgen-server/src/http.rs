//! HTTP requests and responses.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agentgen_engine::serving::TooLarge;
use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Response, StatusCode};
use serde_json::json;
use tokio::task::block_in_place;

use crate::answer::Answer;
use crate::body::{Dropped, Reply, Stream};
use crate::engine::{EngineRequest, Sent};
use crate::fault::{Cut, Faults, HEADER};
use crate::metrics::Outcome;
use crate::options::Options;
use crate::records::{Record, Records};
use crate::request::{Endpoint, Request};
use crate::shared::{Shared, Ticket};

/// Outputs of more tokens are hashed aside.
const LONG_TOKENS: u32 = 1 << 20;
/// Most bytes of a body for which memory is reserved before they have come.
const MAX_RESERVED_BYTES: u64 = 1 << 20;

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
    response(status, kind, Reply::Document(Some(text.into())))
}

fn response(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
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

/// Answers any request to a server that has too many connections.
pub fn overloaded(most: usize) -> Response<Reply> {
    let message = format!("too many connections, expected at most {most}");
    let mut response = Problem { status: StatusCode::SERVICE_UNAVAILABLE, ..Problem::bad_request(message) }.response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Why a body was not read.
enum Unread {
    /// The client has disconnected.
    Disconnected,
    /// The server refuses it.
    Refused(Problem),
}

/// Reads all bytes of a body, within the limits of the options.
async fn read(mut body: Incoming, options: &Options) -> Result<Vec<u8>, Unread> {
    let most = options.max_body_bytes;
    let too_large = || {
        let message = format!("body: found more than {most} bytes, expected fewer (--max-body)");
        Unread::Refused(Problem { status: StatusCode::PAYLOAD_TOO_LARGE, ..Problem::bad_request(message) })
    };
    // Timers of tokio have a resolution of 1 ms, which is enough here, and cost nothing until they are polled.
    let mut late = pin!(tokio::time::sleep(Duration::from_secs_f64(options.body_timeout_s)));
    let expected = body.size_hint().lower();
    if expected > most {
        return Err(too_large());
    }
    // The client only says how many bytes will come.
    let mut bytes = Vec::with_capacity(expected.min(MAX_RESERVED_BYTES) as usize);
    loop {
        let next = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Pending => late.as_mut().poll(context).map(|()| Err(())),
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
        });
        match next.await {
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(_))) => return Err(Unread::Disconnected),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    if bytes.len() as u64 + data.len() as u64 > most {
                        return Err(too_large());
                    }
                    bytes.extend_from_slice(&data);
                }
            }
            Err(()) => {
                let message = format!("body: not complete after {} s", options.body_timeout_s);
                let status = StatusCode::REQUEST_TIMEOUT;
                return Err(Unread::Refused(Problem { status, ..Problem::bad_request(message) }));
            }
        }
    }
}

async fn complete(shared: Arc<Shared>, endpoint: Endpoint, request: hyper::Request<Incoming>) -> Replied {
    let (head, body) = request.into_parts();
    let bytes = match read(body, &shared.options).await {
        Ok(bytes) => bytes,
        Err(Unread::Disconnected) => return Err(Dropped),
        Err(Unread::Refused(problem)) => {
            shared.metrics.ended(Outcome::Refused);
            let mut response = problem.response();
            // The rest of the body is not read.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            return Ok(response);
        }
    };
    let mut ticket = Ticket::new(shared.clone(), shared.number());
    let arrived = shared.now();

    let header = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut faults = Faults::default();
    let injected = header(HEADER).map_or(Ok(()), |text| faults.add(text));
    shared.inject(ticket.number(), &mut faults);
    let late = faults.delay_headers.as_nanos() as u64;

    let read = injected.and_then(|()| Request::read(endpoint, &bytes, shared.options.block_tokens));
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
    if answer.tokens() > LONG_TOKENS {
        // Hashing them takes seconds, in which this thread serves nobody else.
        block_in_place(|| answer.push_to(&mut chain, request.of_ids));
    } else {
        answer.push_to(&mut chain, request.of_ids);
    }
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
    let mut document = answer.document(faults);
    if faults.cut == Some(Cut::After(0)) {
        document.truncate(0);
    } else if faults.malformed.is_some() || faults.cut.is_some() {
        document.truncate(document.left() / 2);
    }
    let dropped = faults.cut.is_some();
    Ok(response(StatusCode::OK, "application/json", Reply::Answer { document, dropped, flushed: false }))
}
