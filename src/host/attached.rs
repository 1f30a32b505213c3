//! A plugin's process that this host did not start: watched, signalled, and not reaped,
//! for it is another's child.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::process::Signal;
use tokio::sync::watch;

use crate::host::exit::Exit;

/// A process, by a descriptor that means this one for ever, whoever gets its number next.
/// A thread watches it. Dropping this ends the watch, and leaves the process.
#[derive(Debug)]
pub(crate) struct Attached {
    pid: u32,
    process: Arc<OwnedFd>,
    /// Whether it belongs to somebody who wants to keep it: it is not signalled.
    is_spared: bool,
    /// Whether it has ended, or is nobody's business any more.
    over: watch::Sender<bool>,
    /// Its end ends the thread.
    _alive: io::PipeWriter,
}

impl Attached {
    pub(crate) fn open(pid: u32, is_spared: bool) -> io::Result<Self> {
        let process = Arc::new(open(pid)?);
        let over = watch::Sender::new(false);
        let (forsaken, alive) = io::pipe()?;
        let (watched, ended) = (process.clone(), over.clone());
        let watcher = thread::Builder::new().name("trunkline-plugin".to_owned());
        watcher.spawn(move || {
            if wait(&watched, &forsaken) {
                ended.send_replace(true);
            }
        })?;
        Ok(Self { pid, process, is_spared, over, _alive: alive })
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
        // The sender is in `self`.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
        Exit::UNKNOWN
    }

    /// Sends a signal to the process alone. Does nothing once it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.is_spared { Ok(()) } else { send(&self.process, signal) }
    }

    /// The connection to it is closed. One that is spared goes on without this host.
    pub(crate) fn let_go(&self) {
        if self.is_spared {
            self.over.send_replace(true);
        }
    }
}

/// Whether the process has ended; `false` if nobody wants to know any more.
fn wait(process: &OwnedFd, forsaken: &io::PipeReader) -> bool {
    loop {
        let mut watched =
            [PollFd::new(process, PollFlags::IN), PollFd::new(forsaken, PollFlags::IN)];
        match rustix::event::poll(&mut watched, None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return watched[1].revents().is_empty(),
        }
    }
}

#[cfg(target_os = "linux")]
fn open(pid: u32) -> io::Result<OwnedFd> {
    use rustix::process::Pid;
    use rustix::process::PidfdFlags;

    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

#[cfg(target_os = "linux")]
fn send(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match rustix::process::pidfd_send_signal(process, signal) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn open(_: u32) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn send(_: &OwnedFd, _: Signal) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
