//! A plugin's process: started, signalled, waited for, and never left behind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Child as StdChild;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_send_buffer_size;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::sync::watch;

use crate::host::command::PluginCommand;
use crate::host::error::LaunchError;
use crate::host::exit::Exit;
use crate::host::start::Order;
use crate::host::start::start;

/// A plugin's process that runs, with all that leads to it.
#[derive(Debug)]
pub(crate) struct Process {
    /// The host's end of the trunk. The plugin's end is its standard input and
    /// is held by nobody else. `None` if the plugin was not given one.
    pub(crate) trunk: Option<UnixStream>,
    pub(crate) stdout: pipe::Receiver,
    pub(crate) stderr: pipe::Receiver,
    pub(crate) child: Child,
}

/// What each end of the trunk's socket may hold unread, in bytes; Linux allows twice
/// that for its own bookkeeping. A small call waits for what a bulk transfer has put in
/// here before it: less than with the usual size, which makes the wait about a quarter
/// longer. Half of this would make the transfer a quarter slower.
const SOCKET_BUFFER: usize = 64 * 1024;

impl Process {
    /// Starts the plugin. `announced` are variables that tell it about its
    /// host; they win over what the command sets. Without a trunk, its standard
    /// input is empty.
    ///
    /// Everything that blocks is done on a thread of its own, which lives as
    /// long as the child does (see [`keep`]). Must be called in a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a child that is already there is killed.
    pub(crate) async fn spawn(
        command: &PluginCommand,
        announced: BTreeMap<OsString, OsString>,
        with_trunk: bool,
    ) -> Result<Self, LaunchError> {
        let failed = |source| LaunchError::Spawn { program: command.program().to_owned(), source };
        let (ours, theirs) = match with_trunk {
            true => trunk().map(|(ours, theirs)| (Some(ours), Some(theirs))).map_err(failed)?,
            false => (None, None),
        };
        let order = Order { command: command.clone(), announced, trunk: theirs };

        let (born, birth) = oneshot::channel();
        let keeper = thread::Builder::new().name("trunkline-plugin".to_owned());
        keeper.spawn(move || keep(order, born)).map_err(failed)?;
        let Ok(birth) = birth.await else {
            // Not reached unless the keeper panics.
            return Err(failed(io::Error::other("the thread that starts the plugin ended")));
        };
        let Born { child, stdout, stderr } = birth?;
        Ok(Self {
            trunk: ours.map(UnixStream::from_std).transpose().map_err(failed)?,
            stdout: reader(stdout).map_err(failed)?,
            stderr: reader(stderr).map_err(failed)?,
            child,
        })
    }
}

/// The host's end of a trunk, and the plugin's.
fn trunk() -> io::Result<(StdUnixStream, OwnedFd)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    for end in [&ours, &theirs] {
        set_socket_send_buffer_size(end, SOCKET_BUFFER)?;
    }
    Ok((ours, theirs.into()))
}

fn reader(pipe: Option<impl Into<OwnedFd>>) -> io::Result<pipe::Receiver> {
    let pipe = pipe.ok_or_else(|| io::Error::other("the child has no such pipe"))?;
    pipe::Receiver::from_owned_fd(pipe.into())
}

/// A child process and the process group that it leads.
///
/// Dropping it kills the whole group, at any time, also when the runtime is
/// torn down; no zombie is left, because its keeper thread reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    pid: Pid,
    group: Arc<Group>,
    exit: watch::Receiver<Option<Exit>>,
}

impl Child {
    /// The process id, which is also the id of its process group.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Waits until the process has ended. Nothing of its group is left then,
    /// except what has moved to another group by itself.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing; it may be waited for again, and again
    /// after the end.
    pub(crate) async fn wait(&mut self) -> Exit {
        match self.exit.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::UNKNOWN),
            // Not reached unless the keeper panics.
            Err(_) => Exit::UNKNOWN,
        }
    }

    /// Sends a signal to the whole group. Does nothing once the child has
    /// ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        self.group.signal(signal)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.signal(Signal::KILL) {
            tracing::error!(pid = self.id(), %error, "a plugin cannot be killed");
        }
    }
}

/// The child's process group, for as long as its id is the child's. After the
/// child was reaped the system may give the id to a stranger: then this is
/// `None`, and the lock sees to it that no signal is under way meanwhile.
#[derive(Debug)]
struct Group(Mutex<Option<Pid>>);

impl Group {
    fn signal(&self, signal: Signal) -> io::Result<()> {
        let group = self.0.lock();
        group.map_or(Ok(()), |group| send(group, signal))
    }

    /// Kills what is left of the group and reaps the child, which has ended.
    fn reap(&self, child: &mut StdChild) -> Exit {
        let mut group = self.0.lock();
        if let Some(group) = group.take()
            && let Err(error) = send(group, Signal::KILL)
        {
            tracing::error!(%group, %error, "what a plugin has left behind cannot be killed");
        }
        match child.wait() {
            Ok(status) => Exit::from(status),
            Err(_) => Exit::UNKNOWN,
        }
    }

    /// Somebody else has reaped the child: its id may be anybody's now.
    fn forget(&self) -> Exit {
        *self.0.lock() = None;
        Exit::UNKNOWN
    }
}

fn send(group: Pid, signal: Signal) -> io::Result<()> {
    match rustix::process::kill_process_group(group, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        // What some systems answer for a group of which only a zombie is left.
        Err(Errno::PERM) if cfg!(not(target_os = "linux")) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A child that has just started.
struct Born {
    child: Child,
    stdout: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
}

/// The life of a keeper, the thread that starts a child and reaps it.
///
/// Why a thread, and not tokio's process driver:
/// - A child that asks to be killed when its parent dies (`PR_SET_PDEATHSIG`)
///   means the thread that started it. A thread of the runtime may end at any
///   time, and the plugin would be killed for no reason.
/// - The child has to stay a zombie until what it left behind is killed: its
///   zombie is what keeps the id of the group from being given to a stranger.
///   tokio reaps at once.
/// - It works when the runtime is gone, so no zombie is left then, either.
fn keep(order: Order, born: oneshot::Sender<Result<Born, LaunchError>>) {
    let mut child = match start(order) {
        Ok(child) => child,
        Err(error) => {
            // If nobody waits for the answer any more, nobody wants it.
            drop(born.send(Err(error)));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    let group = Arc::new(Group(Mutex::new(Some(pid))));
    let (ended, exit) = watch::channel(None);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let handle = Child { pid, group: Arc::clone(&group), exit };
    // If nobody waits for the child any more, this drops it and thereby kills it.
    drop(born.send(Ok(Born { child: handle, stdout, stderr })));

    ended.send_replace(Some(outlive(&mut child, pid, &group)));
}

/// Waits until the child has ended, kills what is left of its group, reaps it.
fn outlive(child: &mut StdChild, pid: Pid, group: &Group) -> Exit {
    let and_leave_it = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    let ended =
        rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::Pid(pid), and_leave_it));
    match ended {
        Ok(_) => group.reap(child),
        Err(_) => group.forget(),
    }
}

#[cfg(test)]
mod tests;
