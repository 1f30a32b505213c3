//! Why a plugin could not be started.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::broker::LimitsError;
use crate::host::exit::Exit;
use crate::host::pin::Sha256Pin;

/// Why a plugin could not be started. After any of these no process is left.
///
/// The message says whose fault it is and what to do, and quotes the last
/// lines of the plugin's standard error where it had come to write any.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The host names a program that does not exist.
    #[error(
        "there is no plugin program {}: check the path given to the command \
         (a name without a slash is looked up in the host's PATH)",
        .program.display()
    )]
    NotFound {
        /// The program as the host named it.
        program: PathBuf,
    },

    /// The program exists, but the system will not execute it.
    #[error("the plugin program {} cannot be executed: {obstacle}", .program.display())]
    NotExecutable {
        /// The program that was to be executed.
        program: PathBuf,
        /// What stands in the way.
        obstacle: ExecObstacle,
    },

    /// The directory that the host wants the plugin to run in cannot be entered.
    #[error(
        "the working directory {} for the plugin program {} cannot be entered: \
         check the directory given to the command",
        .directory.display(), .program.display()
    )]
    WorkingDirectory {
        /// The program that was to be executed.
        program: PathBuf,
        /// The directory as the host named it.
        directory: PathBuf,
        /// What the system answered.
        source: io::Error,
    },

    /// The program is not the one that the host has pinned. It was not executed.
    #[error(
        "the plugin program {} is not the pinned one and was not executed: its SHA-256 is \
         {actual}, the pin is {expected}; if the program was updated on purpose, update the pin",
        .program.display()
    )]
    PinMismatch {
        /// The program that was to be executed.
        program: PathBuf,
        /// The pin that the host has set.
        expected: Sha256Pin,
        /// What the file's bytes hash to.
        actual: Sha256Pin,
    },

    /// The pin cannot be held for this program or on this system.
    #[error("the plugin program {} cannot be pinned: {obstacle}", .program.display())]
    PinUnsupported {
        /// The program that was to be executed.
        program: PathBuf,
        /// What stands in the way.
        obstacle: PinObstacle,
    },

    /// The program started and ended without having spoken as a plugin.
    #[error(
        "the plugin program {} ended ({exit}) before it had said hello: the plugin failed to \
         start, or the program is not a plugin{}",
        .program.display(), LastLines(.stderr_tail)
    )]
    ExitedBeforeHello {
        /// The program that was executed.
        program: PathBuf,
        /// How it ended.
        exit: Exit,
        /// The last lines that it wrote to standard error.
        stderr_tail: String,
    },

    /// The program runs, but what it says is not what a plugin says.
    #[error(
        "the program {} does not speak as a plugin: check that it is one{}",
        .program.display(), LastLines(.stderr_tail)
    )]
    NotAPlugin {
        /// The program that was executed.
        program: PathBuf,
        /// What was wrong with what it said.
        source: Box<dyn Error + Send + Sync>,
        /// The last lines that it wrote to standard error.
        stderr_tail: String,
    },

    /// Host and plugin have no version of the protocol in common.
    #[error(
        "the plugin program {} speaks protocol versions {} to {}, this host {} to {}: \
         update the older of the two",
        .program.display(), .plugin.start(), .plugin.end(), .host.start(), .host.end()
    )]
    Version {
        /// The program that was executed.
        program: PathBuf,
        /// The versions that the plugin speaks.
        plugin: RangeInclusive<u32>,
        /// The versions that this host speaks.
        host: RangeInclusive<u32>,
    },

    /// The host's limits are out of range. Nothing was executed.
    #[error("the limits for the plugin program {} are not usable", .program.display())]
    Limits {
        /// The program that was to be executed.
        program: PathBuf,
        /// Which limit, and its range.
        source: LimitsError,
    },

    /// The program runs, but did not say hello in time.
    #[error(
        "the plugin program {} did not say hello within {after:?}: it hangs or is not a plugin; \
         if it is only slow to start, raise the start timeout{}",
        .program.display(), LastLines(.stderr_tail)
    )]
    TimedOut {
        /// The program that was executed.
        program: PathBuf,
        /// How long the host has waited.
        after: Duration,
        /// The last lines that it wrote to standard error.
        stderr_tail: String,
    },

    /// The plugin was built on go-plugin, or is to be talked to as if, and cannot be
    /// connected to.
    #[cfg(feature = "goplugin")]
    #[error(
        "the plugin program {} was built on go-plugin and cannot be connected to{}",
        .program.display(), LastLines(.stderr_tail)
    )]
    GoPlugin {
        /// The program that was executed.
        program: PathBuf,
        /// What stands in the way, and whose fault it is.
        source: crate::goplugin::ConnectError,
        /// The last lines that it wrote to standard error.
        stderr_tail: String,
    },

    /// The plugin speaks no version of the application's protocol that the host does.
    #[cfg(feature = "goplugin")]
    #[error(
        "the plugin program {} speaks version {theirs} of the application's protocol, \
         the host speaks {ours:?}: update the older of the two", .program.display()
    )]
    ApplicationVersion {
        /// The program that was executed.
        program: PathBuf,
        /// The plugin's version.
        theirs: u32,
        /// The host's versions.
        ours: std::collections::BTreeSet<u32>,
    },

    /// The plugin was built on go-plugin, and the host does not expect that of it.
    #[cfg(feature = "goplugin")]
    #[error(
        "the plugin program {} was built on go-plugin: give the handshake of its application \
         to `Launch::go_plugin`", .program.display()
    )]
    IsGoPlugin {
        /// The program that was executed.
        program: PathBuf,
    },

    /// The plugin that was to be reattached to is not there.
    #[cfg(feature = "goplugin")]
    #[error("there is no process {pid} to reattach to: the plugin has ended")]
    NotRunning {
        /// The process that was named.
        pid: u32,
        /// What the system answered.
        source: io::Error,
    },

    /// The system refused to start a process, for a reason that lies neither
    /// with the program nor with the plugin: no memory, too many processes or
    /// open files, arguments that are too long.
    #[error("the system could not start the plugin program {}", .program.display())]
    Spawn {
        /// The program that was to be executed.
        program: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

#[cfg(feature = "goplugin")]
impl LaunchError {
    /// Whether it is what one sees of a plugin that has ended.
    pub(super) fn may_be_a_crash(&self) -> bool {
        use crate::goplugin::ConnectError;

        matches!(
            self,
            Self::GoPlugin {
                source: ConnectError::NotThere { .. }
                    | ConnectError::Http(_)
                    | ConnectError::Multiplexing(_)
                    | ConnectError::NotServing(_),
                ..
            }
        )
    }

    /// The same error, with the last lines of standard error.
    pub(super) fn with_tail(self, tail: String) -> Self {
        match self {
            Self::GoPlugin { program, source, .. } => {
                Self::GoPlugin { program, source, stderr_tail: tail }
            }
            other => other,
        }
    }
}

#[cfg(not(feature = "goplugin"))]
impl LaunchError {
    pub(super) fn may_be_a_crash(&self) -> bool {
        false
    }

    pub(super) fn with_tail(self, _: String) -> Self {
        self
    }
}

/// What keeps the system from executing an existing program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExecObstacle {
    /// The host's user may not execute the file, or not reach it.
    #[error("permission denied; make the file executable for the user that the host runs as")]
    Permission,
    /// It is a directory, a device or a pipe.
    #[error("it is not a regular file; name the program inside it")]
    NotAFile,
    /// Neither a binary of this machine nor a script with a `#!` line.
    #[error("it is neither a program for this machine nor a script that begins with `#!`")]
    Format,
    /// The interpreter of the script or the loader of the binary is missing.
    #[error(
        "the interpreter that it asks for (the `#!` line of a script, the loader of a binary) \
         does not exist on this machine"
    )]
    Interpreter,
    /// Somebody has the file open for writing.
    #[error("the file is open for writing; finish writing it before launching it")]
    Busy,
}

