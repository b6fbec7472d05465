//! Starts and stops a server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::interim::{Interim, WithInterim};
use crate::listen::{Limits, accept, bind};
use crate::metrics::Stats;
use crate::options::Options;
use crate::shared::Shared;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen on the address.
    #[error("{host}:{port}: cannot listen: {source}")]
    Listen {
        /// Requested host.
        host: String,
        /// Requested port.
        port: u16,
        /// Cause.
        source: io::Error,
    },
    /// Its threads cannot be started.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
    /// The server that a proxy forwards to cannot be used.
    #[error("{0}")]
    Upstream(String),
}

/// A server that runs on its own threads until it is stopped or dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Listens and starts the threads.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads)
            .thread_name("agentgen-serve")
            .enable_io()
            .enable_time()
            .build()
            .map_err(StartError::Threads)?;
        let listen = |source| StartError::Listen { host: options.host.clone(), port: options.port, source };
        let (listener, address) = {
            // tokio binds sockets to the current runtime.
            let _inside = runtime.enter();
            let listener = bind(&options.host, options.port).map_err(listen)?;
            let address = listener.local_addr().map_err(listen)?;
            (listener, address)
        };
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
