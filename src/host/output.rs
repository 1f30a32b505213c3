//! Reads what a plugin writes to standard output and error, and logs it.

use std::io;
use std::os::fd::AsFd;

use tokio::net::unix::pipe;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;
use tracing::Span;

use crate::host::lines::LineSplitter;
use crate::host::lines::Piece;
use crate::host::lines::PieceEnd;
use crate::host::lines::printable;
use crate::host::tail::Tail;

/// Bytes that are read at once from each of the two pipes.
const CHUNK: usize = 16 * 1024;

/// The most that is read from a pipe after the pump was told to stop, in bytes:
/// what the largest pipe holds that an unprivileged process may have. A process
/// that goes on writing cannot keep the pump from ending.
pub(crate) const MOST_DRAINED: usize = 1024 * 1024;

/// Looks at a line before it becomes an event. Returns whether it has taken it.
pub(crate) type Hook = Box<dyn FnMut(&str) -> bool + Send>;

/// Who looks at lines before they become events.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) stdout: Option<Hook>,
    pub(crate) stderr: Option<Hook>,
}

/// Reads a plugin's standard output and error for as long as it lives, so that
/// a plugin never waits for its host to read what it writes.
///
/// Every line becomes one event at level INFO in the given span, with the
/// target `trunkline::plugin::stdout` or `trunkline::plugin::stderr`. A line
/// longer than [`LONGEST_PIECE`](crate::host::lines::LONGEST_PIECE) becomes
/// several, of which all but the last have the field `continues = true`.
///
/// The pump ends at the end of both pipes. A grandchild that has inherited them
/// may hold them open for ever, so it also ends when it is stopped or dropped:
/// it then reads what is in the pipes already and waits for nothing.
#[derive(Debug)]
pub(crate) struct OutputPump {
    /// Dropping it is the order to end.
    stop: watch::Sender<()>,
    stdout: JoinHandle<()>,
    stderr: JoinHandle<()>,
    tail: Tail,
}

impl OutputPump {
    /// Starts to read. Must be called in a tokio runtime.
    pub(crate) fn start(
        stdout: pipe::Receiver,
        stderr: pipe::Receiver,
        hooks: Hooks,
        span: &Span,
    ) -> Self {
        let (stop, stopped) = watch::channel(());
        let tail = Tail::default();
        let out = Sink { pipe: Pipe::Stdout, hook: hooks.stdout };
        let err = Sink { pipe: Pipe::Stderr(Some(tail.clone())), hook: hooks.stderr };
        let stdout = pump(stdout, out, stopped.clone()).instrument(span.clone());
        let stderr = pump(stderr, err, stopped).instrument(span.clone());
        Self { stop, stdout: tokio::spawn(stdout), stderr: tokio::spawn(stderr), tail }
    }

    /// The last lines of standard error. Goes on working after the pump's end.
    pub(crate) fn tail(&self) -> Tail {
        self.tail.clone()
    }

    /// Ends the pump after it has read what is in the pipes already. When this
    /// returns, everything that the plugin wrote before is logged and in the
    /// tail, also a last line without an end.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the pump to end by itself, as dropping the
    /// pump does.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        for pump in [self.stdout, self.stderr] {
            if let Err(error) = pump.await {
                tracing::warn!(%error, "reading a plugin's output was cut off");
            }
        }
    }
}

/// Where the lines of one pipe go.
struct Sink {
    pipe: Pipe,
    hook: Option<Hook>,
}

enum Pipe {
    Stdout,
    Stderr(Option<Tail>),
}

impl Sink {
    fn take(&mut self, piece: Piece<'_>) {
        let line = printable(piece.bytes);
        if let Pipe::Stderr(Some(tail)) = &self.pipe {
            tail.push(&line);
        }
        if self.hook.as_mut().is_some_and(|hook| hook(&line)) {
            return;
        }
        let continues = match piece.end {
            PieceEnd::Continues => Some(true),
            PieceEnd::Newline | PieceEnd::CarriageReturnNewline | PieceEnd::Nothing => None,
        };
        match self.pipe {
            Pipe::Stdout => {
                tracing::info!(target: "trunkline::plugin::stdout", continues, "{line}");
            }
            Pipe::Stderr(_) => {
                tracing::info!(target: "trunkline::plugin::stderr", continues, "{line}");
            }
        }
    }
}

/// What a plugin writes to its standard output or error and sends over its connection:
/// logged as what comes out of its pipes is.
#[cfg(feature = "goplugin")]
pub(crate) struct Relayed {
    lines: LineSplitter,
    sink: Sink,
}

#[cfg(feature = "goplugin")]
impl Relayed {
    pub(crate) fn stdout() -> Self {
        Self { lines: LineSplitter::default(), sink: Sink { pipe: Pipe::Stdout, hook: None } }
    }

    pub(crate) fn stderr() -> Self {
        let sink = Sink { pipe: Pipe::Stderr(None), hook: None };
        Self { lines: LineSplitter::default(), sink }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.lines.push(bytes, |piece| self.sink.take(piece));
    }
}

/// The last line, which has no end.
#[cfg(feature = "goplugin")]
impl Drop for Relayed {
    fn drop(&mut self) {
        self.lines.finish(|piece| self.sink.take(piece));
    }
}

async fn pump(pipe: pipe::Receiver, mut sink: Sink, mut stopped: watch::Receiver<()>) {
    let mut lines = LineSplitter::default();
    let mut buffer = vec![0; CHUNK];
    let end = tokio::select! {
        end = read_to_end(&pipe, &mut lines, &mut sink, &mut buffer) => end,
        _ = stopped.changed() => drain(&pipe, &mut lines, &mut sink, &mut buffer),
    };
    if let Err(error) = end {
        tracing::warn!(%error, "a plugin's output cannot be read any more");
    }
    lines.finish(|piece| sink.take(piece));
}

async fn read_to_end(
    pipe: &pipe::Receiver,
    lines: &mut LineSplitter,
    sink: &mut Sink,
    buffer: &mut [u8],
) -> io::Result<()> {
    loop {
        pipe.readable().await?;
        match pipe.try_read(buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                lines.push(&buffer[..length], |piece| sink.take(piece));
                // A plugin that floods its output must not keep others from their turn: a
                // chunk may be thousands of lines.
                tokio::task::yield_now().await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads what is in the pipe, without waiting for more.
fn drain(
    pipe: impl AsFd,
    lines: &mut LineSplitter,
    sink: &mut Sink,
    buffer: &mut [u8],
) -> io::Result<()> {
    let mut drained = 0;
    while drained < MOST_DRAINED {
        // Not `try_read`: that asks tokio, which may not have heard yet that
        // the pipe has become readable. The pipe itself knows.
        match rustix::io::retry_on_intr(|| rustix::io::read(&pipe, &mut *buffer)) {
            Ok(0) | Err(rustix::io::Errno::AGAIN) => return Ok(()),
            Ok(length) => {
                drained += length;
                lines.push(&buffer[..length], |piece| sink.take(piece));
            }
            Err(error) => return Err(error.into()),
        }
    }
    tracing::warn!("a plugin or its descendants wrote on after its end; the rest is not logged");
    Ok(())
}

#[cfg(test)]
mod tests;
