//! Whole lines to the standard error that the host gave.

use std::any::Any;
use std::io;
use std::os::fd::OwnedFd;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

use parking_lot::Mutex;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::io::Errno;

/// The most of a panic's message that is written, in bytes. A go-plugin host
/// does not look into lines of 64 KiB and more.
const PANIC_MESSAGE: usize = 16 * 1024;

/// Writes lines to the standard error that the process was started with.
///
/// Clones write to the same, one line at a time. Writing waits while the host
/// does not read: what must not wait goes through a [`Log`](crate::services::log::Log).
/// A line that cannot be written, because the host is gone, is lost and counted.
#[derive(Clone, Debug)]
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The lock makes a line one piece, also where the system does not.
    target: Mutex<OwnedFd>,
    failed: AtomicU64,
}

impl LogWriter {
    pub(super) fn new(target: OwnedFd) -> Self {
        let shared = Shared { target: Mutex::new(target), failed: AtomicU64::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// Writes to the standard error that the process has now.
    pub(crate) fn to_stderr() -> io::Result<Self> {
        Ok(Self::new(rustix::stdio::stderr().try_clone_to_owned()?))
    }

    /// Writes the text with one write, and a newline if it does not end in one.
    pub(crate) fn write_line(&self, text: &str) {
        let written = match text.strip_suffix('\n') {
            Some(_) => self.write(text.as_bytes()),
            None => self.write(format!("{text}\n").as_bytes()),
        };
        if written.is_err() {
            self.shared.failed.fetch_add(1, Relaxed);
        }
    }

    /// How many lines could not be written, or not to their end.
    #[cfg(test)]
    pub(crate) fn failed(&self) -> u64 {
        self.shared.failed.load(Relaxed)
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        let target = self.shared.target.lock();
        while !bytes.is_empty() {
            match rustix::io::write(&*target, bytes) {
                Ok(0) => return Err(Errno::IO),
                // In one piece, unless the system was interrupted.
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                // Somebody who has the same pipe wants it like that.
                Err(Errno::AGAIN) => {
                    let mut watched = [PollFd::new(&*target, PollFlags::OUT)];
                    match rustix::event::poll(&mut watched, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// From now on, a panic also writes a line that begins with `panic: ` to this
/// writer, which makes a go-plugin host log it, and what comes after it, as an
/// error. The hook that was there before runs next: it prints as ever, to the
/// standard error that is redirected.
pub(crate) fn install_panic_hook(writer: LogWriter) {
    static WRITER: Mutex<Option<LogWriter>> = Mutex::new(None);
    if WRITER.lock().replace(writer).is_some() {
        // The hook is there, from a time that the plugin has served before.
        return;
    }
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let writer = WRITER.lock().clone();
        if let Some(writer) = writer {
            writer.write_line(&last_words(info.payload(), info.location()));
        }
        before(info);
    }));
}

fn last_words(payload: &(dyn Any + Send), location: Option<&panic::Location<'_>>) -> String {
    let message = payload.downcast_ref::<&str>().copied();
    let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let message = message.unwrap_or("of a type that has no text");
    let message = &message[..message.floor_char_boundary(PANIC_MESSAGE)];
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    match location {
        Some(location) => format!("panic: {message} (thread {thread}, {location})"),
        None => format!("panic: {message} (thread {thread})"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

    #[test]
    fn lines_of_many_threads_are_not_mixed() -> Result {
        let (mut reader, writer) = io::pipe()?;
        // A full pipe says so instead of waiting.
        rustix::io::ioctl_fionbio(&writer, true)?;
        let writer = LogWriter::new(writer.into());
        let threads = ["a", "b", "c"].map(|letter| {
            let writer = writer.clone();
            thread::spawn(move || {
                for _ in 0..20 {
                    writer.write_line(&letter.repeat(60_000));
                    writer.write_line(&(letter.repeat(9) + "\n"));
                }
            })
        });
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        for thread in threads {
            thread.join().map_err(|_| "a writer panicked")?;
        }
        let whole = |line: &str| {
            let first = line.chars().next();
            line.chars().all(|letter| Some(letter) == first) && [9, 60_000].contains(&line.len())
        };
        assert_eq!(text.lines().count(), 120);
        assert!(text.ends_with('\n') && text.lines().all(whole));
        Ok(())
    }

    #[test]
    fn a_host_that_is_gone_costs_the_line_and_nothing_else() -> Result {
        let (reader, writer) = io::pipe()?;
        drop(reader);
        let writer = LogWriter::new(writer.into());
        writer.write_line("lost");
        writer.write_line("lost");
        assert_eq!(writer.failed(), 2);
        Ok(())
    }

    #[test]
    fn the_last_words_begin_as_a_host_knows_them_and_are_not_endless() {
        let words = last_words(&"a\nb", Some(panic::Location::caller()));
        assert!(words.starts_with("panic: a\nb (thread "), "{words}");
        assert!(words.contains("writer.rs:"), "{words}");
        let words = last_words(&"é".repeat(PANIC_MESSAGE), None);
        assert!(words.len() < PANIC_MESSAGE + 1000);
        assert!(last_words(&7, None).starts_with("panic: of a type"));
    }
}
