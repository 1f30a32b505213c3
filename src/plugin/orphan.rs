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
