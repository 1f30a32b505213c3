//! How a plugin's process ended.

use std::error::Error;
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::Signal;

/// How a plugin's process ended: with an exit code or by a signal.
///
/// Both are `None` if nobody knows: another part of the application has waited
/// for the process and taken its status away.
///
/// Displayed as `exit code 3`, `signal 9 (SIGKILL)` or
/// `signal 11 (SIGSEGV), core dumped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Exit {
    /// What the process returned or gave to `exit`, if it ended by itself.
    pub code: Option<i32>,
    /// The number of the signal that ended the process, if one did.
    pub signal: Option<i32>,
    /// Whether the system wrote a core dump.
    pub core_dumped: bool,
}

impl Exit {
    /// The status was taken away by another part of the application.
    pub(crate) const UNKNOWN: Self = Self { code: None, signal: None, core_dumped: false };

    /// Whether the process ended by itself and reported success.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

impl Exit {
    /// How the process ended that an error is about: of a call that failed because
    /// its plugin died. Give it a `tonic::Status` or an [`Error`](crate::Error).
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut error = Some(error);
        while let Some(this) = error {
            if let Some(ended) = this.downcast_ref::<ProcessEnded>() {
                return ended.exit;
            }
            error = this.source();
        }
        None
    }
}

/// The plugin's process has ended, and its trunk with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessEnded {
    /// How; `None` if the plugin had closed its trunk and was still running when
    /// the host stopped waiting for its end.
    pub exit: Option<Exit>,
}

impl fmt::Display for ProcessEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.exit {
            Some(exit) => write!(f, "the plugin's process has ended: {exit}"),
            None => f.write_str("the plugin has closed its trunk, but has not exited"),
        }
    }
}

impl Error for ProcessEnded {}

impl From<ExitStatus> for Exit {
    fn from(status: ExitStatus) -> Self {
        Self { code: status.code(), signal: status.signal(), core_dumped: status.core_dumped() }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}")?,
            (None, Some(signal)) => {
                write!(f, "signal {signal}")?;
                if let Some(name) = name_of(signal) {
                    write!(f, " ({name})")?;
                }
            }
            (None, None) => f.write_str("unknown exit status")?,
        }
        if self.core_dumped {
            f.write_str(", core dumped")?;
        }
        Ok(())
    }
}

/// The names of the signals that end processes in practice. Their numbers
/// differ between systems.
const NAMES: [(Signal, &str); 16] = [
    (Signal::HUP, "SIGHUP"),
    (Signal::INT, "SIGINT"),
    (Signal::QUIT, "SIGQUIT"),
    (Signal::ILL, "SIGILL"),
    (Signal::TRAP, "SIGTRAP"),
    (Signal::ABORT, "SIGABRT"),
    (Signal::BUS, "SIGBUS"),
    (Signal::FPE, "SIGFPE"),
    (Signal::KILL, "SIGKILL"),
    (Signal::USR1, "SIGUSR1"),
    (Signal::SEGV, "SIGSEGV"),
    (Signal::USR2, "SIGUSR2"),
    (Signal::PIPE, "SIGPIPE"),
    (Signal::ALARM, "SIGALRM"),
    (Signal::TERM, "SIGTERM"),
    (Signal::SYS, "SIGSYS"),
];

fn name_of(signal: i32) -> Option<&'static str> {
    let found = NAMES.iter().find(|(known, _)| known.as_raw() == signal);
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wait_status: i32) -> String {
        Exit::from(ExitStatus::from_raw(wait_status)).to_string()
    }

    #[test]
    fn a_code_is_shown_as_a_code() {
        assert_eq!(shown(0), "exit code 0");
        assert_eq!(shown(3 << 8), "exit code 3");
    }

    #[test]
    fn a_signal_is_shown_with_its_name() {
        assert_eq!(shown(9), "signal 9 (SIGKILL)");
        assert_eq!(shown(15), "signal 15 (SIGTERM)");
    }

    #[test]
    fn a_core_dump_is_shown() {
        assert_eq!(shown(11 | 0x80), "signal 11 (SIGSEGV), core dumped");
    }

    #[test]
    fn a_signal_without_a_common_name_is_shown_by_number() {
        assert_eq!(shown(40), "signal 40");
    }

    #[test]
    fn only_exit_code_zero_is_success() {
        assert!(Exit::from(ExitStatus::from_raw(0)).success());
        assert!(!Exit::from(ExitStatus::from_raw(1 << 8)).success());
        assert!(!Exit::from(ExitStatus::from_raw(9)).success());
        assert!(!Exit::UNKNOWN.success());
    }

    #[test]
    fn a_status_that_was_taken_away_is_called_unknown() {
        assert_eq!(Exit::UNKNOWN.to_string(), "unknown exit status");
    }

    #[test]
    fn the_exit_is_found_in_the_status_of_a_failed_call() {
        let exit = Exit::from(ExitStatus::from_raw(9));
        let cause = std::sync::Arc::new(ProcessEnded { exit: Some(exit) });
        let reason = crate::broker::EndReason::Lost(Some(cause));
        let error = crate::Error::from(crate::broker::StreamError::Trunk(reason));
        assert_eq!(Exit::of(&error), Some(exit));
        assert_eq!(Exit::of(&error.to_status()), Some(exit));
    }
}
