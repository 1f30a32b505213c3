//! Where a plugin listens, and the connections that come there.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::docker::address::Address;
use crate::docker::serve::file::OwnFile;

/// How long a handshake of TLS may take: as long as a client of ours waits for one.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Listens for a plugin. Dropping it removes the files of socket and spec, and closes the
/// port.
#[derive(Debug)]
pub struct Listener {
    // Dropped in this order: who finds the spec file should find the socket, and a successor
    // takes the place of a socket only when nobody listens, so that it is still ours then.
    _spec: Option<OwnFile>,
    _socket: Option<OwnFile>,
    inner: Inner,
    address: Address,
}

enum Inner {
    Unix(UnixListener),
    Tcp { listener: TcpListener, tls: Option<TlsAcceptor> },
}

impl Listener {
    pub(super) fn unix(
        listener: UnixListener,
        address: Address,
        socket: OwnFile,
        spec: Option<OwnFile>,
    ) -> Self {
        Self { inner: Inner::Unix(listener), address, _spec: spec, _socket: Some(socket) }
    }

    pub(super) fn tcp(
        listener: TcpListener,
        address: Address,
        tls: Option<Arc<ServerConfig>>,
        spec: Option<OwnFile>,
    ) -> Self {
        let inner = Inner::Tcp { listener, tls: tls.map(TlsAcceptor::from) };
        Self { inner, address, _spec: spec, _socket: None }
    }

    /// Where it listens, as a client needs it.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection, on which nothing has been said yet. Cancel safe: none is lost.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.inner {
            Inner::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted::Ready(Box::new(stream)))
            }
            Inner::Tcp { listener, tls } => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(match tls {
                    None => Accepted::Ready(Box::new(stream)),
                    Some(acceptor) => Accepted::Tls(acceptor.clone(), stream),
                })
            }
        }
    }
}

/// A connection that was accepted.
pub(super) enum Accepted {
    Ready(Io),
    Tls(TlsAcceptor, TcpStream),
}

pub(super) type Io = Box<dyn Duplex>;

pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Accepted {
    /// The connection when it is encrypted, if it is to be.
    pub(super) async fn ready(self) -> io::Result<Io> {
        match self {
            Self::Ready(io) => Ok(io),
            Self::Tls(acceptor, stream) => {
                let handshake = timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await;
                Ok(Box::new(handshake.map_err(|_| io::ErrorKind::TimedOut)??))
            }
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(listener) => listener.fmt(f),
            Self::Tcp { listener, .. } => listener.fmt(f),
        }
    }
}
