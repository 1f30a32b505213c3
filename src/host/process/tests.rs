//! Real, small processes: what they get, how they fail, that none is left.

use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::*;
use crate::host::command::Environment;
use crate::host::error::ExecObstacle;
use crate::host::error::PinObstacle;
use crate::host::pin::Sha256Pin;

/// Only a bound for what must not hang; nothing waits for it to pass.
const LONG: Duration = Duration::from_secs(60);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, future).await.expect("this takes for ever")
}

fn shell(script: &str) -> PluginCommand {
    PluginCommand::new("/bin/sh").arg("-c").arg(script)
}

async fn spawn(command: &PluginCommand) -> Result<Process, LaunchError> {
    soon(Process::spawn(command, BTreeMap::new(), true)).await
}

/// Runs to the end of its output, which all of its descendants have to close.
async fn output_of(command: &PluginCommand) -> String {
    let mut process = spawn(command).await.unwrap();
    let output = rest(&mut process.stdout).await;
    assert!(soon(process.child.wait()).await.success());
    output
}

async fn rest(pipe: &mut pipe::Receiver) -> String {
    let mut text = String::new();
    soon(pipe.read_to_string(&mut text)).await.unwrap();
    text
}

/// Reads one line, of which the child writes no more before the next.
async fn line(pipe: &mut pipe::Receiver) -> String {
    let mut line = String::new();
    while !line.ends_with('\n') {
        line.push(char::from(soon(pipe.read_u8()).await.unwrap()));
    }
    line.trim_end().to_owned()
}

