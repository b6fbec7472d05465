//! A server's life.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Runtime};

use crate::metrics::Stats;
use crate::options::Options;
use crate::shared::Shared;

/// Connections that the system keeps until they are accepted.
const BACKLOG: u32 = 4096;
/// How long a connection waits when the system has no room for one more.
const NO_ROOM: Duration = Duration::from_millis(10);

/// Why a server did not start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It cannot listen there.
    #[error("{host}:{port}: cannot listen there: {source}")]
    Listen {
        /// As asked.
        host: String,
        /// As asked.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// It cannot have its threads.
    #[error("cannot start threads: {0}")]
    Threads(io::Error),
}

/// A server that runs on threads of its own until it is stopped or dropped.
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
    runtime: Option<Runtime>,
}

impl Server {
    /// Listens, and starts.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(options.threads)
            .thread_name("agentgen-serve")
            .enable_io()
            .build()
            .map_err(StartError::Threads)?;
        let listen = |source| StartError::Listen { host: options.host.clone(), port: options.port, source };
        let (listener, address) = {
            // Sockets belong to a runtime.
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was counted until now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.metrics.stats(&self.shared.engine())
    }

    /// Closes all connections and ends all threads. Again: nothing.
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
        // On Windows this would let two servers have one port.
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
    loop {
        let Ok((connection, _)) = listener.accept().await else {
            // Out of file descriptors, or the client has gone already.
            futures_timer::Delay::new(NO_ROOM).await;
            continue;
        };
        // Events are small, and are to leave at once.
        let _ = connection.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| crate::http::answer(shared.clone(), request));
            // Whatever ends a connection is known from its requests.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
        });
    }
}
