//! The thread that reads what a plugin writes, from pipes into buffers.

use std::fmt;
use std::io;
use std::io::PipeWriter;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::io::Errno;

use crate::plugin::stdio::buffer::Buffers;
use crate::plugin::stdio::buffer::Lost;
use crate::plugin::stdio::buffer::Output;

/// Bytes that are read at once: what a pipe holds by default on Linux.
const READ: usize = 64 * 1024;

/// The most that is read from a pipe to empty it, in bytes: what the largest
/// holds that an unprivileged process may have. Whoever goes on writing cannot
/// keep the reader from coming to an end.
const MOST_DRAINED: usize = 1024 * 1024;

/// Reads standard output and error from two pipes, at all times.
///
/// Dropping it reads what is in the pipes and then ends, also if somebody still
/// has their other ends.
pub(super) struct Pump {
    reader: Arc<Reader>,
    /// Closing it ends the thread.
    _stop: PipeWriter,
}

/// What the thread and the handle have in common.
struct Reader {
    buffers: Arc<Buffers>,
    /// The pipes, and what is read into. The lock makes reading a pipe and
    /// putting the bytes into its buffer one step: the order is kept, and
    /// nothing is on its way when the lock is free.
    pipes: Mutex<Pipes>,
    lost: Box<dyn Fn(Lost) + Send + Sync>,
}

struct Pipes {
    pipes: [OwnedFd; 2],
    space: Vec<u8>,
}

/// What came of reading a pipe once.
enum Read {
    Bytes(usize, Option<Lost>),
    Nothing,
    End,
}

impl Pump {
    pub(super) fn start(
        pipes: [OwnedFd; 2],
        lost: impl Fn(Lost) + Send + Sync + 'static,
    ) -> io::Result<(Self, Output)> {
        for pipe in &pipes {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let polled = [pipes[0].try_clone()?, pipes[1].try_clone()?];
        let (stopped, stop) = io::pipe()?;
        let buffers = Arc::new(Buffers::default());
        let output = Output::new(buffers.clone());
        let pipes = Mutex::new(Pipes { pipes, space: vec![0; READ] });
        let reader = Arc::new(Reader { buffers, pipes, lost: Box::new(lost) });
        let thread = thread::Builder::new().name("trunkline-stdio".to_owned());
        let read = reader.clone();
        thread.spawn(move || read.run(&polled, &stopped.into()))?;
        Ok((Self { reader, _stop: stop }, output))
    }

    /// Waits until what is in the pipes and buffers now was taken, or lost.
    pub(super) async fn flushed(&self) {
        self.reader.drain();
        self.reader.buffers.emptied().await;
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.reader.drain();
        self.reader.end();
    }
}

impl Reader {
    fn run(&self, pipes: &[OwnedFd; 2], stopped: &OwnedFd) {
        let mut open = [true; 2];
        while open.contains(&true) {
            let asked = |open: bool| if open { PollFlags::IN } else { PollFlags::empty() };
            // The stop last: it is looked at for its hang-up only.
            let watched = [(&pipes[0], open[0]), (&pipes[1], open[1]), (stopped, true)];
            let mut watched = watched
                .into_iter()
                .filter(|(_, open)| *open)
                .map(|(pipe, open)| PollFd::new(pipe, asked(open)))
                .collect::<Vec<_>>();
            match rustix::event::poll(&mut watched, None) {
                Ok(_) | Err(Errno::INTR) => {}
                // Pipes that cannot be watched are not read.
                Err(_) => break,
            }
            if watched.last().is_some_and(|stop| !stop.revents().is_empty()) {
                // The handle has read the rest.
                return;
            }
            for (index, open) in open.iter_mut().enumerate() {
                *open = *open && !matches!(self.read(index), Read::End);
            }
        }
        self.end();
    }

    /// Reads a pipe once, without waiting.
    fn read(&self, index: usize) -> Read {
        let mut guard = self.pipes.lock();
        let Pipes { pipes, space } = &mut *guard;
        let Some(pipe) = pipes.get(index) else {
            return Read::End;
        };
        let read = rustix::io::retry_on_intr(|| rustix::io::read(pipe.as_fd(), &mut **space));
        let read = match read {
            Ok(0) => Read::End,
            Ok(length) => {
                let bytes = space.get(..length).unwrap_or_default();
                Read::Bytes(length, self.buffers.push(index, bytes))
            }
            Err(Errno::AGAIN) => Read::Nothing,
            Err(_) => Read::End,
        };
        drop(guard);
        if let Read::Bytes(_, Some(lost)) = read {
            (self.lost)(lost);
        }
        read
    }

    /// Reads what is in the pipes, without waiting for more.
    fn drain(&self) {
        for index in 0..2 {
            let mut drained = 0;
            while drained < MOST_DRAINED {
                match self.read(index) {
                    Read::Bytes(length, _) => drained += length,
                    Read::Nothing | Read::End => break,
                }
            }
        }
    }

    fn end(&self) {
        for lost in self.buffers.end().into_iter().flatten() {
            (self.lost)(lost);
        }
    }
}

impl fmt::Debug for Pump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pump").field("buffers", &self.reader.buffers).finish_non_exhaustive()
    }
}
