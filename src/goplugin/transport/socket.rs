//! The sockets of go-plugin's connections: made, found by their address, removed.

use std::error::Error;
use std::fs;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::Gid;
use rustix::process::geteuid;
use tempfile::TempDir;
use thiserror::Error;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixListener;
use tokio::net::UnixSocket;
use tokio::net::UnixStream;

use crate::goplugin::handshake::address::Address;
use crate::goplugin::handshake::address::AddressError;

/// What the names of sockets begin with, as in Go.
const SOCKET_PREFIX: &str = "plugin";

/// The random characters after that.
const RANDOM_CHARACTERS: usize = 10;

/// The longest path of a socket, in bytes: the size of `sun_path` less the null byte
/// at the end (`unix(7)`; on macOS and the BSDs it is smaller).
const LONGEST_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// How many connections the system holds that have not been accepted.
const BACKLOG: u32 = 128;

/// Where groups have their names. Groups of a directory service are not in it, and
/// are given by number.
const GROUP_FILE: &str = "/etc/group";

/// A connection, of whatever kind: a socket, TLS on one, a stream of many on one.
pub(crate) type Io = Box<dyn Duplex>;

/// What a connection can do.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects to a peer. Dropping the future gives up.
pub(crate) async fn connect(address: &Address) -> io::Result<Io> {
    connect_to(address).await.map(|(io, _)| io)
}

/// Connects to a peer, and says which process listens there, if the system does.
/// Dropping the future gives up.
pub(crate) async fn connect_to(address: &Address) -> io::Result<(Io, Option<u32>)> {
    match address {
        Address::Unix(path) => Ok(unix(UnixStream::connect(path).await?)),
        Address::Abstract(name) if cfg!(target_os = "linux") => {
            // tokio takes a null byte at the beginning as the system does.
            Ok(unix(UnixStream::connect(format!("\0{name}")).await?))
        }
        Address::Abstract(_) => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "this system has no abstract sockets"))
        }
        Address::Tcp(address) => Ok((tcp(TcpStream::connect(address).await?)?, None)),
    }
}

fn unix(stream: UnixStream) -> (Io, Option<u32>) {
    let listens = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let listens = listens.and_then(|pid| u32::try_from(pid).ok());
    (Box::new(stream), listens)
}

fn tcp(stream: TcpStream) -> io::Result<Io> {
    // A call waits for its answer: small writes must not wait for one another.
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

/// Accepts connections at one address. Dropping it removes the socket's file.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
    /// Whom the permissions of the socket let in.
    access: Access,
    address: Address,
    _file: SocketFile,
}

/// Who may connect to a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// The user that this process runs as, and root.
    Owner,
    /// Also the group that the socket belongs to.
    Group,
}

impl Listener {
    /// Listens on a new socket in `folder`, for this user alone, or also for the
    /// members of `group`: a name in `/etc/group`, or a number.
    ///
    /// Nobody can connect before the permissions are set.
    pub(crate) fn bind(folder: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let group = group.map(resolve_group).transpose()?;
        let failed = |source| SocketError::Bind { folder: folder.to_owned(), source };
        let folder = std::path::absolute(folder).map_err(failed)?;
        check_length(&folder)?;
        // Before anything is made: the name to come is plain.
        Address::file(&folder)?;

        let (socket, path) = tempfile::Builder::new()
            .prefix(SOCKET_PREFIX)
            .rand_bytes(RANDOM_CHARACTERS)
            .make_in(&folder, |path| {
                let socket = UnixSocket::new_stream()?;
                socket.bind(path)?;
                Ok(socket)
            })
            .map_err(failed)?
            .into_parts();
        let address = Address::file(&path)?;
        share(&path, group, 0o600, 0o660).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        let file = path.keep().map_err(|error| failed(error.error))?;
        let access = if group.is_some() { Access::Group } else { Access::Owner };
        let file = SocketFile::new(file).map_err(failed)?;
        Ok(Self { listener, access, address, _file: file })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The next connection. On a socket without a group, connections of other users
    /// are closed and logged.
    ///
    /// Cancel safe: no connection is lost.
    ///
    /// # Errors
    ///
    /// The system's. Some pass, such as too many open files: whoever tries again
    /// waits a little.
    pub(crate) async fn accept(&self) -> io::Result<Io> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if self.access == Access::Group || peer_is_us(&stream) {
                return Ok(Box::new(stream));
            }
        }
    }
}

