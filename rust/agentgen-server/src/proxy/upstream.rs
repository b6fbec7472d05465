//! Connections to the server: one for each connection of a client.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::body::Upload;
use super::options::Target;

/// How long a connection may take after a response until it takes the next request.
const READY: Duration = Duration::from_secs(1);

/// The server.
pub struct Upstream {
    pub target: Target,
    pub tls: Option<TlsConnector>,
    pub connect_timeout: Duration,
}

trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<C: AsyncRead + AsyncWrite + Unpin + Send> Connection for C {}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum NoResponse {
    /// There is no connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The connection has failed, or what came is no HTTP response.
    #[error("{0}")]
    Http(#[from] hyper::Error),
}

/// What moves the bytes of a connection.
type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// The connection to the server that belongs to a connection of a client, once a request has needed it. The task of the
/// client's connection drives it, so that no part of a body waits for another thread.
#[derive(Default)]
pub struct Link {
    sender: Mutex<Option<SendRequest<Upload>>>,
    driver: std::sync::Mutex<Option<Driver>>,
    /// Calls of the connection that are passing.
    pub open: Arc<AtomicUsize>,
}

impl Link {
    /// Sends a request. If the server has closed the connection since the last one, a new connection is made.
    pub async fn send(
        &self,
        upstream: &Upstream,
        mut request: Request<Upload>,
    ) -> Result<Response<Incoming>, NoResponse> {
        let mut link = self.sender.lock().await;
        loop {
            let used = match link.as_mut() {
                Some(sender) => matches!(timeout(READY, sender.ready()).await, Ok(Ok(()))),
                None => false,
            };
            if !used {
                let (sender, driver) = upstream.connect().await?;
                *link = Some(sender);
                *self.driver() = Some(driver);
            }
            let Some(sender) = link.as_mut() else { continue };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut failed) => {
                    *link = None;
                    match failed.take_message() {
                        Some(unsent) if used => request = unsent,
                        _ => return Err(failed.into_error().into()),
                    }
                }
            }
        }
    }
}

impl Link {
    /// Moves bytes to and from the server, as far as that is possible now.
    pub fn drive(&self, context: &mut Context<'_>) {
        let mut driver = self.driver();
        // Its requests report what fails.
        if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            *driver = None;
        }
    }

    fn driver(&self) -> MutexGuard<'_, Option<Driver>> {
        self.driver.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream {
    async fn connect(&self) -> Result<(SendRequest<Upload>, Driver), NoResponse> {
        let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        let connected = timeout(self.connect_timeout, self.stream()).await;
        let stream = connected.unwrap_or_else(|_| Err(late())).map_err(NoResponse::Connect)?;
        let (sender, connection) = Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await?;
        Ok((sender, Box::pin(connection)))
    }

    async fn stream(&self) -> io::Result<Box<dyn Connection>> {
        let Target { host, port, .. } = &self.target;
        let stream = TcpStream::connect((&**host, *port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }
}
