//! tonic without a broker: a dedicated connection over a Unix socket, with windows and
//! frames as large as a trunk's.
//!
//! To open one more sub-channel, an application without a broker binds another listener
//! with a server and connects to it, so that is what is measured. The listener takes one
//! connection and is gone.

use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use futures::stream;
use tokio::net::UnixListener;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic::transport::Server;

use crate::Failure;
use crate::figures::Figures;
use crate::options;
use crate::parent::Parent;
use crate::parent::Registrar;
use crate::proto::parent_server::ParentServer;
use crate::work;

/// HTTP/2's windows, in bytes.
const WINDOW: u32 = 1024 * 1024;

/// HTTP/2's frames, in bytes.
const FRAME: u32 = 64 * 1024 + 1024;

/// The connection that is there from the start.
const BASE: u64 = 0;

/// The folder of the parent's sockets, and the last number that was given to one.
#[derive(Clone)]
struct Sockets {
    folder: Arc<Path>,
    last: Arc<AtomicU64>,
}

/// A socket with a server for the one connection that is made to it.
struct Served {
    path: PathBuf,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
        // The folder goes with all that is in it, if this does not.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Registrar for Sockets {
    type Registration = Served;

    fn register(&self, service: ParentServer<Parent<Self>>) -> Result<(u64, Served), Failure> {
        let id = self.last.fetch_add(1, Relaxed) + 1;
        Ok((id, serve(socket(&self.folder, id), service)?))
    }
}

fn socket(folder: &Path, id: u64) -> PathBuf {
    folder.join(id.to_string())
}

fn serve(path: PathBuf, service: ParentServer<Parent<Sockets>>) -> Result<Served, Failure> {
    let listener = UnixListener::bind(&path)?;
    let first = stream::once(async move { listener.accept().await.map(|(stream, _)| stream) });
    let server = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME)
        .add_service(service)
        .serve_with_incoming(first);
    Ok(Served { path, server: tokio::spawn(server) })
}

pub async fn launch(options: &options::Parent) -> Result<Figures, Failure> {
    let folder = tempfile::tempdir()?;
    let (report, mut reports) = super::reports();
    let sockets = Sockets { folder: folder.path().into(), last: Arc::new(AtomicU64::new(BASE)) };
    let service = ParentServer::new(Parent::new(sockets, report));
    let _served = serve(socket(folder.path(), BASE), service)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(super::arguments(options))
        .arg("--sockets")
        .arg(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let report = tokio::select! {
        biased;
        Some(report) = reports.recv() => report,
        status = child.wait() => return Err(format!("the child ended: {}", status?).into()),
    };
    child.wait().await?;
    report.try_into()
}

pub async fn child(options: options::Child) -> Result<ExitCode, Failure> {
    let folder = options.sockets.ok_or("the child is told no folder of sockets")?;
    let base = connect(&folder, BASE).await?;
    let caller = Caller { folder: folder.into(), base };
    let work =
        tokio::spawn(async move { work::run(caller, &options.plan, options.started_at).await });
    work.await??;
    Ok(ExitCode::SUCCESS)
}

#[derive(Clone)]
struct Caller {
    folder: Arc<Path>,
    base: Channel,
}

impl work::Caller for Caller {
    type Channel = Channel;

    const HAS_SUB_CHANNELS: bool = false;

    fn base(&self) -> Channel {
        self.base.clone()
    }

    async fn dial(&self, id: u64) -> Result<Channel, Failure> {
        connect(&self.folder, id).await
    }
}

async fn connect(folder: &Path, id: u64) -> Result<Channel, Failure> {
    let address = format!("unix:{}", socket(folder, id).display());
    let endpoint = Endpoint::from_shared(address)?
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_frame_size(FRAME);
    Ok(endpoint.connect().await?)
}
