//! Where a plugin is to listen.

use std::fs;
use std::fs::Permissions;
use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::docker::address::Address;
use crate::docker::address::AddressError;
use crate::docker::discovery::SOCKETS;
use crate::docker::discovery::is_name;
use crate::docker::serve::Listener;
use crate::docker::serve::file::OwnFile;
use crate::docker::serve::socket;
use crate::docker::tls::TlsError;
use crate::docker::tls::TlsOptions;

/// A Unix socket to listen on: the usual way to be a plugin.
#[derive(Clone, Debug)]
#[must_use = "nobody listens before `bind`"]
pub struct UnixEndpoint {
    place: Place,
    group: Option<u32>,
    spec: Option<Spec>,
}

#[derive(Clone, Debug)]
enum Place {
    Named(String),
    At(PathBuf),
}

impl Place {
    fn path(self) -> Result<PathBuf, ListenError> {
        match self {
            Self::Named(name) if !is_name(&name) => Err(ListenError::Name { name }),
            Self::Named(name) => Ok(Path::new(SOCKETS).join(format!("{name}.sock"))),
            Self::At(path) => match std::path::absolute(&path) {
                Ok(path) => Ok(path),
                Err(source) => Err(ListenError::Bind { path, source }),
            },
        }
    }
}

impl UnixEndpoint {
    /// The socket by which Docker finds a plugin of this name:
    /// `/run/docker/plugins/<name>.sock`. As a rule only root may make it.
    pub fn named(name: impl Into<String>) -> Self {
        Self { place: Place::Named(name.into()), group: None, spec: None }
    }

    /// A socket at this path.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { place: Place::At(path.into()), group: None, spec: None }
    }

    /// Lets the members of a group connect, too, by its number. By default only the user may
    /// who the plugin runs as, and root, who Docker is.
    pub fn group(mut self, gid: u32) -> Self {
        self.group = Some(gid);
        self
    }

    /// Writes a spec file into this folder, such as `/etc/docker/plugins`, so that the plugin
    /// is found by this name, wherever its socket is.
    pub fn spec(mut self, folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        self.spec = Some(Spec { folder: folder.into(), name: name.into() });
        self
    }

    /// Listens there. Folders that are missing are made. A socket that a dead plugin has left
    /// is replaced; one that somebody listens on is not. Who sees the file can connect.
    ///
    /// The files are removed when the listener is dropped, if they are still those that were
    /// made here.
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves no file behind.
    pub async fn bind(self) -> Result<Listener, ListenError> {
        let path = self.place.path()?;
        let address = Address::unix(&path)?;
        let (listener, file) = socket::listen(&path, self.group).await?;
        let spec = self.spec.map(|spec| spec.write(&address)).transpose()?;
        Ok(Listener::unix(listener, address, file, spec))
    }
}

/// A TCP port to listen on, with TLS or without.
#[derive(Clone, Debug)]
#[must_use = "nobody listens before `bind`"]
pub struct TcpEndpoint {
    address: SocketAddr,
    tls: Option<TlsOptions>,
    host: Option<String>,
    spec: Option<Spec>,
}

impl TcpEndpoint {
    /// A port of this machine; 0 for one that the system chooses. Whoever reaches it can use
    /// the plugin, unless [`tls`](Self::tls) says otherwise.
    pub fn at(address: impl Into<SocketAddr>) -> Self {
        Self { address: address.into(), tls: None, host: None, spec: None }
    }

