//! Standard output and error of a plugin that serves a go-plugin host: what the
//! program writes goes to the host's `GRPCStdio` call, what the library logs to
//! the standard error that the host gave.
//!
//! A Go plugin swaps two variables of Go's library for that. Here the
//! descriptors 1 and 2 themselves are redirected, so that C code and child
//! processes are heard as well.

mod buffer;
mod pump;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::thread;

pub(crate) use buffer::Lost;
pub(crate) use buffer::Output;
use pump::Pump;
use tokio::sync::oneshot;
pub(crate) use writer::LogWriter;
pub(crate) use writer::install_panic_hook;

/// The process's standard output and error, redirected into pipes that are read
/// at all times, by a thread of its own: whoever writes to them never waits for
/// the host, whatever the runtime does.
///
/// Dropping it restores them: what was written before can still be taken from the
/// [`Output`], which then ends. A child process that has inherited the pipes gets SIGPIPE
/// when it writes to them from then on. There should be one at a time in a process; a
/// second one would redirect what the first one had left, and they would have
/// to be dropped in reverse.
#[derive(Debug)]
pub(crate) struct Redirect {
    stdout: OwnedFd,
    stderr: OwnedFd,
    log: LogWriter,
    pump: Pump,
}

impl Redirect {
    /// Redirects from now on, also what the program has printed and still has in
    /// a buffer of its own.
    ///
    /// Of what nobody takes from the [`Output`], the last [`BUFFER`](buffer::BUFFER)
    /// bytes of each stream are kept. `lost` is told how many bytes of a stream
    /// are gone, in all: at the first, whenever they have doubled, and at the
    /// end. It is called on the reading thread and must not block, print or
    /// panic.
    ///
    /// # Errors
    ///
    /// The system has no descriptors or threads left. Nothing is redirected then.
    pub(crate) fn start(lost: impl Fn(Lost) + Send + Sync + 'static) -> io::Result<(Self, Output)> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let log = LogWriter::new(stderr.try_clone()?);
        let (out_reader, out_writer) = io::pipe()?;
        let (err_reader, err_writer) = io::pipe()?;
        let (pump, output) = Pump::start([out_reader.into(), err_reader.into()], lost)?;
        // From here on its drop puts the two back, if the next steps fail.
        let redirect = Self { stdout, stderr, log, pump };
        rustix::stdio::dup2_stdout(&out_writer)?;
        rustix::stdio::dup2_stderr(&err_writer)?;
        Ok((redirect, output))
    }

    /// Writes to the standard error that the process was started with. It may be
    /// used for ever, also after the end of the redirection.
    pub(crate) fn log_writer(&self) -> LogWriter {
        self.log.clone()
    }

    /// Waits until all that was printed so far has been taken from the
    /// [`Output`], or lost. For ever, if it is there and nobody takes from it,
    /// or if a thread keeps Rust's standard output locked: the caller limits the
    /// time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future has no effect.
    pub(crate) async fn flushed(&self) {
        let (flushed, done) = oneshot::channel();
        // Of a thread's own, because the lock may be held for ever. If there is
        // no thread, only a line without its end is missing.
        let flush = move || flushed.send(io::stdout().flush());
        if thread::Builder::new().name("trunkline-flush".to_owned()).spawn(flush).is_ok() {
            // Fails only if the program has closed its output.
            let _ = done.await;
        }
        self.pump.flushed().await;
    }

    fn put_back(&self) -> io::Result<()> {
        let stdout = rustix::stdio::dup2_stdout(&self.stdout);
        let stderr = rustix::stdio::dup2_stderr(&self.stderr);
        Ok(stdout.and(stderr)?)
    }
}

impl Drop for Redirect {
    fn drop(&mut self) {
        // The pump, which is dropped next, reads what is still in the pipes. If this fails the program's
        // output is gone, and there is nowhere to say so.
        let _ = self.put_back();
    }
}