fn file(folder: &TempDir, content: &str, mode: u32) -> PathBuf {
    let path = folder.path().join("plugin");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

async fn obstacle_of(command: &PluginCommand) -> ExecObstacle {
    match spawn(command).await {
        Err(LaunchError::NotExecutable { obstacle, .. }) => obstacle,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_trunk_is_the_childs_standard_input_in_both_directions() {
    let process = spawn(&shell("read line; echo \"$line yourself\" >&0")).await.unwrap();
    let mut trunk = process.trunk.unwrap();
    trunk.write_all(b"hello\n").await.unwrap();
    let mut answer = String::new();
    soon(trunk.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "hello yourself\n", "and then the end, as nobody else holds the trunk");
}

#[tokio::test]
async fn the_exit_is_told_again_and_again() {
    let mut process = spawn(&shell("exit 3")).await.unwrap();
    assert_eq!(soon(process.child.wait()).await.code, Some(3));
    assert_eq!(soon(process.child.wait()).await.code, Some(3));

    let mut process = spawn(&shell("kill -SEGV $$")).await.unwrap();
    assert_eq!(soon(process.child.wait()).await.signal, Some(Signal::SEGV.as_raw()));
}

#[tokio::test]
async fn a_signal_goes_to_the_child_and_to_its_children() {
    let script = "trap 'exit 7' TERM; sleep 1000 & echo ready; wait; wait";
    let mut process = spawn(&shell(script)).await.unwrap();
    assert_eq!(line(&mut process.stdout).await, "ready");
    process.child.signal(Signal::TERM).unwrap();
    assert_eq!(soon(process.child.wait()).await.code, Some(7));
    assert_eq!(rest(&mut process.stdout).await, "");
}

#[tokio::test]
async fn an_interrupt_in_the_hosts_terminal_does_not_reach_the_child() {
    let mut process = spawn(&shell("echo ready; read line")).await.unwrap();
    assert_eq!(line(&mut process.stdout).await, "ready");
    let group = rustix::process::getpgid(Some(process.child.pid)).unwrap();
    assert_eq!(group, process.child.pid);
    assert_ne!(group, rustix::process::getpgrp());
}

#[tokio::test]
async fn what_a_child_leaves_behind_is_killed_when_it_exits() {
    let mut process = spawn(&shell("sleep 1000 & exit 3")).await.unwrap();
    assert_eq!(soon(process.child.wait()).await.code, Some(3));
    assert_eq!(rest(&mut process.stdout).await, "", "the sleep had held the pipe open");
}

#[tokio::test]
async fn dropping_the_child_kills_its_group_and_leaves_no_zombie() {
    let script = "trap '' TERM INT HUP; sleep 1000 & echo ready; wait";
    let mut process = spawn(&shell(script)).await.unwrap();
    assert_eq!(line(&mut process.stdout).await, "ready");
    let (pid, mut exit) = (process.child.pid, process.child.exit.clone());
    drop(process.child);
    assert_eq!(rest(&mut process.stdout).await, "");
    let exit = *soon(exit.wait_for(Option::is_some)).await.unwrap();
    assert_eq!(exit.and_then(|exit| exit.signal), Some(Signal::KILL.as_raw()));
    assert_eq!(rustix::process::test_kill_process(pid), Err(Errno::SRCH));
}

#[test]
fn tearing_the_runtime_down_kills_the_child_and_leaves_no_zombie() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let process = runtime.block_on(spawn(&shell("sleep 1000"))).unwrap();
    let (pid, mut exit) = (process.child.pid, process.child.exit.clone());
    runtime.spawn(async move {
        let mut process = process;
        process.child.wait().await
    });
    drop(runtime);

    let another = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let exit = another.block_on(async { *soon(exit.wait_for(Option::is_some)).await.unwrap() });
    assert_eq!(exit.and_then(|exit| exit.signal), Some(Signal::KILL.as_raw()));
    assert_eq!(rustix::process::test_kill_process(pid), Err(Errno::SRCH));
}

#[test]
fn a_child_that_nobody_waits_for_any_more_is_killed_at_birth() {
    let (_ours, theirs) = StdUnixStream::pair().unwrap();
    let command = shell("sleep 1000");
    let order = Order { command, announced: BTreeMap::new(), trunk: Some(theirs.into()) };
    let (born, birth) = oneshot::channel();
    drop(birth);
    let (done, wait) = mpsc::channel();
    thread::spawn(move || {
        keep(order, born);
        done.send(())
    });
    assert_eq!(wait.recv_timeout(LONG), Ok(()));
}

#[tokio::test]
async fn no_signal_is_sent_once_the_child_was_reaped() {
    let mut process = spawn(&shell("exit 0")).await.unwrap();
    soon(process.child.wait()).await;
    assert_eq!(*process.child.group.0.lock(), None);
    process.child.signal(Signal::KILL).unwrap();
}

#[test]
fn a_child_that_somebody_else_has_reaped_has_an_unknown_exit_and_gets_no_signal() {
    let mut child = std::process::Command::new("/bin/true").spawn().unwrap();
    let pid = Pid::from_child(&child);
    child.wait().unwrap();
    let group = Group(Mutex::new(Some(pid)));
    assert_eq!(outlive(&mut child, pid, &group), Exit::UNKNOWN);
    assert_eq!(*group.0.lock(), None);
}

#[tokio::test]
async fn the_child_inherits_no_descriptor_of_the_host() {
    const LIST: &str = "ls /proc/$$/fd; :";
    let here = std::process::Command::new("/bin/sh").args(["-c", LIST]).output().unwrap();
    let here = String::from_utf8(here.stdout).unwrap();
    let _a_plugin_that_runs_already = spawn(&shell("read line")).await.unwrap();
    assert_eq!(output_of(&shell(LIST)).await, here);
    let pin = Sha256Pin::of_file("/bin/sh").unwrap();
    assert_eq!(output_of(&shell(LIST).pin(pin)).await, here);
}

#[tokio::test]
async fn the_environment_is_what_the_policy_says() {
    let env = PluginCommand::new("env").env("PLUGIN_COLOUR", "red").env("TRUNKLINE_X", "mine");
    let cleared = env.clone().environment(Environment::Clear);
    assert_eq!(output_of(&cleared).await, "PLUGIN_COLOUR=red\nTRUNKLINE_X=mine\n");

    let path = format!("PATH={}\n", std::env::var("PATH").unwrap());
    let allowed = env.clone().environment(Environment::Allow(vec!["PATH".into()]));
    assert_eq!(output_of(&allowed).await, path.clone() + "PLUGIN_COLOUR=red\nTRUNKLINE_X=mine\n");
    assert!(output_of(&env).await.contains(&path));
    assert_eq!(output_of(&allowed.env("PATH", "/bin")).await.lines().next(), Some("PATH=/bin"));
}

#[tokio::test]
async fn what_the_host_announces_wins_over_what_the_command_sets() {
    let command =
        PluginCommand::new("env").environment(Environment::Clear).env("TRUNKLINE_X", "mine");
    let announced = BTreeMap::from([("TRUNKLINE_X".into(), "the host's".into())]);
    let mut process = soon(Process::spawn(&command, announced, true)).await.unwrap();
    assert_eq!(rest(&mut process.stdout).await, "TRUNKLINE_X=the host's\n");
}

#[tokio::test]
async fn a_relative_program_is_found_although_the_child_works_elsewhere() {
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.ancestors().skip(1).map(|_| Path::new("..")).collect();
    let command = PluginCommand::new(up.join("bin/sh")).args(["-c", "pwd; echo $0"]);
    let seen = output_of(&command.current_dir("/")).await;
    let expected = here.join(up.join("bin/sh"));
    assert_eq!(seen, format!("/\n{}\n", expected.display()));
}

#[tokio::test]
async fn a_missing_program_is_not_found() {
    for missing in ["/nonexistent/plugin", "no-such-plugin-anywhere", "", "/bin/sh/plugin"] {
        let error = spawn(&PluginCommand::new(missing)).await.unwrap_err();
        assert!(matches!(error, LaunchError::NotFound { .. }), "{missing}: {error:?}");
    }
}

#[tokio::test]
async fn a_file_that_may_not_be_executed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let command = PluginCommand::new(file(&folder, "#!/bin/sh\n", 0o644));
    assert_eq!(obstacle_of(&command).await, ExecObstacle::Permission);
    let pinned = command.pin(Sha256Pin::new([0; 32]));
    assert_eq!(obstacle_of(&pinned).await, ExecObstacle::Permission);
}

#[tokio::test]
async fn a_directory_is_refused() {
    assert_eq!(obstacle_of(&PluginCommand::new("/bin")).await, ExecObstacle::NotAFile);
    let pinned = PluginCommand::new("/bin").pin(Sha256Pin::new([0; 32]));
    assert_eq!(obstacle_of(&pinned).await, ExecObstacle::NotAFile);
}

#[tokio::test]
async fn a_text_that_is_no_script_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let command = PluginCommand::new(file(&folder, "just text\n", 0o755));
    assert_eq!(obstacle_of(&command).await, ExecObstacle::Format);
    let pin = Sha256Pin::of_file(command.program()).unwrap();
    assert_eq!(obstacle_of(&command.pin(pin)).await, ExecObstacle::Format);
}

