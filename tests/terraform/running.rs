//! Programs that run: what they say and how they end. None outlives its test, and none keeps
//! a test waiting for ever.

use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Condvar;
use parking_lot::Mutex;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::poll;
use rustix::process::Pid;
use rustix::process::PidfdFlags;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use rustix::process::kill_process_group;
use rustix::process::pidfd_open;
use rustix::process::pidfd_send_signal;
use rustix::process::waitid;

use crate::support::system::children_of;
use crate::support::system::is_running;
use crate::support::system::kill;

/// How long a program may take for whatever a test waits for. Nothing takes that long, on a
/// machine that is busy either: it is there for what hangs.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// `None`: a signal has ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// What it printed, if it ended well.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }
}

/// Runs a program to its end.
#[track_caller]
pub fn run(command: Command) -> Said {
    Running::start(command).end()
}

/// A program in a process group of its own. Dropping it kills the group and the providers
/// that it has started, whose groups are their own.
pub struct Running {
    child: Child,
    /// Readable once it has ended.
    handle: OwnedFd,
    stdout: Heard,
    stderr: Heard,
    /// By handle, for the number of one that has ended may be somebody else's.
    providers: Vec<OwnedFd>,
}

impl Running {
    pub fn start(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("the program can be run");
        let handle = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        Self {
            handle: handle.expect("a handle of the process"),
            stdout: Heard::from(child.stdout.take().expect("its output")),
            stderr: Heard::from(child.stderr.take().expect("its output")),
            child,
            providers: Vec::new(),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal);
    }

    /// Waits until a line of its standard output has this in it.
    #[track_caller]
    pub fn prints(&mut self, part: &str) -> String {
        let Some(line) = self.stdout.line_with(part) else {
            self.fail(&format!("print {part:?}"));
        };
        line
    }

    /// The same of its standard error.
    #[track_caller]
    pub fn complains(&mut self, part: &str) -> String {
        let Some(line) = self.stderr.line_with(part) else {
            self.fail(&format!("complain {part:?}"));
        };
        line
    }

    /// The provider that it has started last and that runs.
    #[track_caller]
    pub fn provider(&mut self) -> u32 {
        let children = children_of(self.id());
        let Some(provider) = children.into_iter().rfind(|child| is_running(*child)) else {
            self.fail("have a provider");
        };
        self.providers.extend(handle_of(provider));
        provider
    }

    /// Waits for its end. What it has left behind stays until it is dropped.
    #[track_caller]
    pub fn end(&mut self) -> Said {
        if !has_ended(&self.handle) {
            self.fail("end");
        }
        // It is not reaped yet: until it is, its number and that of its group are its own.
        let status = waitid(self.pid(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
        let status = status.expect("it is ours").expect("it has ended");
        if !self.stdout.is_whole() || !self.stderr.is_whole() {
            self.fail("leave nobody behind who has its output open");
        }
        Said { code: status.exit_status(), stdout: self.stdout.text(), stderr: self.stderr.text() }
    }

    fn pid(&self) -> WaitId<'static> {
        WaitId::Pid(Pid::from_child(&self.child))
    }

    /// It did not do what it should have done, in time or at all.
    #[track_caller]
    fn fail(&mut self, what: &str) -> ! {
        self.kill();
        // All that it has said: it says nothing more.
        let _ = self.stdout.is_whole() && self.stderr.is_whole();
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        panic!("it should {what}, and has only said:\n{stdout}\nand complained:\n{stderr}")
    }

    /// Whether the providers that were seen have ended, or do so now.
    pub fn providers_end(&self) -> bool {
        self.providers.iter().all(has_ended)
    }

    /// Kills what is left. Nothing here may fail: a test may be failing already.
    fn kill(&mut self) {
        let pid = Pid::from_child(&self.child);
        // First it is stopped, so that it starts nothing more.
        let _ = rustix::process::kill_process(pid, Signal::STOP);
        let stops = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let _ = rustix::io::retry_on_intr(|| waitid(self.pid(), stops));
        self.providers.extend(children_of(self.id()).into_iter().filter_map(handle_of));
        let _ = kill_process_group(pid, Signal::KILL);
        for provider in &self.providers {
            let _ = pidfd_send_signal(provider, Signal::KILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Waits for the end of a process.
fn has_ended(handle: &OwnedFd) -> bool {
    let timeout = Timespec::try_from(DEADLINE).expect("it fits");
    let mut ends = [PollFd::new(handle, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut ends, Some(&timeout))).is_ok_and(|ended| ended == 1)
}

/// `None` if the process has ended and is reaped.
fn handle_of(process: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(process.try_into().ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// What comes out of a pipe, read on a thread, so that the program never waits for a test to
/// read. Clones share it.
#[derive(Clone, Default)]
struct Heard(Arc<(Mutex<Text>, Condvar)>);

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Nobody can write any more.
    is_whole: bool,
}

impl Heard {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let this = Self::default();
        let mut text = this.clone();
        thread::spawn(move || {
            // A pipe that cannot be read is at its end as well.
            let _ = io::copy(&mut pipe, &mut text);
            text.change(|text| text.is_whole = true);
        });
        this
    }

    fn change(&self, change: impl FnOnce(&mut Text)) {
        change(&mut self.0.0.lock());
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.0.lock().bytes).into_owned()
    }

    /// Waits for an answer, until there is nothing more to come.
    fn wait<T>(&self, mut answer: impl FnMut(&Text) -> Option<T>) -> Option<T> {
        let (text, changed) = &*self.0;
        let mut found = None;
        let is_open = |text: &mut Text| {
            found = answer(text);
            found.is_none() && !text.is_whole
        };
        changed.wait_while_for(&mut text.lock(), is_open, DEADLINE);
        found
    }

    /// A line with this in it, once it has ended.
    fn line_with(&self, part: &str) -> Option<String> {
        self.wait(|text| {
            let lines = text.bytes.split_inclusive(|byte| *byte == b'\n');
            let mut lines = lines.filter(|line| line.ends_with(b"\n")).map(String::from_utf8_lossy);
            lines.find(|line| line.contains(part)).map(|line| line.trim_end().to_owned())
        })
    }

    /// Waits until nobody can write any more.
    fn is_whole(&self) -> bool {
        self.wait(|text| text.is_whole.then_some(())).is_some()
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.change(|text| text.bytes.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A shell that says so much and hangs; its child hangs in a group of its own.
pub fn hanging() -> Running {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "setsid sleep 1000 >/dev/null 2>&1 & echo it hangs; wait"]);
    Running::start(command)
}

#[test]
fn what_a_test_leaves_behind_is_killed_with_what_it_has_started() {
    let mut shell = hanging();
    assert_eq!(shell.prints("hangs"), "it hangs");
    let sleep = handle_of(shell.provider()).expect("it runs");
    let id = shell.id();
    drop(shell);
    assert!(!is_running(id));
    assert!(has_ended(&sleep), "its child runs still");
}

#[test]
fn a_program_that_ends_before_it_says_what_it_should_fails_with_what_it_said() {
    let waited = std::panic::catch_unwind(|| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        Running::start(command).prints("something else");
    });
    let panic = waited.expect_err("it never says so");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("\nout\n") && message.contains("\nerr\n"), "{message}");
}
