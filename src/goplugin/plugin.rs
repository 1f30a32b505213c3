//! The plugin's role: listens where its host looks for it, and serves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::Request as HttpRequest;
use http::Response as HttpResponse;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::body::Body as TonicBody;
use tonic_health::ServingStatus;

use crate::broker::Broker;
use crate::broker::EndReason;
use crate::broker::Limits;
use crate::broker::Offers;
use crate::broker::Role;
use crate::broker::WeakBroker;
use crate::broker::dialects;
use crate::broker::dialects::Dialect;
use crate::goplugin::handshake;
use crate::goplugin::handshake::Handshake;
use crate::goplugin::handshake::certificate;
use crate::goplugin::handshake::certificate::CertificateError;
use crate::goplugin::handshake::certificate::Identity;
use crate::goplugin::handshake::line::Line;
use crate::goplugin::handshake::line::LineError;
use crate::goplugin::handshake::reattach::Reattach;
use crate::goplugin::session::Core;
use crate::goplugin::session::HEALTH;
use crate::goplugin::session::OUTBOUND;
use crate::goplugin::session::Parts;
use crate::goplugin::session::Session;
use crate::goplugin::session::accepting::counted;
use crate::goplugin::session::accepting::secured;
use crate::goplugin::session::classic::Classic;
use crate::goplugin::session::control;
use crate::goplugin::session::control::Home;
use crate::goplugin::session::multiplexed::Multiplexed;
use crate::goplugin::session::paths::Paths;
use crate::goplugin::stdio::Channel;
use crate::goplugin::stdio::StdioService;
use crate::goplugin::transport::connection;
use crate::goplugin::transport::socket::Io;
use crate::goplugin::transport::socket::Listener;
use crate::goplugin::transport::socket::PrivateFolder;
use crate::goplugin::transport::socket::SocketError;
use crate::goplugin::transport::tls::Tls;
use crate::goplugin::transport::tls::TlsError;
use crate::goplugin::wire::ConnInfo;
use crate::goplugin::wire::Empty;
use crate::goplugin::wire::grpc_broker_server::GrpcBroker;
use crate::goplugin::wire::grpc_broker_server::GrpcBrokerServer;
use crate::goplugin::wire::grpc_controller_server::GrpcController;
use crate::goplugin::wire::grpc_controller_server::GrpcControllerServer;
use crate::goplugin::wire::grpc_stdio_server::GrpcStdioServer;

/// How long the host may take to hang up after it was told that the plugin ends. It does
/// so as soon as it has the answer.
const HANG_UP: Duration = Duration::from_millis(500);

/// How long the rest of the plugin's output may take to reach the host when it ends.
const FLUSH: Duration = Duration::from_millis(500);

/// How long an accept that failed waits, as for a free descriptor, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How many connections hosts may have to the plugin's own server: one each, and the next
/// before the last is given up.
const MOST_HOSTS: usize = 64;

/// go-plugin's own descriptions of its services, for reflection.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/goplugin.bin"));

/// What a host says to a plugin in its environment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    versions: Option<String>,
    multiplex: Option<String>,
    client_certificate: Option<String>,
    socket_folder: Option<PathBuf>,
    socket_group: Option<String>,
    has_services: bool,
}

impl Surroundings {
    /// `get` reads a variable; one that is empty counts as absent, as in go-plugin.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name| get(name).filter(|value| !value.is_empty());
        Self {
            versions: get(handshake::PROTOCOL_VERSIONS),
            multiplex: get(handshake::MULTIPLEX_GRPC),
            client_certificate: get(handshake::CLIENT_CERT),
            socket_folder: get(handshake::UNIX_SOCKET_DIR).map(PathBuf::from),
            socket_group: get(handshake::UNIX_SOCKET_GROUP),
            has_services: get(handshake::SERVICES).is_some(),
        }
    }

    pub(crate) fn offers_versions(&self) -> bool {
        self.versions.is_some()
    }

    /// The version that the plugin and its host speak with each other.
    pub(crate) fn version(&self, handshake: &Handshake) -> u32 {
        let choice = handshake::choose_version(&handshake.versions(), self.versions.as_deref());
        for version in &choice.unreadable {
            tracing::warn!(version, "the host offers a version that is no number");
        }
        choice.version
    }

    fn multiplexes(&self) -> bool {
        let wanted = self.multiplex.as_deref();
        wanted.is_some_and(|value| matches!(value, "1" | "t" | "T" | "TRUE" | "true" | "True"))
    }
}

