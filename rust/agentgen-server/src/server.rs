//! Starts and stops a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::interim::{Interim, WithInterim};
use crate::listen::{Limits, Listening, StartError, accept};
use crate::metrics::Stats;
use crate::options::Options;
use crate::shared::Shared;

/// A server that runs on its own threads until it is stopped or dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Listens and starts the threads.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let Listening { runtime, listener, address } =
            Listening::start("agentgen-serve", options.threads, &options.host, options.port)?;
        let shared = Arc::new(Shared::new(options));
        let driver = shared.clone();
        runtime.spawn(async move { driver.drive().await });
        let limits = Limits {
            max_connections: shared.options.max_connections,
            header_timeout: Duration::from_secs_f64(shared.options.header_timeout_s),
        };
        let served = shared.clone();
        runtime.spawn(accept(listener, limits, move |connection, http| serve(served.clone(), connection, http)));
        Ok(Self { shared, address, runtime: Some(runtime) })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The counters now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.metrics.stats(&self.shared.engine())
    }

    /// Closes all connections and ends all threads. Does nothing if the server has stopped.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Answers the requests of a connection.
async fn serve(shared: Arc<Shared>, connection: TcpStream, http: http1::Builder) {
    let interim = Interim::default();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(interim.clone());
        crate::http::answer(shared.clone(), request)
    });
    let connection = WithInterim::new(connection, interim.clone());
    // The outcome of each request is counted; connection errors add nothing.
    let _ = http.serve_connection(TokioIo::new(connection), service).await;
}
