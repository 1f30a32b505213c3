//! Connections to one plugin: a Unix socket, a TCP port, TLS on one.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::Connected;
use hyper_util::client::legacy::connect::Connection;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::docker::address::Address;
use crate::docker::client::half_open::HalfOpen;
use crate::docker::tls::TlsError;
use crate::docker::tls::TlsOptions;

/// Connects to one plugin, whatever URL it is asked for. A clone is cheap.
#[derive(Clone)]
pub(super) struct Connector {
    target: Arc<Target>,
    timeout: Duration,
}

enum Target {
    Unix(PathBuf),
    Tcp { host: String, port: u16, tls: Option<(TlsConnector, ServerName<'static>)> },
}

impl Connector {
    /// Reads the files that the options name. An address that is encrypted without options
    /// is checked against the system's roots.
    pub(super) fn new(
        address: &Address,
        tls: Option<&TlsOptions>,
        timeout: Duration,
    ) -> Result<Self, TlsError> {
        let target = match (address.socket(), address.host_and_port()) {
            (None, Some((host, port))) => {
                // A resolver knows addresses without their brackets.
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let tls = match address.is_tls() {
                    true => Some(encryption(&host, tls)?),
                    false if tls.is_some() => return Err(not_encrypted(address)),
                    false => None,
                };
                Target::Tcp { host, port, tls }
            }
            (socket, _) => {
                if tls.is_some() {
                    return Err(not_encrypted(address));
                }
                Target::Unix(socket.map(PathBuf::from).unwrap_or_default())
            }
        };
        Ok(Self { target: Arc::new(target), timeout })
    }
}

fn encryption(
    host: &str,
    options: Option<&TlsOptions>,
) -> Result<(TlsConnector, ServerName<'static>), TlsError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|source| TlsError::Name { host: host.to_owned(), source })?;
    let config = match options {
        Some(options) => options.client()?,
        None => TlsOptions::new().client()?,
    };
    Ok((TlsConnector::from(config), name))
}

fn not_encrypted(address: &Address) -> TlsError {
    TlsError::NotEncrypted { address: address.clone() }
}

impl Target {
    async fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Unix(path) => Ok(Socket::new(UnixStream::connect(path).await?)),
            Self::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                // A call waits for its answer: small writes must not wait for one another.
                stream.set_nodelay(true)?;
                let Some((connector, name)) = tls else { return Ok(Socket::new(stream)) };
                Ok(Socket::new(connector.connect(name.clone(), stream).await?))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Socket>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Socket>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { target, timeout } = self.clone();
        Box::pin(async move {
            match tokio::time::timeout(timeout, target.connect()).await {
                Ok(connected) => connected.map(TokioIo::new),
                Err(_) => {
                    let text = format!("there was no connection within {timeout:?}");
                    Err(io::Error::new(io::ErrorKind::TimedOut, text))
                }
            }
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("Connector");
        match &*self.target {
            Target::Unix(path) => f.field("path", path).finish(),
            Target::Tcp { host, port, tls } => {
                f.field("host", host).field("port", port).field("tls", &tls.is_some()).finish()
            }
        }
    }
}

/// A connection of whatever kind, as the pool wants it.
pub(super) struct Socket(Pin<Box<dyn Duplex>>);

impl Socket {
    fn new(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self(Box::pin(HalfOpen::new(io)))
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, into)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }
}
