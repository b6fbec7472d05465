//! Listening sockets, and how many connections they take.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::body::Dropped;

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
    /// The server that a proxy forwards to cannot be used.
    #[error("{0}")]
    Upstream(String),
}

/// A socket that listens, and the threads that will serve its connections.
pub struct Listening {
    /// The threads.
    pub runtime: Runtime,
    /// The socket.
    pub listener: TcpListener,
    /// Its address.
    pub address: SocketAddr,
}

impl Listening {
    /// Starts the threads and listens.
    pub fn start(thread_name: &str, threads: usize, host: &str, port: u16) -> Result<Self, StartError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(thread_name)
            .enable_io()
            .enable_time()
            .build()
            .map_err(StartError::Threads)?;
        let failed = |source| StartError::Listen { host: host.to_owned(), port, source };
        let (listener, address) = {
            // tokio binds sockets to the current runtime.
            let _inside = runtime.enter();
            let listener = bind(host, port).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            (listener, address)
        };
        Ok(Self { runtime, listener, address })
    }
}

/// Limits of a listening socket.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most open connections.
    pub max_connections: usize,
    /// Time within which a connection must send the head of its next request.
    pub header_timeout: Duration,
}

/// Listens on the first address of the host that can be listened on.
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

/// Accepts connections for ever; `serve` runs in a task for each of them.
pub async fn accept<F>(listener: TcpListener, limits: Limits, serve: impl Fn(TcpStream, http1::Builder) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let most = limits.max_connections;
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
        http.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
        if let Ok(place) = places.clone().try_acquire_owned() {
            let served = serve(connection, http);
            tokio::spawn(async move {
                served.await;
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
