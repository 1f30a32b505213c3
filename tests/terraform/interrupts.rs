//! Ctrl-C and SIGTERM: the first asks for an end in order, the second ends everything.

use std::convert::Infallible;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::future::Pending;
use std::future::pending;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::sync_channel;
use std::task::Context;
use std::task::Poll;

use futures::StreamExt;
use futures::stream;
use http::Request;
use http::Response;
use rustix::fs::Mode;
use rustix::process::Signal;
use serde_json::json;
use tokio::net::UnixListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tower::Service;

use crate::cli::Cli;
use crate::peers::Provider;
use crate::running::DEADLINE;
use crate::running::Running;
use crate::support::system::is_running;
use crate::support::system::kill;
use crate::support::system::state;

/// What it says when it was interrupted and waits.
const WAITS: &str = "Interrupted: the provider is asked to stop.";

/// Creates something that takes an hour.
const CREATE: [&str; 7] =
    ["apply", "time_sleep", "--state", "state", "--auto-approve", "--set", "create_duration=1h"];

/// In the middle of the creation.
pub fn creating(cli: &Cli) -> (Running, u32) {
    let mut command = cli.command(&CREATE);
    // What the program says comes before the call. What the provider logs is said in it, when
    // it knows already what would stop it.
    command.env("RUST_LOG", "trunkline::plugin=trace");
    let mut running = Running::start(command);
    running.prints("time_sleep.example: Creating...");
    running.complains("Calling provider defined Resource Create");
    let provider = running.provider();
    (running, provider)
}

/// From now on it does nothing, whatever it is asked.
fn stop(process: u32) {
    kill(process, Signal::STOP);
    while state(process) != Some('T') {
        assert!(is_running(process), "it has ended");
        std::thread::yield_now();
    }
}

#[test]
fn the_first_interrupt_has_the_provider_give_up_and_leaves_no_process() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let Some(cli) = Cli::new(Provider::Time) else { return };
        let (mut running, provider) = creating(&cli);
        running.signal(signal);
        let said = running.end();
        assert_eq!(said.code, Some(code), "{said:#?}");
        assert!(said.stderr.contains(WAITS), "{said:#?}");
        // The provider's own words: it was asked, and not killed.
        assert!(said.stderr.contains("Original Error: context canceled"), "{said:#?}");
        assert!(!is_running(provider));
        assert!(!cli.path("state").exists(), "nothing was made");
    }
}

#[test]
fn the_second_interrupt_ends_it_with_a_provider_that_does_not_obey() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let Some(cli) = Cli::new(Provider::Time) else { return };
        let (mut running, provider) = creating(&cli);
        stop(provider);
        running.signal(signal);
        running.complains(WAITS);
        running.signal(signal);
        let said = running.end();
        assert_eq!(said.code, Some(code), "{said:#?}");
        assert!(said.stderr.contains("Error: Plugin did not respond"), "{said:#?}");
        assert!(!is_running(provider), "a process that is stopped can be killed all the same");
        assert!(!cli.path("state").exists());
    }
}

#[test]
fn a_call_that_runs_is_waited_for_after_an_interrupt() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    let fifo = fifo(&cli, "fifo");
    let read = cli.command(&["data", "local_file", "--set", "filename=fifo"]);
    let mut running = Running::start(read);
    let mut writer = open(&fifo, File::options().write(true));
    let provider = running.provider();
    running.signal(Signal::INT);
    running.complains(WAITS);
    writer.write_all(b"written late").expect("somebody reads");
    drop(writer);
    let said = running.end();
    assert_eq!(said.code, Some(130), "{said:#?}");
    assert!(said.stdout.contains(r#"content        = "written late""#), "{said:#?}");
    assert!(!is_running(provider));
}

/// A file whose reader waits for a writer, and whose writer for a reader.
fn fifo(cli: &Cli, name: &str) -> PathBuf {
    let path = cli.path(name);
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::RUSR | Mode::WUSR).expect("a FIFO");
    path
}

