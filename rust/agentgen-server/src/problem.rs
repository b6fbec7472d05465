//! Error responses.

use bytes::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::body::{Dropped, Reply};
use crate::fault::ErrorBody;
use crate::request::Endpoint;

/// A response, or none at all.
pub type Replied = Result<Response<Reply>, Dropped>;

/// An error response, as OpenAI-compatible servers or Anthropic give it.
#[derive(Debug)]
pub struct Problem {
    /// Its status.
    pub status: StatusCode,
    /// What is wrong.
    pub message: String,
    /// `OpenAI`'s code.
    pub code: Option<&'static str>,
    /// The field that is wrong.
    pub param: Option<String>,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u32>,
    /// The form of the body.
    pub body: ErrorBody,
}

impl Problem {
    /// Status 400.
    pub fn bad_request(message: String) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message,
            code: None,
            param: None,
            retry_after: None,
            body: ErrorBody::Object,
        }
    }

    /// The request is longer than the server takes.
    pub fn too_long(message: String) -> Self {
        Self { code: Some("context_length_exceeded"), ..Self::bad_request(message) }
    }

    /// A field that the server does not know.
    pub fn refused(field: &str, unprocessable: bool) -> Self {
        let param = Some(field.to_owned());
        if unprocessable {
            let message = "Extra inputs are not permitted".to_owned();
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return Self { status, param, body: ErrorBody::Detail, ..Self::bad_request(message) };
        }
        let message = format!("Unrecognized request argument supplied: {field}");
        Self { param, code: Some("unknown_parameter"), ..Self::bad_request(message) }
    }

    /// The response of an endpoint; `None` for other paths.
    pub fn response(self, endpoint: Option<Endpoint>) -> Response<Reply> {
        let Self { status, message, code, param, retry_after, body } = self;
        let (kind, text) = match body {
            ErrorBody::Object if endpoint == Some(Endpoint::Messages) => {
                let error = json!({"type": anthropic_kind(status), "message": message});
                ("application/json", json!({"type": "error", "error": error}).to_string())
            }
            ErrorBody::Object => {
                let error = json!({"message": message, "type": kind(status), "param": param, "code": code});
                ("application/json", json!({"error": error}).to_string())
            }
            ErrorBody::Detail => {
                let place: Vec<Value> = ["body".into()].into_iter().chain(param.map(Value::from)).collect();
                let detail = json!([{"type": "extra_forbidden", "loc": place, "msg": message, "input": null}]);
                ("application/json", json!({"detail": detail}).to_string())
            }
            ErrorBody::Text => ("text/plain; charset=utf-8", message),
            ErrorBody::Html => {
                let title = format!("{} {message}", status.as_u16());
                let page = format!("<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>");
                ("text/html; charset=utf-8", page)
            }
        };
        let mut response = document(status, kind, text);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

fn anthropic_kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        413 => "request_too_large",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => kind(status),
    }
}

/// A response with this text.
pub fn document(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> Response<Reply> {
    response(status, kind, Reply::Document(Some(text.into())))
}

/// A response with this body.
pub fn response(status: StatusCode, kind: &'static str, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A response after which the connection ends.
pub fn closing(mut response: Response<Reply>) -> Response<Reply> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
