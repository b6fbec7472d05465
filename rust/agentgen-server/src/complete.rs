//! Requests for an output: checked, sent to the engine, answered.

use std::sync::Arc;

use agentgen_engine::serving::TooLarge;
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::task::block_in_place;

use crate::answer::Answer;
use crate::body::{Dropped, Reply, Stream};
use crate::chain::Chain;
use crate::engine::{EngineRequest, Sent};
use crate::fault::{Cut, Faults, HEADER};
use crate::gzip::Gzip;
use crate::interim::Interim;
use crate::metrics::Outcome;
use crate::problem::{Problem, Replied, closing, response};
use crate::records::Record;
use crate::request::{Endpoint, Request};
use crate::shared::{Shared, Ticket};
use crate::upload::{Unread, read};

/// Outputs of more tokens are hashed aside.
const LONG_TOKENS: u32 = 1 << 20;

/// Answers a request for an output.
pub async fn complete(shared: Arc<Shared>, endpoint: Endpoint, request: hyper::Request<Incoming>) -> Replied {
    let (head, body) = request.into_parts();
    let bytes = match read(body, &shared.options).await {
        Ok(bytes) => bytes,
        Err(Unread::Disconnected) => return Err(Dropped),
        Err(Unread::Refused(problem)) => {
            shared.metrics.ended(Outcome::Refused);
            // The rest of the body is not read.
            return Ok(closing(problem.response(Some(endpoint))));
        }
    };
    let mut ticket = Ticket::new(shared.clone(), shared.number());
    let arrived = shared.now();

    let header = |name| head.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let mut faults = Faults::default();
    let injected = header(HEADER).map_or(Ok(()), |text| faults.add(text));
    shared.inject(ticket.number(), &mut faults);
    let late = faults.delay_headers.as_nanos() as u64;
    if let Some(interim) = head.extensions.get::<Interim>().filter(|_| faults.interim) {
        interim.send();
    }

    let chain = Chain::new(shared.options.block_tokens);
    let read = injected.and_then(|()| Request::read(endpoint, &bytes, chain, &faults));
    drop(bytes);
    let checked = read.map_err(Problem::bad_request).and_then(|request| check(&shared, request, &faults));
    if let Some(records) = &shared.records {
        let request = checked.as_ref().ok();
        records.add(Record {
            number: ticket.number(),
            session: header("x-session-id").map(str::to_owned),
            path: endpoint.path(),
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
            let problem = Problem::bad_request("injected fault".to_owned());
            (Err(Problem { status, retry_after, body: faults.error_body, ..problem }), Outcome::Fault)
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
            Ok(problem.response(Some(endpoint)))
        }
        Ok(entered) if entered.stream && !faults.one_document => Ok(stream(ticket, entered, faults, late)),
        Ok(entered) => whole(ticket, entered, &faults, late).await,
    }
}

/// Checks a parsed request against the server's options.
fn check(shared: &Shared, request: Request, faults: &Faults) -> Result<Request, Problem> {
    if let Some(field) = &request.refused {
        return Err(Problem::refused(field, faults.unprocessable));
    }
    if faults.one_limit && request.two_limits {
        let message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
        return Err(Problem::bad_request(message.to_owned()));
    }
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
    let calls = if endpoint == Endpoint::Completions { 0 } else { calls };
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
    let (steps, gzip) = (answer.steps(include_usage, &faults), faults.gzip);
    let mut response = Response::new(Reply::Stream(Box::new(Stream::new(ticket, answer, sent, steps, faults, late))));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
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
    if faults.gzip {
        let mut body = Gzip::default();
        let chunks = std::iter::from_fn(|| document.next_chunk());
        let mut bytes: Vec<u8> = chunks.flat_map(|chunk| body.add(&chunk)).collect();
        bytes.extend(body.end());
        let mut response = response(StatusCode::OK, "application/json", Reply::Document(Some(bytes.into())));
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Ok(response);
    }
    let dropped = faults.cut.is_some();
    Ok(response(StatusCode::OK, "application/json", Reply::Answer { document, dropped, flushed: false }))
}
