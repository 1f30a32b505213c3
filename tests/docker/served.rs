//! A plugin of ours that runs, and what it does.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trunkline::docker::Address;
use trunkline::docker::Body;
use trunkline::docker::Client;
use trunkline::docker::Empty;
use trunkline::docker::serve::Failure;
use trunkline::docker::serve::Listener;
use trunkline::docker::serve::Plugin;
use trunkline::docker::serve::Received;
use trunkline::docker::serve::UnixEndpoint;

/// What a method waits for, and tells.
#[derive(Clone, Default)]
pub struct Signals {
    /// A method that waits has begun.
    pub begun: Arc<Notify>,
    /// It may end.
    pub end: Arc<Notify>,
    /// It was dropped before it ended.
    pub dropped: Arc<Notify>,
}

struct TellsWhenDropped(Option<Arc<Notify>>);

impl Drop for TellsWhenDropped {
    fn drop(&mut self) {
        if let Some(dropped) = self.0.take() {
            dropped.notify_one();
        }
    }
}

/// A plugin that echoes, streams, takes files, waits, fails and panics.
pub fn plugin(signals: &Signals) -> Plugin {
    let waits = signals.clone();
    Plugin::new()
        .implements("Test")
        .method("Test.Echo", |any: serde_json::Value| async move { Ok(any) })
        .method("Test.Fail", |text: String| async move { Err::<Empty, _>(Failure::new(text)) })
        .method("Test.Panic", |_: Empty| async { panics() })
        .method("Test.Wait", move |_: Empty| {
            let signals = waits.clone();
            async move {
                let mut tells = TellsWhenDropped(Some(signals.dropped));
                signals.begun.notify_one();
                signals.end.notified().await;
                tells.0 = None;
                Ok(Empty {})
            }
        })
        .stream("Test.Zeros", |count: u64| async move {
            Ok(Body::from_reader(tokio::io::repeat(0).take(count)))
        })
        .receive("Test.Length", |file: Received| async move {
            let length = tokio::io::copy(&mut file.into_reader(), &mut tokio::io::sink()).await?;
            Ok(length)
        })
}

fn panics() -> Result<Empty, Failure> {
    panic!("on purpose")
}

/// A plugin that is served until it is stopped.
pub struct Served {
    pub address: Address,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    pub fn start(plugin: Plugin, listener: Listener) -> Self {
        let address = listener.address().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        Self { address, stop, task: tokio::spawn(plugin.serve_until(listener, stopped)) }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.address).expect("no files are needed")
    }

    /// Begins to stop it. What is given ends when it has.
    pub fn stop(self) -> JoinHandle<()> {
        let _ = self.stop.send(());
        self.task
    }
}

/// A folder for a socket.
pub struct Folder(TempDir);

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Serves on a socket in it.
    pub async fn serve(&self, plugin: Plugin) -> Served {
        let listener = UnixEndpoint::at(self.path("test.sock")).bind().await;
        Served::start(plugin, listener.expect("nobody else is there"))
    }

    /// What is in it.
    pub fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("readable");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("readable").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<_> = entries.map(name).collect();
        names.sort();
        names
    }
}
