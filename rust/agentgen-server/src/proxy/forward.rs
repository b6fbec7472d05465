//! Sends a request and its response on.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};

use super::body::{Cancels, Download, Passing, Upload};
use super::upstream::{Link, Upstream};
use super::{CallEnd, Headers, Observer};
use crate::problem::Problem;
use crate::request::Endpoint;

/// Headers of one connection, beside those that `Connection` names.
const OF_CONNECTION: [HeaderName; 7] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// What all connections share.
pub struct Shared {
    pub upstream: Upstream,
    pub observer: Arc<dyn Observer>,
    pub open: Arc<AtomicUsize>,
    pub body_pause: Duration,
}

/// Answers a request with the server's response, or with 502 if there is none.
pub async fn forward(
    shared: Arc<Shared>,
    link: Arc<Link>,
    request: Request<Incoming>,
) -> Result<Response<Download>, Infallible> {
    let (mut parts, body) = request.into_parts();
    let path = shared.upstream.target.path(&parts.uri);
    let endpoint = Endpoint::of_path(parts.uri.path());
    let target = Uri::try_from(&path).ok().filter(|_| parts.method != Method::CONNECT);
    let Some(target) = target else {
        let message = format!("{}: found a request to a proxy, expected one to a server", parts.uri);
        return Ok(Problem::bad_request(message).response(endpoint).map(Download::Own));
    };
    let tap = shared.observer.begin(parts.method.as_str(), &path, &Headers(&parts.headers));
    let call = Cancels(Arc::new(Passing::new(tap, [&shared.open, &link.open])));
    parts.uri = target;
    parts.version = Version::HTTP_11;
    remove_of_connection(&mut parts.headers);
    // The head of the response says whether the server wants the body.
    parts.headers.remove(EXPECT);
    if let Ok(host) = HeaderValue::from_str(&shared.upstream.target.authority) {
        parts.headers.insert(HOST, host);
    }
    let upload = Upload { body, call: call.0.clone(), pause: shared.body_pause, timer: None };
    let response = match link.send(&shared.upstream, Request::from_parts(parts, upload)).await {
        Ok(response) => response,
        Err(error) => {
            call.0.end(CallEnd::Unreachable);
            let message = format!("agentgen record: {}: {error}", shared.upstream.target.authority);
            let problem = Problem { status: StatusCode::BAD_GATEWAY, ..Problem::bad_request(message) };
            return Ok(problem.response(endpoint).map(Download::Own));
        }
    };
    let (mut parts, body) = response.into_parts();
    call.0.response(parts.status.as_u16(), &Headers(&parts.headers));
    let says_end = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| parts.headers.contains_key(name));
    let end = if says_end || body.is_end_stream() { CallEnd::Complete } else { CallEnd::Closed };
    remove_of_connection(&mut parts.headers);
    parts.version = Version::HTTP_11;
    if body.is_end_stream() {
        call.0.end(end);
    }
    Ok(Response::from_parts(parts, Download::Server { body, call, end }))
}

fn remove_of_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in OF_CONNECTION.iter().chain(&named) {
        headers.remove(name);
    }
}
