//! Sees to it that a plugin does not outlive its host, even if it hangs.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::net::Shutdown;
#[cfg(feature = "goplugin")]
use tokio::sync::watch;

/// How long a plugin may take to end after its connection has: to finish what it
/// writes to files of its own.
const GRACE: Duration = Duration::from_secs(10);

/// The exit code of a plugin that did not end in time by itself: the end of the
/// host is a hang-up, and 128 + SIGHUP is what shells call that.
const EXIT_CODE: i32 = 129;

/// Watches the connection from a thread of its own, which works when the runtime
/// is blocked. `PR_SET_PDEATHSIG` would be simpler, but it fires at the end of the
/// *thread* that started the plugin, which need not be the end of the host.
///
/// Dropping it ends the watch, and the connection.
#[derive(Debug)]
pub(super) struct OrphanWatch {
    connection: Arc<OwnedFd>,
    done: Arc<AtomicBool>,
}

impl OrphanWatch {
    pub(super) fn start(connection: OwnedFd) -> io::Result<Self> {
        let connection = Arc::new(connection);
        let done = Arc::new(AtomicBool::new(false));
        let watch = Self { connection: connection.clone(), done: done.clone() };
        let thread = thread::Builder::new().name("trunkline-orphan".to_owned());
        thread.spawn(move || {
            wait_for_hang_up(&connection);
            if !done.load(Ordering::SeqCst) {
                thread::sleep(GRACE);
            }
            if !done.load(Ordering::SeqCst) {
                std::process::exit(EXIT_CODE);
            }
        })?;
        Ok(watch)
    }
}

impl Drop for OrphanWatch {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        // Wakes the thread. Fails only if the connection has ended already.
        let _ = rustix::net::shutdown(&*self.connection, Shutdown::Both);
    }
}

/// Watches the process that started the plugin, for a host that has no connection to the
/// plugin all the time, as go-plugin's: if it is gone and no host is connected, the plugin
/// is to end. If it does not in time, the process is ended, whatever its runtime does.
///
/// Only on Linux; elsewhere nothing is watched. Dropping it ends the watch.
#[cfg(feature = "goplugin")]
#[derive(Debug)]
pub(super) struct ParentWatch {
    gone: watch::Receiver<bool>,
    /// Its end wakes the thread.
    _alive: io::PipeWriter,
}

/// The process that started the plugin.
#[cfg(feature = "goplugin")]
#[derive(Debug)]
pub(super) struct Parent(Option<OwnedFd>);

#[cfg(feature = "goplugin")]
impl Parent {
    /// Finds it. Before it is told where the plugin listens: then it is there, or there is
    /// nobody to tell.
    pub(super) fn find() -> io::Result<Self> {
        open_parent().map(Self)
    }
}

#[cfg(feature = "goplugin")]
impl ParentWatch {
    /// `hosts` says how many are connected.
    pub(super) fn start(parent: Parent, hosts: watch::Receiver<usize>) -> io::Result<Self> {
        let (over, alive) = io::pipe()?;
        let (tell, gone) = watch::channel(false);
        if let Some(parent) = parent.0 {
            let thread = thread::Builder::new().name("trunkline-orphan".to_owned());
            thread.spawn(move || {
                if !wait_for_parent(&parent, &over) {
                    return;
                }
                tell.send_replace(true);
                loop {
                    let mut over = [PollFd::new(&over, PollFlags::IN)];
                    let grace = rustix::event::Timespec::try_from(GRACE).ok();
                    match rustix::event::poll(&mut over, grace.as_ref()) {
                        Ok(0) if *hosts.borrow() == 0 => std::process::exit(EXIT_CODE),
                        Ok(0) | Err(rustix::io::Errno::INTR) => {}
                        _ => return,
                    }
                }
            })?;
        }
        Ok(Self { gone, _alive: alive })
    }

    /// Waits until the process that started the plugin is gone.
    pub(super) async fn gone(&self) {
        let mut gone = self.gone.clone();
        if gone.wait_for(|gone| *gone).await.is_err() {
            // Nothing is watched.
            std::future::pending().await
        }
    }
}

/// The process that started this one. `None` if it is gone already, or is that of
/// processes whose parent is gone.
#[cfg(all(feature = "goplugin", target_os = "linux"))]
fn open_parent() -> io::Result<Option<OwnedFd>> {
    use rustix::process::PidfdFlags;

    let Some(parent) = rustix::process::getppid().filter(|parent| !parent.is_init()) else {
        return Ok(None);
    };
    let opened = match rustix::process::pidfd_open(parent, PidfdFlags::empty()) {
        Ok(opened) => opened,
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        // An old kernel, or a sandbox: then as on other systems.
        Err(error) => {
            tracing::warn!(%error, "the host cannot be watched: the plugin may outlive it");
            return Ok(None);
        }
    };
    // If it ended in between, its number may be another's by now.
    Ok((rustix::process::getppid() == Some(parent)).then_some(opened))
}

#[cfg(all(feature = "goplugin", not(target_os = "linux")))]
fn open_parent() -> io::Result<Option<OwnedFd>> {
    Ok(None)
}

/// Whether the parent is gone. `false` if the watch is over.
#[cfg(feature = "goplugin")]
fn wait_for_parent(parent: &OwnedFd, over: &io::PipeReader) -> bool {
    loop {
        let mut watched = [PollFd::new(parent, PollFlags::IN), PollFd::new(over, PollFlags::IN)];
        match rustix::event::poll(&mut watched, None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
            Ok(_) => return watched[1].revents().is_empty(),
        }
    }
}

fn wait_for_hang_up(connection: &OwnedFd) {
    loop {
        // No flag asked for: a hang-up is reported all the same.
        let mut watched = [PollFd::new(connection, PollFlags::empty())];
        match rustix::event::poll(&mut watched, None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // A connection that cannot be watched is not watched; the runtime
            // still sees its end.
            Err(_) => return,
            Ok(_) => return,
        }
    }
}
