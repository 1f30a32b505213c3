//! Ctrl-C, SIGTERM and SIGHUP: the first asks for an end in order, the second ends it at once.

use std::io;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;

/// Which of them it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C.
    Int,
    Term,
    /// The terminal is gone.
    Hup,
}

impl Interrupt {
    /// What shells call the end by that signal.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Hup => 129,
            Self::Int => 130,
            Self::Term => 143,
        }
    }
}

pub struct Signals {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Signals {
    /// From now on the signals do not end the process by themselves.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Cancel safe.
    pub async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.int.recv() => Interrupt::Int,
            Some(()) = self.term.recv() => Interrupt::Term,
            Some(()) = self.hup.recv() => Interrupt::Hup,
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

#[cfg(test)]
mod tests {
    use rustix::process::Signal;
    use rustix::process::kill_process;

    use super::*;

    #[tokio::test]
    async fn every_signal_that_asks_for_an_end_is_seen_and_has_its_exit_code() {
        let mut signals = Signals::new().unwrap();
        let all = [
            (Signal::INT, Interrupt::Int, 130),
            (Signal::TERM, Interrupt::Term, 143),
            (Signal::HUP, Interrupt::Hup, 129),
        ];
        for (signal, expected, code) in all {
            kill_process(rustix::process::getpid(), signal).unwrap();
            let found = signals.next().await;
            assert_eq!((found, found.exit_code()), (expected, code));
        }
    }
}
