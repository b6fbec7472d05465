//! Starts and stops a proxy.

use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::body::Counted;
use super::forward::{Shared, forward};
use super::upstream::{Link, Upstream};
use super::{Observer, ProxyOptions, tls};
use crate::listen::{Limits, Listening, StartError, accept};

/// A proxy that runs on its own threads until it is stopped or dropped.
pub struct Proxy {
    address: SocketAddr,
    open: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    closing: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    runtime: Option<Runtime>,
}

impl Proxy {
    /// Listens and starts the threads.
    pub fn start(options: &ProxyOptions, observer: Arc<dyn Observer>) -> Result<Self, StartError> {
        let target = options.target().map_err(StartError::Upstream)?;
        let tls = target.is_tls.then(|| tls::connector(options.ca_file.as_deref(), options.insecure));
        let tls = tls.transpose().map_err(StartError::Upstream)?;
        let Listening { runtime, listener, address } =
            Listening::start("agentgen-record", options.threads.max(1), &options.host, options.port)?;
        let open = Arc::<AtomicUsize>::default();
        let connect_timeout = Duration::from_secs_f64(options.connect_timeout_s);
        let shared = Arc::new(Shared {
            upstream: Upstream { target, tls, connect_timeout },
            observer,
            open: open.clone(),
            body_pause: Duration::from_secs_f64(options.body_timeout_s),
        });
        let limits = Limits {
            max_connections: options.max_connections,
            header_timeout: Duration::from_secs_f64(options.header_timeout_s),
        };
        let connections = Arc::<AtomicUsize>::default();
        let (closing, is_closing) = watch::channel(false);
        let counted = connections.clone();
        let accepting = runtime.spawn(accept(listener, limits, move |connection, http| {
            serve(shared.clone(), connection, http, is_closing.clone(), Counted::new(&counted))
        }));
        Ok(Self { address, open, connections, closing, accepting, runtime: Some(runtime) })
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Number of calls that are passing.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Takes no more connections and requests; calls that are passing go on.
    pub fn close(&self) {
        self.accepting.abort();
        self.closing.send_replace(true);
    }

    /// Whether all connections of clients have ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.connections.load(Ordering::Relaxed) == 0
    }

    /// Ends all connections and threads, and so all calls. Does nothing if the proxy has stopped.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

/// How long a connection without a call may stay open when the proxy closes: its last bytes may be on their way.
const LAST_BYTES: Duration = Duration::from_millis(250);

/// Forwards the requests of a connection.
async fn serve(
    shared: Arc<Shared>,
    connection: TcpStream,
    mut http: http1::Builder,
    mut closing: watch::Receiver<bool>,
    counted: Counted,
) {
    let link = Arc::<Link>::default();
    let service = service_fn(|request| forward(shared.clone(), link.clone(), request));
    // Headers pass as they came.
    http.preserve_header_case(true).auto_date_header(false);
    let mut connection = pin!(http.serve_connection(TokioIo::new(connection), service));
    let mut closes = pin!(closing.wait_for(|closes| *closes));
    let (mut is_told, mut last) = (false, None);
    // The calls tell the observer what fails.
    let _ = poll_fn(|context| {
        if !is_told && closes.as_mut().poll(context).is_ready() {
            is_told = true;
            connection.as_mut().graceful_shutdown();
        }
        let is_over = connection.as_mut().poll(context);
        link.drive(context);
        if !is_told || link.open.load(Ordering::Relaxed) > 0 {
            last = None;
            return is_over;
        }
        // A connection that has not sent a whole request does not end by itself.
        let timer = last.get_or_insert_with(|| Box::pin(sleep(LAST_BYTES)));
        if timer.as_mut().poll(context).is_ready() { Poll::Ready(Ok(())) } else { is_over }
    })
    .await;
    drop(counted);
}