/// Opens one of its ends, once somebody has opened the other.
fn open(fifo: &Path, how: &OpenOptions) -> File {
    let (sender, opened) = sync_channel(1);
    let (fifo, how) = (fifo.to_owned(), how.clone());
    std::thread::spawn(move || sender.send(how.open(fifo)));
    opened.recv_timeout(DEADLINE).expect("nobody is at the other end").expect("it can be opened")
}

#[test]
fn one_interrupt_ends_it_while_the_provider_starts() {
    let Some(program) = Provider::Random.program() else { return };
    let cli = Cli::with(&["--provider", "./provider"]);
    // The provider is stopped once it serves, and before anybody hears where.
    let (line, stopped) = (fifo(&cli, "line"), fifo(&cli, "stopped"));
    let script = format!(
        "#!/bin/sh\n\
         (\n\
         read -r line < line\n\
         kill -STOP $$\n\
         until grep -q '^State:.T' /proc/$$/status; do :; done\n\
         echo \"$line\"\n\
         echo > stopped\n\
         ) &\n\
         exec {program:?} > {line:?}\n",
    );
    let path = cli.path("provider");
    fs::write(&path, script).expect("there is room");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("it is ours");

    let mut running = Running::start(cli.command(&["schema"]));
    open(&stopped, File::options().read(true));
    let provider = running.provider();
    assert_eq!(state(provider), Some('T'));
    running.signal(Signal::INT);
    let said = running.end();
    assert_eq!(said.code, Some(130), "{said:#?}");
    assert!(!said.stderr.contains(WAITS), "there is nothing to wait for: {said:#?}");
    // It is killed, but its end is not waited for.
    assert!(running.providers_end());
}

/// A provider that hears and never answers.
#[derive(Clone)]
struct Mute {
    called: SyncSender<String>,
}

impl Mute {
    /// Serves at this path. What is called comes out of the channel.
    async fn serve(path: &Path) -> Receiver<String> {
        let listener = UnixListener::bind(path).expect("a socket");
        let (called, calls) = sync_channel(16);
        let connections = stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(connection, _)| connection);
            Some((accepted, listener))
        });
        let server = Server::builder().add_service(Self { called });
        tokio::spawn(server.serve_with_incoming(connections.boxed()));
        calls
    }
}

impl NamedService for Mute {
    const NAME: &'static str = "tfplugin6.Provider";
}

impl Service<Request<Body>> for Mute {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.called.try_send(request.uri().path().to_owned()).expect("few calls");
        pending()
    }
}

#[test]
fn an_interrupt_while_the_schema_is_asked_for_is_passed_on_and_the_second_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let calls = runtime.block_on(Mute::serve(&socket));
    let called = || calls.recv_timeout(DEADLINE).expect("a call");
    // Whoever it belongs to, it is in test mode, and none of the program's.
    let process = crate::running::hanging();
    let reattach = json!({
        "Protocol": "grpc", "ProtocolVersion": 6, "Pid": process.id(), "Test": true,
        "Addr": {"Network": "unix", "String": socket},
    });
    let reattach = json!({"example.com/acme/mute": reattach}).to_string();
    let cli = Cli::with(&["--reattach", &reattach]);
    let mut running = Running::start(cli.command(&["schema"]));
    assert_eq!(called(), "/tfplugin6.Provider/GetProviderSchema");
    running.signal(Signal::INT);
    assert_eq!(called(), "/tfplugin6.Provider/StopProvider");
    running.complains(WAITS);
    running.signal(Signal::INT);
    let said = running.end();
    assert_eq!(said.code, Some(130), "{said:#?}");
    assert!(is_running(process.id()), "a provider in test mode is left alone");
}

#[test]
fn an_interrupt_is_no_approval() {
    let Some(cli) = Cli::new(Provider::Local) else { return };
    let apply = ["apply", "local_file", "--state", "state", "--set", "filename=note.txt"];
    let mut command = cli.command(&apply);
    // Somebody is there who does not answer.
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.prints("Plan: 1 to add");
    let provider = running.provider();
    running.signal(Signal::INT);
    let said = running.end();
    assert_eq!(said.code, Some(130), "{said:#?}");
    assert!(said.stderr.contains("Error: Apply cancelled"), "{said:#?}");
    assert!(!is_running(provider));
    assert!(!cli.path("note.txt").exists() && !cli.path("state").exists());
}