#[tokio::test]
async fn a_script_without_its_interpreter_is_told_from_a_missing_program() {
    let folder = tempfile::tempdir().unwrap();
    let command = PluginCommand::new(file(&folder, "#!/nonexistent/interpreter\n", 0o755));
    assert_eq!(obstacle_of(&command).await, ExecObstacle::Interpreter);
}

#[tokio::test]
async fn a_program_that_is_being_written_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let program = file(&folder, "#!/bin/sh\n", 0o755);
    let writer = fs::OpenOptions::new().append(true).open(&program).unwrap();
    let command = PluginCommand::new(program);
    assert_eq!(obstacle_of(&command).await, ExecObstacle::Busy);
    drop(writer);
    assert_eq!(output_of(&command).await, "");
}

#[tokio::test]
async fn a_working_directory_that_cannot_be_entered_is_told_from_a_missing_program() {
    for (directory, kind) in
        [("/nonexistent", io::ErrorKind::NotFound), ("/bin/sh", io::ErrorKind::NotADirectory)]
    {
        let error = spawn(&shell(":").current_dir(directory)).await.unwrap_err();
        let LaunchError::WorkingDirectory { directory: named, source, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((named.as_path(), source.kind()), (Path::new(directory), kind));
    }
}

#[tokio::test]
async fn what_the_system_cannot_take_is_an_error_and_not_a_panic() {
    for command in [shell("a\0b"), shell(":").env("a\0b", ""), shell(":").current_dir("a\0b")] {
        assert!(spawn(&command).await.is_err());
    }
}

#[tokio::test]
async fn a_pinned_program_runs_from_its_sealed_copy_and_knows_its_name() {
    let pin = Sha256Pin::of_file("/bin/sh").unwrap();
    let pinned = shell("echo $0; readlink /proc/$$/exe").pin(pin);
    let output = output_of(&pinned).await;
    let (name, executed) = output.split_once('\n').unwrap();
    assert_eq!(name, "/bin/sh");
    assert!(executed.starts_with("/memfd:trunkline-plugin"), "{executed}");
    assert_eq!(output_of(&pinned).await, output, "a command can be launched again");
}

#[tokio::test]
async fn a_program_with_another_hash_is_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("executed");
    let wrong = Sha256Pin::new([7; 32]);
    let command = PluginCommand::new("touch").arg(&mark).pin(wrong);
    let error = spawn(&command).await.unwrap_err();
    let LaunchError::PinMismatch { program, expected, actual } = error else { panic!("{error:?}") };
    assert_eq!(expected, wrong);
    assert_eq!(actual, Sha256Pin::of_file(program).unwrap());
    assert!(!mark.exists());
}

#[tokio::test]
async fn a_script_cannot_be_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let program = file(&folder, "#!/bin/sh\n", 0o755);
    let pin = Sha256Pin::of_file(&program).unwrap();
    let error = spawn(&PluginCommand::new(program).pin(pin)).await.unwrap_err();
    let is_script =
        matches!(error, LaunchError::PinUnsupported { obstacle: PinObstacle::Script, .. });
    assert!(is_script, "{error:?}");
}
