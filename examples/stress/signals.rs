//! Ctrl-C and SIGTERM: the first ends the run in order, the second at once.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::OnceLock;

use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::console;
use crate::stage::Stage;

/// What ended the run early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C.
    Int,
    Term,
}

impl Interrupt {
    /// What shells call the end by that signal.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Int => 130,
            Self::Term => 143,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "SIGINT",
            Self::Term => "SIGTERM",
        }
    }
}

impl From<Interrupt> for ExitCode {
    fn from(interrupt: Interrupt) -> Self {
        Self::from(interrupt.exit_status())
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

    async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.int.recv() => Interrupt::Int,
            Some(()) = self.term.recv() => Interrupt::Term,
            else => std::future::pending().await,
        }
    }

    /// Ends the run at the first signal, which `first` then has, and the process at the
    /// second.
    pub async fn watch(mut self, stage: Arc<Stage>, first: Arc<OnceLock<Interrupt>>) {
        let interrupt = self.next().await;
        // Only this task sets it.
        let _ = first.set(interrupt);
        console::note(format!("{}: ending the run; once more ends it at once", interrupt.name()));
        stage.over.send_replace(true);
        // The plugins end with their host.
        std::process::exit(self.next().await.exit_status().into());
    }
}
