//! Starts and stops a server.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::body::Dropped;
use crate::interim::{Interim, WithInterim};
use crate::metrics::Stats;
use crate::options::Options;
use crate::shared::Shared;

/// The most connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// The most connections that are told at the same time that there are too many; others are closed.
const MAX_REFUSALS: usize = 256;
/// How long such a connection may take to send the head of its request.
const REFUSAL_TIME: Duration = Duration::from_secs(1);
/// Pause after a connection could not be accepted.
const NO_ROOM: Duration = Duration::from_millis(10);

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
        runtime.spawn(accept(listener, shared.clone()));
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

fn bind(host: &str, port: u16) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "no such host");
    for address in (host, port).to_socket_addrs()? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // On Windows this would let two servers listen on one port.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let most = shared.options.max_connections;
    let (places, refusals) =
        (Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))), Arc::new(Semaphore::new(MAX_REFUSALS)));
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            // No free file descriptor, or the client has disconnected.
            tokio::time::sleep(NO_ROOM).await;
            continue;
        };
        // Events are small and must be sent at once.
        let _ = connection.set_nodelay(true);
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs_f64(shared.options.header_timeout_s));
        if let Ok(place) = places.clone().try_acquire_owned() {
            let shared = shared.clone();
            tokio::spawn(async move {
                let interim = Interim::default();
                let service = service_fn(|mut request: hyper::Request<Incoming>| {
                    request.extensions_mut().insert(interim.clone());
                    crate::http::answer(shared.clone(), request)
                });
                let connection = WithInterim::new(connection, interim.clone());
                // The outcome of each request is counted; connection errors add nothing.
                let _ = http.serve_connection(TokioIo::new(connection), service).await;
                drop(place);
            });
        } else if let Ok(place) = refusals.clone().try_acquire_owned() {
            http.header_read_timeout(REFUSAL_TIME);
            tokio::spawn(async move {
                let service = service_fn(|_| async move { Ok::<_, Dropped>(crate::http::overloaded(most)) });
                let _ = http.serve_connection(TokioIo::new(connection), service).await;
                drop(place);
            });
        }
    }
}
