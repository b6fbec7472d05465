//! Options of a proxy.

use std::path::PathBuf;

use hyper::Uri;
use serde::Deserialize;

/// Options of a proxy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyOptions {
    /// URL of the server that requests are forwarded to, `http` or `https`.
    pub upstream: String,
    /// File with the certificates of accepted authorities, PEM; by default those of `SSL_CERT_FILE` or of the system.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
    /// Host name or address to listen on.
    pub host: String,
    /// Port to listen on; 0: the operating system chooses a free one.
    pub port: u16,
    /// The most open connections of clients.
    pub max_connections: usize,
    /// Seconds within which a connection must send the head of its next request.
    pub header_timeout_s: f64,
    /// Seconds that a request's body may pause.
    pub body_timeout_s: f64,
    /// Seconds within which the server must accept a connection.
    pub connect_timeout_s: f64,
    /// Threads of the proxy.
    pub threads: usize,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            upstream: String::new(),
            ca_file: None,
            insecure: false,
            host: "127.0.0.1".to_owned(),
            port: 0,
            max_connections: 10_000,
            header_timeout_s: 300.0,
            body_timeout_s: 60.0,
            connect_timeout_s: 10.0,
            threads: std::thread::available_parallelism().map_or(1, usize::from).min(4),
        }
    }
}

/// Where requests go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub host: String,
    pub port: u16,
    pub is_tls: bool,
    /// The value of `Host`.
    pub authority: String,
    /// What paths begin with; no slash at its end.
    pub prefix: String,
}

impl ProxyOptions {
    /// Parses the URL of the server. The error is one line.
    pub(super) fn target(&self) -> Result<Target, String> {
        let wrong = || {
            // A URL may hold a password.
            "upstream: found another text, expected a URL such as https://api.openai.com or http://127.0.0.1:8000"
                .to_owned()
        };
        let uri: Uri = self.upstream.parse().map_err(|_| wrong())?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@') || uri.query().is_some() {
            return Err("upstream: found a user or a query, expected a URL without".to_owned());
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Target { host, port, is_tls, authority: authority.as_str().to_owned(), prefix })
    }
}

impl Target {
    /// The path and query of a request at the server. Clients give the prefix too if their base URL has it.
    pub fn path(&self, uri: &Uri) -> String {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let has_prefix =
            path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        if has_prefix { path.to_owned() } else { format!("{}{path}", self.prefix) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, String> {
        ProxyOptions { upstream: url.to_owned(), ..ProxyOptions::default() }.target()
    }

    #[test]
    fn a_prefix_is_not_added_twice() {
        for (url, path, expected) in [
            ("http://a:1", "/v1/models", "/v1/models"),
            ("http://a:1/", "/v1/models?x=/v1", "/v1/models?x=/v1"),
            ("https://a/v1", "/v1/models", "/v1/models"),
            ("https://a/v1/", "/models", "/v1/models"),
            ("https://a/v1", "/v1beta", "/v1/v1beta"),
            ("https://a/v1", "/v1?x", "/v1?x"),
        ] {
            assert_eq!(target(url).unwrap().path(&path.parse().unwrap()), expected, "{url} {path}");
        }
    }

    #[test]
    fn the_port_follows_from_the_scheme() {
        for (url, host, port, is_tls) in
            [("http://a", "a", 80, false), ("https://a.b", "a.b", 443, true), ("http://[::1]:7", "::1", 7, false)]
        {
            let found = target(url).unwrap();
            assert_eq!((&*found.host, found.port, found.is_tls), (host, port, is_tls));
        }
        for url in ["", "a", "a:1", "ftp://a", "http://u:p@a", "http://a?b", "http://"] {
            assert!(target(url).is_err(), "{url}");
        }
    }
}
