//! A plugin's process that this host did not start: watched, signalled, and not reaped,
//! for it is another's child.

use std::io;
use std::os::fd::OwnedFd;

use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use crate::host::exit::Exit;

/// A process, by a descriptor that means this one for ever, whoever gets its number next.
#[derive(Debug)]
pub(crate) struct Attached {
    pid: u32,
    process: AsyncFd<OwnedFd>,
    /// Whether it belongs to somebody who wants to keep it: it is not signalled.
    is_spared: bool,
    /// Whether it is nobody's business any more.
    let_go: watch::Sender<bool>,
}

impl Attached {
    /// Must be called in a tokio runtime.
    pub(crate) fn open(pid: u32, is_spared: bool) -> io::Result<Self> {
        let none = || io::Error::from(io::ErrorKind::NotFound);
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(none)?;
        let process = rustix::process::pidfd_open(number, PidfdFlags::empty())?;
        let process = AsyncFd::with_interest(process, Interest::READABLE)?;
        Ok(Self { pid, process, is_spared, let_go: watch::Sender::new(false) })
    }

    pub(crate) fn id(&self) -> u32 {
        self.pid
    }

    /// Waits until the process has ended, or until it was let go of. How it ended only its
    /// parent knows.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn wait(&self) -> Exit {
        let mut let_go = self.let_go.subscribe();
        tokio::select! {
            _ = self.process.readable() => {}
            _ = let_go.wait_for(|let_go| *let_go) => {}
        }
        Exit::UNKNOWN
    }

    /// Sends a signal to the process alone. Does nothing once it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.is_spared {
            return Ok(());
        }
        match rustix::process::pidfd_send_signal(&self.process, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The connection to it is closed. One that is spared goes on without this host.
    pub(crate) fn let_go(&self) {
        if self.is_spared {
            self.let_go.send_replace(true);
        }
    }
}