/// What keeps a pin from being held.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PinObstacle {
    /// The program is a script: its interpreter would open the file again, so
    /// that what is checked need not be what runs.
    #[error(
        "it is a script, whose interpreter would read the file anew after the check; pin a \
         compiled program, or launch the script without a pin"
    )]
    Script,
    /// This operating system cannot execute exactly the bytes that were checked.
    #[error("pins need Linux; launch without a pin on this system")]
    Platform,
    /// This machine does not allow executing from a sealed memory file.
    #[error(
        "the kernel does not give out sealed, executable memory files \
         (see the sysctl vm.memfd_noexec)"
    )]
    Kernel(#[source] io::Error),
}

/// The last lines of standard error, if there are any, as the end of a message.
struct LastLines<'a>(&'a str);

impl fmt::Display for LastLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("; it wrote nothing to standard error");
        }
        f.write_str("; the last lines of its standard error:")?;
        self.0.lines().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_program_and_quotes_standard_error() {
        let error = LaunchError::ExitedBeforeHello {
            program: PathBuf::from("/opt/greeter"),
            exit: Exit { code: Some(3), ..Exit::UNKNOWN },
            stderr_tail: "no licence\ngiving up".to_owned(),
        };
        let message = error.to_string();
        assert!(message.contains("/opt/greeter ended (exit code 3)"), "{message}");
        assert!(message.ends_with("standard error:\n  no licence\n  giving up"), "{message}");
    }

    #[test]
    fn a_message_says_when_standard_error_was_empty() {
        let error = LaunchError::TimedOut {
            program: PathBuf::from("/opt/greeter"),
            after: Duration::from_secs(10),
            stderr_tail: String::new(),
        };
        assert!(error.to_string().ends_with("it wrote nothing to standard error"));
    }

    #[test]
    fn the_cause_is_the_source() {
        let error = LaunchError::NotAPlugin {
            program: PathBuf::from("/opt/greeter"),
            source: Box::new(io::Error::from(io::ErrorKind::InvalidData)),
            stderr_tail: String::new(),
        };
        let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
        assert_eq!(source.map(io::Error::kind), Some(io::ErrorKind::InvalidData));
    }
}
