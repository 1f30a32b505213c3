//! A socket's file, made so that nobody connects too early, and nobody's is taken away.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::fs::Gid;
use rustix::io::Errno;
use tempfile::TempPath;
use tokio::net::UnixListener;
use tokio::net::UnixSocket;
use tokio::net::UnixStream;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::docker::address::Address;
use crate::docker::serve::ListenError;
use crate::docker::serve::file::OwnFile;

/// How many connections the system holds that have not been accepted.
const BACKLOG: u32 = 128;

/// What the name of a socket begins with until it is ready, and the random characters after
/// it. It has not the extension by which plugins are found, and is short, because so are the
/// paths of sockets.
const UNREADY: &str = ".new-";
const RANDOM_CHARACTERS: usize = 6;

/// How long to wait for the lock of a folder, which others hold for a few steps, and how long
/// between two looks. Whoever may read the folder can hold it as long as they like.
const LOCK_TIME: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Listens at a path.
///
/// The socket is made under another name in the same folder, gets its mode and group, begins
/// to listen, and is then given its name, in one step: whoever sees the file can connect, if
/// they may. What is in its place is replaced only if it is a socket at which nobody listens.
/// Between that look and that step the folder is locked (`flock(2)`), so that of two plugins
/// that start at once one finds the other.
pub(super) async fn listen(
    path: &Path,
    group: Option<u32>,
) -> Result<(UnixListener, OwnFile), ListenError> {
    // The system takes this number for the wish to leave the group as it is.
    if group == Some(u32::MAX) {
        return Err(ListenError::Group { gid: u32::MAX });
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    // Found to be too long now, and not when the file is there.
    Address::unix(folder.join(format!("{UNREADY}{}", "x".repeat(RANDOM_CHARACTERS))))?;
    let failed = |source| ListenError::Bind { path: path.to_owned(), source };
    let _lock = lock(folder, path).await?;
    expect_vacant(path).await?;
    let (listener, unready) = prepare(folder, group).map_err(failed)?;
    let file = OwnFile::socket(&unready, path).map_err(failed)?;
    unready.persist(path).map_err(|error| failed(error.error))?;
    Ok((listener, file))
}

/// Locks a folder until the file is dropped. Makes it if it is not there.
async fn lock(folder: &Path, path: &Path) -> Result<File, ListenError> {
    let failed = |source| ListenError::Bind { path: path.to_owned(), source };
    let made = folder.to_owned();
    let opened = spawn_blocking(move || {
        fs::create_dir_all(&made)?;
        File::open(&made)
    });
    let lock = opened.await.map_err(io::Error::other).flatten().map_err(failed)?;
    let locked = async {
        loop {
            match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK) => sleep(LOCK_PAUSE).await,
                locked => return locked.map_err(|error| failed(error.into())),
            }
        }
    };
    match timeout(LOCK_TIME, locked).await {
        Ok(locked) => locked.map(|()| lock),
        Err(_) => Err(ListenError::Locked { folder: folder.to_owned(), waited: LOCK_TIME }),
    }
}

/// Checks that nobody would miss what is in a socket's place.
async fn expect_vacant(path: &Path) -> Result<(), ListenError> {
    let failed = |source| ListenError::Bind { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err(ListenError::Occupied { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    match UnixStream::connect(path).await.map_err(|error| (error.kind(), error)) {
        Err((io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound, _)) => Ok(()),
        // Somebody listens who has more connections waiting than the system holds.
        Ok(_) | Err((io::ErrorKind::WouldBlock, _)) => {
            Err(ListenError::InUse { path: path.to_owned() })
        }
        Err((_, error)) => Err(failed(error)),
    }
}

fn prepare(folder: &Path, group: Option<u32>) -> io::Result<(UnixListener, TempPath)> {
    let make = |path: &Path| {
        let socket = UnixSocket::new_stream()?;
        socket.bind(path)?;
        Ok(socket)
    };
    let (socket, path) = tempfile::Builder::new()
        .prefix(UNREADY)
        .rand_bytes(RANDOM_CHARACTERS)
        .make_in(folder, make)?
        .into_parts();
    let mode = match group {
        None => 0o600,
        Some(group) => {
            rustix::fs::chown(&*path, None, Some(Gid::from_raw(group)))?;
            0o660
        }
    };
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok((socket.listen(BACKLOG)?, path))
}
