//! Docker's own code in Go: a plugin that runs, and what the daemon's client says of ours.
//!
//! The sources are in `tests/peers/go-docker`; these tests build them. Where there is no Go,
//! or no registry to get Docker's modules from, what needs them is skipped and says so; with
//! `TRUNKLINE_REQUIRE_PEERS=1` it fails.

use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command as StdCommand;
use std::process::Stdio;
use std::sync::OnceLock;

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::ChildStdout;
use tokio::process::Command;
use trunkline::docker::Address;

use crate::served::Folder;
use crate::support::go;
use crate::support::system::within;

/// Where the sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/go-docker");

/// The programs.
#[derive(Clone, Debug)]
pub struct Peers {
    volumeplugin: PathBuf,
    client: PathBuf,
    daemon: PathBuf,
}

/// The programs, built at first use; or none, and a line that says so.
pub fn peers() -> Option<Peers> {
    static BUILT: OnceLock<Option<Peers>> = OnceLock::new();
    let built = BUILT.get_or_init(|| go::found("Docker's modules", go::in_cache("docker", build)));
    built.clone()
}

fn build(folder: &Path) -> Result<Peers, String> {
    let program = |name: &str| folder.join(name);
    let peers = Peers {
        volumeplugin: program("volumeplugin"),
        client: program("client"),
        daemon: program("daemon"),
    };
    if !peers.client.exists() {
        go::say("building the programs with Docker's modules");
    }
    // A slash at the end: every program under its own name.
    let output = format!("{}/", folder.display());
    go::go(Path::new(SOURCES), &["build", "-o", &output, "./..."])?;
    Ok(peers)
}

/// The plugin in Go, while it runs. Dropping it kills it and waits until it is gone; it also
/// ends with this process, however that ends.
pub struct GoPlugin {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The path of its socket, or its port.
    pub at: String,
}

impl GoPlugin {
    /// Starts it on a socket, and waits until it listens.
    pub async fn on_socket(peers: &Peers, socket: &Path) -> Self {
        Self::start(peers, &["unix", &socket.display().to_string()]).await
    }

    /// Starts it with these arguments, and waits until it listens.
    pub async fn start(peers: &Peers, arguments: &[&str]) -> Self {
        let mut command = StdCommand::new(&peers.volumeplugin);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it was built");
        let stdout = child.stdout.take().expect("a pipe");
        // From here on it is killed whatever happens.
        let mut plugin = Self { child, lines: lines_of(stdout), at: String::new() };
        let line = plugin.line().await;
        plugin.at = line.strip_prefix("listening ").expect("where it listens").to_owned();
        plugin
    }

    /// The next line that it says.
    pub async fn line(&mut self) -> String {
        let line = within(self.lines.next_line()).await.expect("readable");
        line.expect("it has ended instead")
    }

    /// Where a client finds it, if it has a socket.
    pub fn address(&self) -> Address {
        Address::unix(&self.at).expect("short and absolute")
    }

    /// Ends it as the system does that has no memory left: its socket stays.
    pub fn kill(self) {}
}

impl Drop for GoPlugin {
    fn drop(&mut self) {
        // Neither fails of a child that nobody has waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stdout: std::process::ChildStdout) -> Lines<BufReader<ChildStdout>> {
    BufReader::new(ChildStdout::from_std(stdout).expect("a pipe of this runtime")).lines()
}

/// Where Docker's code in Go looks for spec files: below a home, as a daemon without root
/// does. The folder of sockets is the same for all.
pub struct Home(pub Folder);

impl Home {
    pub fn new() -> Self {
        let home = Self(Folder::new());
        std::fs::create_dir_all(home.specs()).expect("a new folder");
        home
    }

    /// The directory of spec files.
    pub fn specs(&self) -> PathBuf {
        self.0.path(".local/lib/docker/plugins")
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path(file)
    }

    /// What the daemon's client says of these steps, one by one.
    pub async fn client(&self, peers: &Peers, steps: &[Value]) -> Vec<Value> {
        self.run(&peers.client, &[], steps).await
    }

    /// What the daemon's code for volumes says of these steps with a plugin.
    pub async fn daemon(&self, peers: &Peers, plugin: &str, steps: &[Value]) -> Vec<Value> {
        self.run(&peers.daemon, &[plugin], steps).await
    }

    async fn run(&self, program: &Path, arguments: &[&str], steps: &[Value]) -> Vec<Value> {
        let mut command = Command::new(program);
        command.args(arguments).args(steps.iter().map(Value::to_string));
        command.env("HOME", self.path(".")).env("ROOTLESSKIT_STATE_DIR", self.path("state"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = within(command.output()).await.expect("it was built");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaints}");
        let lines = String::from_utf8(output.stdout).expect("JSON is UTF-8");
        let told: Vec<_> = lines.lines().map(|line| line.parse().expect("JSON")).collect();
        // What it complains of on the way is shown if the test fails.
        eprint!("{complaints}");
        told
    }
}