/// Why a plugin cannot listen for its host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The host has given a certificate that is none, or none can be made for this side.
    #[error("no certificate for TLS with the host")]
    Certificate(#[source] CertificateError),
    /// There can be no TLS with the host's certificate.
    #[error("no TLS with the host's certificate")]
    Tls(#[source] TlsError),
    /// There is no socket to listen on.
    #[error("no socket for the host to connect to")]
    Socket(#[source] SocketError),
    /// The address cannot be told to the host.
    #[error("the socket's address cannot be told to the host")]
    Line(#[source] LineError),
    /// What the author gave for reflection is no set of descriptors.
    #[error("the descriptors for reflection cannot be read")]
    Descriptors(#[source] tonic_reflection::server::Error),
}

/// The output of a plugin, for its host.
pub(crate) struct Stdio {
    /// What it writes to standard output and error.
    pub(crate) output: BoxStream<'static, (Channel, Bytes)>,
    /// Waits until what was written so far has been taken out of `output`.
    pub(crate) flush: Flush,
}

/// Makes a future that waits for the output.
pub(crate) type Flush = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A plugin that listens, and does not serve yet.
pub(crate) struct Listening {
    core: Arc<Core>,
    session: Arc<Session>,
    listener: Listener,
    messages: mpsc::Receiver<ConnInfo>,
    line: String,
    version: u32,
    descriptors: Vec<Vec<u8>>,
    /// Removed when the plugin ends.
    folder: Option<PrivateFolder>,
}

impl Listening {
    /// Listens as the host's environment asks for.
    pub(crate) fn start(
        says: &Surroundings,
        version: u32,
        limits: Limits,
        descriptors: Vec<Vec<u8>>,
    ) -> Result<Self, ListenError> {
        let (tls, certificate) = match &says.client_certificate {
            Some(pem) => {
                let theirs = certificate::parse_pem(pem).map_err(ListenError::Certificate)?;
                let ours = Identity::generate().map_err(ListenError::Certificate)?;
                let tls = Tls::new(&ours, theirs).map_err(ListenError::Tls)?;
                (Some(tls), Some(ours.der().to_vec()))
            }
            None => (None, None),
        };
        let group = says.socket_group.as_deref();
        let (folder, path) = match &says.socket_folder {
            Some(path) => (None, path.clone()),
            None => {
                let folder = PrivateFolder::new(group).map_err(ListenError::Socket)?;
                let path = folder.path().to_owned();
                (Some(folder), path)
            }
        };
        let listener = Listener::bind(&path, group).map_err(ListenError::Socket)?;
        let multiplexed = says.multiplexes();
        let line = Line {
            version,
            address: listener.address().clone(),
            certificate,
            multiplexed: says.multiplex.as_ref().map(|_| multiplexed),
        };
        let line = line.to_string();
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let paths = if multiplexed {
            Paths::Multiplexed(Multiplexed::new(Role::Plugin, outbound.clone()))
        } else {
            Paths::Classic(Classic::new(path, says.socket_group.clone()))
        };
        let core = Core::new(Parts {
            role: Role::Plugin,
            limits,
            tls,
            paths,
            peer_has_services: says.has_services,
            outbound,
        });
        let session = Arc::new(Session { core: core.clone() });
        Ok(Self { core, session, listener, messages, line, version, descriptors, folder })
    }

    /// The line that tells the host where to connect, with its end.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    /// What another host needs to find this plugin.
    pub(crate) fn reattach(&self) -> Option<Reattach> {
        let address = self.listener.address().clone();
        Reattach::at(self.version, address, std::process::id()).ok()
    }

    /// Serves. The second says how many connections hosts have to the plugin.
    pub(crate) async fn serve(
        self,
        offers: Offers,
        stdio: Option<Stdio>,
        weak: &WeakBroker,
    ) -> Result<(Broker, watch::Receiver<usize>), ListenError> {
        let Self { core, session, listener, messages, descriptors, folder, .. } = self;
        let end: Arc<dyn Dialect> = session;
        weak.set(&end);
        let (hosts, hosts_seen) = watch::channel(0);
        let internal = Internal { core: core.clone(), home: Home::new(messages), stdio };
        let internal = internal.offers(&descriptors, hosts_seen.clone()).await?;
        let server = Arc::new(Server { core: core.clone(), internal, offers, hosts });
        if let Paths::Multiplexed(multiplexed) = &core.paths {
            // The session must not keep what keeps the session.
            let server = Arc::downgrade(&server);
            multiplexed.on_main(move |io| {
                if let Some(server) = server.upgrade() {
                    server.connected(io);
                }
            });
        }
        let speaking = core.clone();
        core.spawn(async move { speaking.paths.speak(&speaking).await });
        core.spawn(accept(core.clone(), server, listener));
        tokio::spawn(close(core, folder));
        Ok((Broker::of(end), hosts_seen))
    }
}

/// Lets hosts connect. Only one, if connections are multiplexed: the session is theirs.
async fn accept(core: Arc<Core>, server: Arc<Server>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok(io) => match &core.paths {
                Paths::Classic(_) => server.connected(io),
                Paths::Multiplexed(multiplexed) => {
                    drop(listener);
                    multiplexed.start(&core, io);
                    multiplexed.closed().await;
                    // Nobody can come back. If the plugin was told to end, that is why.
                    let in_order = core.life.is_going_away();
                    let reason =
                        if in_order { EndReason::PeerClosed } else { EndReason::Lost(None) };
                    core.life.end(reason);
                    return;
                }
            },
            Err(error) => {
                tracing::warn!(%error, "a connection of the host cannot be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Tidies up when the session has ended.
async fn close(core: Arc<Core>, folder: Option<PrivateFolder>) {
    core.life.ended().await;
    core.clear();
    core.paths.close();
    core.life.cut_off();
    core.tasks().gone().await;
    drop(folder);
    core.life.close();
}

/// The plugin's own server.
struct Server {
    core: Arc<Core>,
    /// go-plugin's services.
    internal: Offers,
    /// The plugin's.
    offers: Offers,
    hosts: watch::Sender<usize>,
}

impl Server {
    /// Serves a connection of a host.
    fn connected(self: &Arc<Self>, io: Io) {
        if *self.hosts.borrow() >= MOST_HOSTS {
            tracing::warn!("closed a connection of the host, which has too many");
            return;
        }
        let host = Host::new(self.clone());
        self.core.spawn(async move {
            let server = &host.0;
            let io = match secured(&server.core, io).await {
                Ok(io) => io,
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, "refused a connection that is not the host's");
                    return;
                }
            };
            let handle = {
                let server = server.clone();
                move |request| answer(server.clone(), request)
            };
            if let Err(error) =
                connection::serve(io, &server.core.limits, server.core.tasks().clone(), handle)
                    .await
            {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(error, "a connection of the host has ended");
            }
        });
    }
}

async fn answer(server: Arc<Server>, request: HttpRequest<TonicBody>) -> HttpResponse<TonicBody> {
    let session = server.core.life.id();
    let path = request.uri().path();
    let name = path.split('/').nth(1).unwrap_or_default();
    if server.internal.contains(name) {
        // These last as long as the session, and are not what it waits for.
        return dialects::serve_offered(&server.internal, session, request).await;
    }
    match server.core.life.begin_theirs() {
        Ok(running) => {
            counted(dialects::serve_offered(&server.offers, session, request).await, running)
        }
        Err(error) => error.to_status().into_http(),
    }
}

/// A connection of a host. Dropping it says that it has ended.
struct Host(Arc<Server>);

impl Host {
    fn new(server: Arc<Server>) -> Self {
        server.hosts.send_modify(|hosts| *hosts += 1);
        Self(server)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.0.hosts.send_modify(|hosts| *hosts -= 1);
    }
}

/// What go-plugin's services are made of.
struct Internal {
    core: Arc<Core>,
    home: Home,
    stdio: Option<Stdio>,
}

impl Internal {
    async fn offers(
        self,
        descriptors: &[Vec<u8>],
        hosts: watch::Receiver<usize>,
    ) -> Result<Offers, ListenError> {
        let Self { core, home, stdio } = self;
        let (output, flush) = match stdio {
            Some(Stdio { output, flush }) => (Some(output), Some(flush)),
            None => (None, None),
        };
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_service_status(HEALTH, ServingStatus::Serving).await;
        let mut offers = Offers::new()
            .service(health)
            .service(GrpcBrokerServer::new(BrokerService { core: core.clone(), home }))
            .service(GrpcControllerServer::new(Controller { core, hosts, flush }));
        if let Some(output) = output {
            offers = offers.service(GrpcStdioServer::new(StdioService::new(output)));
        }
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
            descriptors
                .iter()
                .fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
        };
        let v1 = reflection().build_v1().map_err(ListenError::Descriptors)?;
        let v1alpha = reflection().build_v1alpha().map_err(ListenError::Descriptors)?;
        Ok(offers.service(v1).service(v1alpha))
    }
}

/// `GRPCBroker`: one host at a time talks to the broker.
struct BrokerService {
    core: Arc<Core>,
    home: Home,
}

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = BoxStream<'static, Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let outbound = self.home.take().await;
        let core = self.core.clone();
        // What a host before this one has announced went with it; and the numbers are used
        // again.
        core.paths.forget(&core);
        let incoming = request.into_inner();
        core.clone().spawn(async move { control::listen(&core, incoming).await });
        Ok(Response::new(outbound.map(Ok).boxed()))
    }
}

/// `GRPCController`: the host ends the plugin.
struct Controller {
    core: Arc<Core>,
    hosts: watch::Receiver<usize>,
    flush: Option<Flush>,
}

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        if let Some(flush) = &self.flush {
            // If it passes, the host does not read.
            let _ = tokio::time::timeout(FLUSH, flush()).await;
        }
        self.core.life.go_away();
        let (core, mut hosts) = (self.core.clone(), self.hosts.clone());
        // Beside the answer, which is to arrive.
        self.core.spawn(async move {
            let _ = tokio::time::timeout(HANG_UP, hosts.wait_for(|hosts| *hosts == 0)).await;
            core.life.end(EndReason::PeerClosed);
        });
        Ok(Response::new(Empty {}))
    }
}