    /// Encrypts connections, and with [`TlsOptions::client_auth`] takes only those of clients
    /// with a good certificate.
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// The name by which clients reach this machine, for the address in a spec file: the one
    /// that the certificate is made out to. By default it is the IP address, or that of this
    /// machine itself (`127.0.0.1`) if the port is open on all of them.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = Some(name.into());
        self
    }

    /// Writes a spec file into this folder, such as `/etc/docker/plugins`, so that the plugin
    /// is found by this name.
    pub fn spec(mut self, folder: impl Into<PathBuf>, name: impl Into<String>) -> Self {
        self.spec = Some(Spec { folder: folder.into(), name: name.into() });
        self
    }

    /// Listens there.
    ///
    /// # Errors
    ///
    /// See [`ListenError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn bind(self) -> Result<Listener, ListenError> {
        let tls = self.tls.clone().map(server_config);
        let tls = match tls {
            Some(config) => Some(config.await?),
            None => None,
        };
        let failed = |source| ListenError::Port { address: self.address, source };
        let listener = TcpListener::bind(self.address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let address = self.reached_at(bound).parse()?;
        let spec = self.spec.map(|spec| spec.write(&address)).transpose()?;
        Ok(Listener::tcp(listener, address, tls, spec))
    }

    fn reached_at(&self, bound: SocketAddr) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "tcp" };
        if let Some(host) = &self.host {
            return format!("{scheme}://{host}:{}", bound.port());
        }
        let ip = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("{scheme}://{}", SocketAddr::new(ip, bound.port()))
    }
}

/// It reads files, which blocks.
async fn server_config(options: TlsOptions) -> Result<Arc<ServerConfig>, TlsError> {
    let read = spawn_blocking(move || options.server()).await;
    read.unwrap_or_else(|error| Err(TlsError::Aborted(error)))
}

#[derive(Clone, Debug)]
struct Spec {
    folder: PathBuf,
    name: String,
}

impl Spec {
    /// Writes the file whole, or not at all: nobody reads half of an address. One of the same
    /// name is replaced: it is what an earlier run has left, or says something else of the
    /// same plugin.
    fn write(&self, address: &Address) -> Result<OwnFile, ListenError> {
        if !is_name(&self.name) {
            return Err(ListenError::Name { name: self.name.clone() });
        }
        let path = self.folder.join(format!("{}.spec", self.name));
        let failed = |source| ListenError::Spec { path: path.clone(), source };
        let write = || -> io::Result<OwnFile> {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::Builder::new()
                .prefix(".new-")
                // Everybody may read an address; it is the socket that is guarded.
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(&self.folder)?;
            writeln!(file, "{address}")?;
            OwnFile::open(file.persist(&path)?, &path)
        };
        write().map_err(failed)
    }
}

/// Why a plugin cannot listen.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Somebody listens there: another instance of the plugin, as a rule.
    #[error("a plugin that runs listens on {}", .path.display())]
    InUse {
        /// The path of the socket.
        path: PathBuf,
    },

    /// There is a file that is no socket.
    #[error("{} is in the place of the socket, and is none: remove it", .path.display())]
    Occupied {
        /// The path of the socket.
        path: PathBuf,
    },

    /// Another process holds the lock of the folder, and does not let it go.
    #[error(
        "{} has been locked by another process for {waited:?}: `lslocks` or `fuser -v` says \
         by which, and it must end before a plugin can listen there",
        .folder.display()
    )]
    Locked {
        /// The folder that the socket is to be in.
        folder: PathBuf,
        /// How long the lock was waited for.
        waited: Duration,
    },

    /// No group has this number.
    #[error("{gid} is not the number of a group that a socket can be given to")]
    Group {
        /// The number.
        gid: u32,
    },

    /// The path of the socket is too long, or the host cannot be in an address.
    #[error(transparent)]
    Address(#[from] AddressError),

    /// There can be no socket.
    #[error("there can be no socket {}: check the permissions of its folder", .path.display())]
    Bind {
        /// The path of the socket.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },

    /// The port cannot be listened on.
    #[error("nobody can listen on {address}")]
    Port {
        /// The port.
        address: SocketAddr,
        /// What the system answered.
        source: io::Error,
    },

    /// The options of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),

    /// No plugin can have this name.
    #[error("{name:?} cannot be the name of a plugin: it is empty, or the way to a file")]
    Name {
        /// The name.
        name: String,
    },

    /// The spec file cannot be written.
    #[error("the spec file {} cannot be written", .path.display())]
    Spec {
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}
