//! Ctrl-C and SIGTERM: the first asks for an end in order, the second ends it at once.

use std::io;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

/// Which of the two it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C.
    Int,
    Term,
}

impl Interrupt {
    /// What shells call the end by that signal.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Int => 130,
            Self::Term => 143,
        }
    }
}

pub struct Signals {
    int: Signal,
    term: Signal,
}

impl Signals {
    /// From now on the signals do not end the process by themselves.
    pub fn new() -> io::Result<Self> {
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())? })
    }

    /// Cancel safe.
    pub async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.int.recv() => Interrupt::Int,
            Some(()) = self.term.recv() => Interrupt::Term,
            else => std::future::pending().await,
        }
    }
}

/// Whether an end was asked for: nothing new is begun then. Clones share it.
#[derive(Clone, Debug)]
pub struct Interrupted(watch::Receiver<bool>);

impl Interrupted {
    /// With what says so.
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it. Cancel safe.
    pub async fn wait(&self) {
        if self.0.clone().wait_for(|is_set| *is_set).await.is_err() {
            // Nobody is there any more who could say so.
            std::future::pending().await
        }
    }
}
