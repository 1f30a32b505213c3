//! What the plugin that behaves does on request, and should not.

use std::io::Write;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;
use tonic::Status;

/// Commits the crime of this name.
pub async fn commit(crime: &str, rest: &str) -> Result<String, Status> {
    match crime {
        "segv" => raise_for_good(Signal::SEGV),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(rest.parse().unwrap_or(1)),
        "stop-oneself" => {
            raise(Signal::STOP);
            hang()
        }
        "block" => {
            println!("blocked");
            hang()
        }
        "print" => print(rest),
        "leave-a-child" => return leave_a_child(rest),
        other => {
            return Err(Status::invalid_argument(format!("no such command: {other}")));
        }
    }
    Ok(String::new())
}

/// Keeps the runtime from doing anything else.
fn hang() -> ! {
    loop {
        thread::park();
    }
}

fn raise(signal: Signal) {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, signal).expect("a signal to oneself");
}

/// The standard library's handler for SIGSEGV, which tells stack overflows, lets
/// the first one pass and is gone for the second.
fn raise_for_good(signal: Signal) -> ! {
    loop {
        raise(signal);
    }
}

/// Writes to standard output and error at once: no line ends for a megabyte, then
/// one of no encoding, then a good one.
fn print(last: &str) {
    let out = |mut to: Box<dyn Write>, last: String| {
        let megabyte = vec![b'm'; 1 << 20];
        let written =
            to.write_all(&megabyte).and_then(|()| to.write_all(b"\n\xff\x00\xfe\x1b[2J\n"));
        let written = written.and_then(|()| to.write_all(last.as_bytes()));
        written.and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush())
    };
    let (one, two) = (format!("{last} out"), format!("{last} err"));
    thread::scope(|scope| {
        scope.spawn(|| out(Box::new(std::io::stdout()), one).expect("somebody reads"));
        scope.spawn(|| out(Box::new(std::io::stderr()), two).expect("somebody reads"));
    });
}

/// A child that holds standard output and error, in this group or one of its own.
/// Answers with its id.
fn leave_a_child(how: &str) -> Result<String, Status> {
    let mut child = Command::new("sleep");
    child.arg("1000").stdin(Stdio::null());
    if how == "in another group" {
        std::os::unix::process::CommandExt::process_group(&mut child, 0);
    }
    let child = child.spawn().map_err(|error| Status::internal(error.to_string()))?;
    Ok(child.id().to_string())
}
