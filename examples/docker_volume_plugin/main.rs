//! A volume plugin for Docker, in two lives. Its volumes are folders; what it knows of them
//! is in a state store, and whose that is makes no difference to it.
//!
//! By hand, with a store of its own:
//!
//! ```text
//! cargo run --example docker_volume_plugin -- --root /srv/volumes --store /srv/volumes.redb \
//!     --socket /run/docker/plugins/folders.sock
//! docker volume create --driver folders data
//! ```
//!
//! Launched by an application that is built on Trunkline, without `--store`: then it keeps
//! its state with its host, logs there, and ends with it.

use std::error::Error;
use std::future::pending;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use trunkline::Offers;
use trunkline::docker::serve::{Listener, Plugin as DockerPlugin, UnixEndpoint, with_state};
use trunkline::plugin::Plugin;
use trunkline::services::Channel;
use trunkline::services::state::{RedbStore, State, StateService};

use messages::VOLUME_DRIVER;
use volumes::Volumes;

mod messages;
mod volumes;

/// A volume plugin for Docker, whose volumes are folders.
#[derive(Parser)]
struct Options {
    /// Where the folders of the volumes are
    #[arg(long)]
    root: PathBuf,
    /// The socket to listen on
    #[arg(long, default_value = "/run/docker/plugins/folders.sock")]
    socket: PathBuf,
    /// The group, by its number, whose members may connect beside this user and root
    #[arg(long)]
    group: Option<u32>,
    /// Also write NAME.spec into this folder, so that the plugin is found by NAME
    #[arg(long, value_names = ["FOLDER", "NAME"], num_args = 2)]
    spec: Vec<String>,
    /// Run by hand, with the state in this file [default: be a plugin of the application
    /// that has launched this program, with the state that it offers]
    #[arg(long)]
    store: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("docker_volume_plugin: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {error}");
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    tokio::fs::create_dir_all(&options.root).await?;
    let root = tokio::fs::canonicalize(&options.root).await?.into_os_string();
    // Docker is told of folders in JSON.
    let root = root.into_string().map_err(|root| format!("--root: {root:?} is not in UTF-8"))?;
    let mut endpoint = UnixEndpoint::at(&options.socket);
    if let Some(group) = options.group {
        endpoint = endpoint.group(group);
    }
    if let [folder, name] = options.spec.as_slice() {
        endpoint = endpoint.spec(folder, name);
    }
    match options.store {
        Some(file) => {
            // From here on no signal leaves the files of socket and spec.
            let stop = told_to_end()?;
            let store = Arc::new(RedbStore::open(file).await?);
            // The service is called in place, as a host's would be over the trunk.
            let state = State::new(StateService::new(store, "volumes"));
            let volumes = Volumes::new(root, move || Ok(state.clone()));
            by_hand(volumes, endpoint.bind().await?, stop).await;
            Ok(ExitCode::SUCCESS)
        }
        None => Ok(launched(root, endpoint.bind().await?).await),
    }
}

async fn by_hand<T: Channel>(
    volumes: Arc<Volumes<T>>,
    listener: Listener,
    stop: impl Future<Output = ()>,
) {
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour).init();
    tracing::info!(address = %listener.address(), "serving");
    docker_plugin(volumes).serve_until(listener, stop).await;
}

/// Is ready at the first signal to end. The second one ends the program at once, whatever is
/// under way.
fn told_to_end() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (tell, told) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let mut tell = Some(tell);
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if tell.take().is_none() {
                std::process::exit(1);
            }
        }
    });
    Ok(async {
        // The sender is dropped at the signal.
        let _ = told.await;
    })
}

/// Serves Docker for as long as the host wants this plugin.
async fn launched(root: String, listener: Listener) -> ExitCode {
    let (tell, told) = oneshot::channel();
    let trunk = Plugin::new("docker_volume_plugin", env!("CARGO_PKG_VERSION")).serve(|host| {
        // The other end waits for it, or the program is ending.
        let _ = tell.send(host);
        Offers::new()
    });
    let docker = async {
        let Ok(host) = told.await else { return pending().await };
        tracing::info!(address = %listener.address(), "serving");
        let volumes = Volumes::new(root, move || host.state());
        docker_plugin(volumes).serve(listener).await
    };
    tokio::select! {
        code = trunk => code,
        never = docker => match never {},
    }
}

/// The methods of a volume driver.
fn docker_plugin<T: Channel>(volumes: Arc<Volumes<T>>) -> DockerPlugin {
    DockerPlugin::new()
        .implements(VOLUME_DRIVER)
        .method("VolumeDriver.Create", with_state(&volumes, Volumes::create))
        .method("VolumeDriver.Remove", with_state(&volumes, Volumes::remove))
        .method("VolumeDriver.Mount", with_state(&volumes, Volumes::mount))
        .method("VolumeDriver.Unmount", with_state(&volumes, Volumes::unmount))
        .method("VolumeDriver.Path", with_state(&volumes, Volumes::path))
        .method("VolumeDriver.Get", with_state(&volumes, Volumes::get))
        .method("VolumeDriver.List", with_state(&volumes, Volumes::list))
        .method("VolumeDriver.Capabilities", with_state(&volumes, Volumes::capabilities))
}
