//! A client that reads raw bytes.

#![allow(dead_code, clippy::needless_pass_by_value)] // each test file uses a part of it; json!(…) values are made for the call

use std::io::{Read, Write};
use std::net::TcpStream;

use agentgen_server::{Options, Server};
use serde_json::{Value, json};

/// A server without prefill and decode time, unless `options` set them.
pub fn server(mut options: Value) -> Server {
    for rate in ["prefill_tokens_per_second", "decode_tokens_per_second"] {
        options.as_object_mut().unwrap().entry(rate).or_insert(json!(0));
    }
    Server::start(Options::from_json(&options.to_string()).unwrap()).unwrap()
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    /// The body as far as it was received.
    pub body: String,
    /// Whether the body is complete.
    pub complete: bool,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The data of the events, if lines end with line feeds.
    pub fn events(&self) -> Vec<&str> {
        self.body.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
    }
}

pub fn open(server: &Server, path: &str, body: &Value, headers: &str) -> TcpStream {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let body = body.to_string();
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    connection.write_all(request.as_bytes()).unwrap();
    connection
}

pub fn get(server: &Server, path: &str) -> Reply {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    read(connection).unwrap()
}

pub fn chat(server: &Server, body: &Value, fault: &str) -> Reply {
    post(server, "/v1/chat/completions", body, fault)
}

pub fn post(server: &Server, path: &str, body: &Value, fault: &str) -> Reply {
    let header = if fault.is_empty() { String::new() } else { format!("x-agentgen-fault: {fault}\r\n") };
    read(open(server, path, body, &header)).unwrap()
}

/// A chat with one message.
pub fn ask(content: &str, more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": content}], "max_tokens": 3});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// Reads a response; `None` without headers.
pub fn read(mut connection: TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    // A dropped connection may be an error.
    let _ = connection.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let status = head[9..12].parse().unwrap();
    let (body, complete) = if head.contains("transfer-encoding: chunked") {
        unchunked(rest)
    } else {
        let length: usize =
            head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
        (rest.to_owned(), rest.len() == length)
    };
    Some(Reply { status, head: head.to_owned(), body, complete })
}

fn unchunked(mut rest: &str) -> (String, bool) {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return (body, true);
        }
        let Some(chunk) = after.get(..length) else { break };
        body += chunk;
        rest = after.get(length + 2..).unwrap_or_default();
    }
    (body, false)
}
