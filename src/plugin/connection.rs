//! Taking over the connection that the host gave: a socket as standard input.

use std::env;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::FileType;
use tokio::net::UnixStream;
use uuid::Uuid;

use crate::broker::NATIVE_VARIABLE;
use crate::broker::RUN_VARIABLE;

/// What the host said in the environment, and its connection.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) run: Option<Uuid>,
    pub(super) trunk: UnixStream,
    /// The same connection, to watch it from elsewhere.
    pub(super) watched: OwnedFd,
}

/// Why a program is not running as a plugin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotLaunched {
    /// No host has announced itself: the program was started by hand.
    #[error("no host has started it")]
    ByHand,
    /// A host has announced itself, but standard input is not its connection.
    #[error("standard input is not the host's connection")]
    NoConnection,
    /// The connection could not be taken over.
    #[error("the host's connection cannot be taken over")]
    Io(#[source] io::Error),
}

/// Takes the host's connection out of standard input, and puts `/dev/null` in its
/// place: nothing that the plugin starts inherits the trunk, and nothing that reads
/// standard input takes bytes from it.
pub(super) fn take() -> Result<Launched, NotLaunched> {
    if env::var_os(NATIVE_VARIABLE).is_none() {
        return Err(NotLaunched::ByHand);
    }
    let run = env::var(RUN_VARIABLE).ok().and_then(|run| Uuid::parse_str(&run).ok());
    let stdin = rustix::stdio::stdin();
    let status = rustix::fs::fstat(stdin).map_err(io)?;
    if FileType::from_raw_mode(status.st_mode) != FileType::Socket {
        return Err(NotLaunched::NoConnection);
    }
    let trunk = stdin.try_clone_to_owned().map_err(NotLaunched::Io)?;
    let watched = trunk.try_clone().map_err(NotLaunched::Io)?;
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    rustix::stdio::dup2_stdin(null.map_err(NotLaunched::Io)?).map_err(io)?;
    let trunk = std::os::unix::net::UnixStream::from(trunk);
    trunk.set_nonblocking(true).map_err(NotLaunched::Io)?;
    let trunk = UnixStream::from_std(trunk).map_err(NotLaunched::Io)?;
    Ok(Launched { run, trunk, watched })
}

fn io(error: rustix::io::Errno) -> NotLaunched {
    NotLaunched::Io(error.into())
}