/// Whether the other end is a process of this user, or of root. One in another user
/// namespace, a container's, may be neither: its socket needs a group.
fn peer_is_us(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) if is_us(peer.uid()) => true,
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), "refused a connection of another user");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "refused a connection whose user is not known");
            false
        }
    }
}

fn is_us(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// The file of a socket, removed when this is dropped, unless it has been replaced.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl SocketFile {
    fn new(path: PathBuf) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(&path)?;
        Ok(Self { path, device: metadata.dev(), inode: metadata.ino() })
    }

    fn remove(&self) -> io::Result<()> {
        let metadata = fs::symlink_metadata(&self.path)?;
        if (metadata.dev(), metadata.ino()) == (self.device, self.inode) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        match self.remove() {
            Ok(()) => {}
            // A host may remove it as soon as it is connected.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a socket was left behind");
            }
        }
    }
}

/// A new folder for sockets, in the system's temporary folder. Only this user may
/// enter it, and the members of a group if there is one. Dropping it removes it and
/// what is in it.
#[derive(Debug)]
pub(crate) struct PrivateFolder(TempDir);

impl PrivateFolder {
    /// Where the path of the system's temporary folder (TMPDIR) is too long for
    /// sockets, the folder is in `/tmp`.
    pub(crate) fn new(group: Option<&str>) -> Result<Self, SocketError> {
        let folder = Self::within(&std::env::temp_dir(), group)?;
        if check_length(folder.path()).is_ok() {
            return Ok(folder);
        }
        Self::within(Path::new("/tmp"), group)
    }

    fn within(parent: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let group = group.map(resolve_group).transpose()?;
        let failed = |source| SocketError::Folder { parent: parent.to_owned(), source };
        let folder = tempfile::Builder::new()
            .prefix("trunkline-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .map_err(failed)?;
        share(folder.path(), group, 0o700, 0o770).map_err(failed)?;
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Gives a file to a group, if there is one, and sets its mode.
fn share(path: &Path, group: Option<Gid>, alone: u32, shared: u32) -> io::Result<()> {
    let mode = match group {
        None => alone,
        Some(group) => {
            rustix::fs::chown(path, None, Some(group))?;
            shared
        }
    };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn check_length(folder: &Path) -> Result<(), SocketError> {
    let length = folder.as_os_str().len() + 1 + SOCKET_PREFIX.len() + RANDOM_CHARACTERS;
    if length > LONGEST_PATH {
        return Err(SocketError::PathTooLong { folder: folder.to_owned(), length });
    }
    Ok(())
}

fn resolve_group(group: &str) -> Result<Gid, SocketError> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    let unknown = |source| SocketError::Group { group: group.to_owned(), source };
    let file = fs::read(GROUP_FILE).map_err(|error| unknown(Some(error.into())))?;
    let number = find_group(&String::from_utf8_lossy(&file), group);
    number.map(Gid::from_raw).ok_or_else(|| unknown(None))
}

/// The number of a group in the text of `/etc/group` (`group(5)`): lines of name,
/// password, number and members.
fn find_group(file: &str, name: &str) -> Option<u32> {
    file.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        fields.nth(1)?.parse().ok()
    })
}

/// Why there is no socket to listen on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The system cannot have sockets with paths of this length.
    #[error(
        "the folder {} is too deep for a socket: its path would have {length} bytes, \
         at most {LONGEST_PATH} are possible; set TMPDIR to a shorter path, \
         or have sockets in another folder",
        .folder.display()
    )]
    PathTooLong {
        /// The folder for sockets.
        folder: PathBuf,
        /// How long the path of a socket in it would be, in bytes.
        length: usize,
    },

    /// The path of the socket cannot be told to a peer.
    #[error(transparent)]
    Address(#[from] AddressError),

    /// There is no such group.
    #[error("there is no group {group:?} in {GROUP_FILE}: give another, or its number")]
    Group {
        /// The group that the host names.
        group: String,
        /// Why its name could not be looked up, if that is the reason.
        source: Option<Box<dyn Error + Send + Sync>>,
    },

    /// No socket could be made in the folder.
    #[error("no socket could be made in the folder {}: check its permissions", .folder.display())]
    Bind {
        /// The folder for sockets.
        folder: PathBuf,
        /// What the system answered.
        source: io::Error,
    },

    /// No folder for sockets could be made.
    #[error("no folder for sockets could be made in {}: check TMPDIR", .parent.display())]
    Folder {
        /// Where it was to be made.
        parent: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

#[cfg(test)]
mod tests;
