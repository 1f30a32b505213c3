//! Turns a command into a running child, or into the reason why not.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;

use crate::host::command::PluginCommand;
use crate::host::command::may_execute;
use crate::host::error::ExecObstacle;
use crate::host::error::LaunchError;
use crate::host::pin::Sha256Pin;

/// How long to wait before each new attempt to execute a file that is open for
/// writing. A host that installs one plugin while it launches another sees
/// this without any fault of its own: for an instant, the child that is being
/// launched holds the file that is being written, too.
const WHEN_BUSY: [Duration; 6] = [
    Duration::from_millis(1),
    Duration::from_millis(4),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
];

/// What one launch needs beside the command.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) command: PluginCommand,
    /// Variables that tell the plugin about its host. They win over all others.
    pub(crate) announced: BTreeMap<OsString, OsString>,
    /// The plugin's end of the trunk, which becomes its standard input.
    pub(crate) trunk: Option<OwnedFd>,
}

/// Starts the child, in a process group of its own, with pipes as its standard
/// output and error. Blocks: reads the program if it is pinned, and waits until
/// it is executed.
pub(crate) fn start(order: Order) -> Result<Child, LaunchError> {
    let Order { command, announced, trunk } = order;
    let search_path = std::env::var_os("PATH");
    let Some(program) = command.locate(search_path.as_deref()) else {
        return Err(LaunchError::NotFound { program: command.program().to_owned() });
    };
    let executed = match command.sha256_pin() {
        None => Executed { path: program.clone(), _copy: None },
        Some(pin) => pinned(&program, pin)?,
    };

    let mut environment = command.environment_from(std::env::vars_os());
    environment.extend(announced);
    let mut child = Command::new(&executed.path);
    child
        .arg0(&program)
        .args(command.arguments())
        .env_clear()
        .envs(environment)
        .stdin(trunk.map_or_else(Stdio::null, Stdio::from))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // A Ctrl-C in the host's terminal is for the host, which then stops its
        // plugins in order.
        .process_group(0);
    if let Some(directory) = command.directory() {
        child.current_dir(directory);
    }
    execute(&mut child).map_err(|error| explain(error, program, command.directory()))
}

/// The file to execute.
struct Executed {
    path: PathBuf,
    /// What `path` leads to, if it is a copy: open until the child runs it.
    _copy: Option<OwnedFd>,
}

#[cfg(target_os = "linux")]
fn pinned(program: &Path, pin: Sha256Pin) -> Result<Executed, LaunchError> {
    use std::os::fd::AsRawFd;

    let copy = crate::host::pin::checked_copy(program, pin)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", copy.as_raw_fd()));
    Ok(Executed { path, _copy: Some(copy) })
}

#[cfg(not(target_os = "linux"))]
fn pinned(program: &Path, _pin: Sha256Pin) -> Result<Executed, LaunchError> {
    use crate::host::error::PinObstacle;

    let program = program.to_owned();
    Err(LaunchError::PinUnsupported { program, obstacle: PinObstacle::Platform })
}

fn execute(child: &mut Command) -> io::Result<Child> {
    for pause in WHEN_BUSY {
        match child.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(pause);
            }
            done => return done,
        }
    }
    child.spawn()
}

/// Says what is wrong. The system has one answer for several things: a missing
/// program, a missing interpreter of the program and a missing working
/// directory are all "no such file". So look what is there.
fn explain(error: io::Error, program: PathBuf, directory: Option<&Path>) -> LaunchError {
    if let Some(directory) = directory
        && let Err(source) = enter(directory)
    {
        return LaunchError::WorkingDirectory { program, directory: directory.to_owned(), source };
    }
    let obstacle = match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR) if !program.exists() => {
            return LaunchError::NotFound { program };
        }
        Some(Errno::NOENT | Errno::NOTDIR) => ExecObstacle::Interpreter,
        Some(Errno::ACCESS | Errno::PERM | Errno::ISDIR) => refused(&program),
        Some(Errno::NOEXEC) => ExecObstacle::Format,
        Some(Errno::TXTBSY) => ExecObstacle::Busy,
        Some(_) | None => {
            return LaunchError::Spawn { program, source: error };
        }
    };
    LaunchError::NotExecutable { program, obstacle }
}

fn refused(program: &Path) -> ExecObstacle {
    match program.metadata() {
        Ok(metadata) if !metadata.is_file() => ExecObstacle::NotAFile,
        Ok(_) | Err(_) => ExecObstacle::Permission,
    }
}

fn enter(directory: &Path) -> io::Result<()> {
    if !directory.metadata()?.is_dir() {
        return Err(Errno::NOTDIR.into());
    }
    // For a directory, "execute" is the permission to enter it.
    match may_execute(directory) {
        true => Ok(()),
        false => Err(Errno::ACCESS.into()),
    }
}
