//! The host's role: connects to a plugin that has said where it listens.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use http::Response;
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tonic::body::Body as TonicBody;
use tower_service::Service;
use tracing::Instrument;

use crate::broker::Broker;
use crate::broker::EndReason;
use crate::broker::Limits;
use crate::broker::Offers;
use crate::broker::Role;
use crate::broker::Servable;
use crate::broker::WeakBroker;
use crate::broker::dialects;
use crate::broker::dialects::Dialect;
use crate::broker::dialects::LastWords;
use crate::error::Error;
use crate::goplugin::handshake;
use crate::goplugin::handshake::Handshake;
use crate::goplugin::handshake::address::Address;
use crate::goplugin::handshake::certificate::CertificateError;
use crate::goplugin::handshake::certificate::Identity;
use crate::goplugin::handshake::line::Line;
use crate::goplugin::handshake::line::LineError;
use crate::goplugin::handshake::reattach::Reattach;
use crate::goplugin::session::Core;
use crate::goplugin::session::HOST_SERVICES;
use crate::goplugin::session::OUTBOUND;
use crate::goplugin::session::Parts;
use crate::goplugin::session::Session;
use crate::goplugin::session::check_health;
use crate::goplugin::session::classic::Classic;
use crate::goplugin::session::control;
use crate::goplugin::session::control::Home;
use crate::goplugin::session::multiplexed::Multiplexed;
use crate::goplugin::session::paths::Paths;
use crate::goplugin::stdio;
use crate::goplugin::stdio::Channel;
use crate::goplugin::transport::connection;
use crate::goplugin::transport::connection::Http;
use crate::goplugin::transport::socket;
use crate::goplugin::transport::socket::Io;
use crate::goplugin::transport::socket::PrivateFolder;
use crate::goplugin::transport::socket::SocketError;
use crate::goplugin::transport::tls::Tls;
use crate::goplugin::transport::tls::TlsError;
use crate::goplugin::wire::Empty;
use crate::goplugin::wire::grpc_broker_client::GrpcBrokerClient;
use crate::goplugin::wire::grpc_controller_client::GrpcControllerClient;
use crate::goplugin::wire::grpc_stdio_client::GrpcStdioClient;

/// The ports that a plugin without Unix sockets may listen on, as in go-plugin.
const PORTS: (u16, u16) = (10_000, 25_000);

/// How long a plugin may take to answer that it will end. It may as well end at once,
/// and then it answers nothing.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What a host takes of the output of a plugin.
pub(crate) type Output = Box<dyn FnMut(Channel, &[u8]) + Send>;

/// What a host tells a plugin before it starts, and keeps for when it answers.
#[derive(Debug)]
pub(crate) struct Invitation {
    handshake: Handshake,
    /// Of this side, if there is to be TLS.
    identity: Option<Identity>,
    multiplex: bool,
    group: Option<String>,
    folder: PrivateFolder,
}

/// What a session is to be.
pub(crate) struct Plan {
    /// What the plugin may reach by name.
    pub(crate) offers: Offers,
    pub(crate) limits: Limits,
    /// After how long the plugin is asked for its health, and how long it may take.
    pub(crate) keep_alive: Option<(Duration, Duration)>,
    pub(crate) last_words: Option<LastWords>,
    pub(crate) output: Output,
    /// Given the broker before the plugin can call.
    pub(crate) weak: WeakBroker,
}

/// How the connection to a plugin came out.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) broker: Broker,
    pub(crate) version: u32,
    pub(crate) multiplexed: bool,
    pub(crate) tls: bool,
    /// What another host needs to reach it; not if it is multiplexed or has TLS.
    pub(crate) reattach: Option<Reattach>,
    pub(crate) sockets: Sockets,
}

/// Sockets that a plugin may leave behind. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Sockets {
    _folder: PrivateFolder,
    /// The plugin's own: those of old versions are not in the folder.
    own: Option<Address>,
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if let Some(address) = &self.own {
            unlink(address);
        }
    }
}

impl Invitation {
    pub(crate) fn new(
        handshake: Handshake,
        auto_mtls: bool,
        multiplex: bool,
        group: Option<String>,
    ) -> Result<Self, ConnectError> {
        let identity = match auto_mtls {
            true => Some(Identity::generate().map_err(ConnectError::Certificate)?),
            false => None,
        };
        let folder = PrivateFolder::new(group.as_deref()).map_err(ConnectError::Socket)?;
        Ok(Self { handshake, identity, multiplex, group, folder })
    }

    /// What stands in the plugin's environment.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let Self { handshake, identity, multiplex, group, folder } = self;
        let folder = folder.path().display().to_string();
        let mut variables = vec![
            (handshake.cookie_key(), handshake.cookie_value().to_owned()),
            (handshake::MIN_PORT, PORTS.0.to_string()),
            (handshake::MAX_PORT, PORTS.1.to_string()),
            (handshake::PROTOCOL_VERSIONS, handshake.announced_versions()),
            (handshake::UNIX_SOCKET_DIR, folder),
            (handshake::SERVICES, "1".to_owned()),
        ];
        if *multiplex {
            variables.push((handshake::MULTIPLEX_GRPC, "true".to_owned()));
        }
        if let Some(identity) = identity {
            variables.push((handshake::CLIENT_CERT, identity.pem().to_owned()));
        }
        if let Some(group) = group {
            variables.push((handshake::UNIX_SOCKET_GROUP, group.clone()));
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Connects to the plugin that has answered with this line, as process `pid`. The
    /// caller sets a limit of time.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub(crate) async fn connect(
        self,
        line: Line,
        pid: u32,
        plan: Plan,
    ) -> Result<Connected, ConnectError> {
        line.expect_version(&self.handshake.versions()).map_err(ConnectError::Line)?;
        let tls = match (&self.identity, line.certificate) {
            (None, None) => None,
            (None, Some(_)) => return Err(ConnectError::UnwantedCertificate),
            (Some(_), None) => return Err(ConnectError::NoCertificate),
            (Some(ours), Some(theirs)) => {
                Some(Tls::new(ours, CertificateDer::from(theirs)).map_err(ConnectError::Tls)?)
            }
        };
        let multiplexed = self.multiplex && line.multiplexed == Some(true);
        let reattach = match (multiplexed, &tls) {
            (false, None) => Reattach::at(line.version, line.address.clone(), pid).ok(),
            _ => None,
        };
        let is_tls = tls.is_some();
        let connect = Connect {
            address: line.address,
            pid,
            tls,
            multiplexed,
            folder: self.folder.path().to_owned(),
            group: self.group,
            shuts_down: true,
            plan,
        };
        let (broker, own) = connect.connect().await?;
        let sockets = Sockets { _folder: self.folder, own };
        let version = line.version;
        Ok(Connected { broker, version, multiplexed, tls: is_tls, reattach, sockets })
    }
}

/// Connects to a plugin that runs already. The caller sets a limit of time.
///
/// # Cancel safety
///
/// Dropping it closes the connection.
pub(crate) async fn reattach(plugin: &Reattach, plan: Plan) -> Result<Connected, ConnectError> {
    let folder = PrivateFolder::new(None).map_err(ConnectError::Socket)?;
    let connect = Connect {
        address: plugin.socket().clone(),
        pid: plugin.pid(),
        tls: None,
        multiplexed: false,
        folder: folder.path().to_owned(),
        group: None,
        shuts_down: !plugin.is_test(),
        plan,
    };
    let (broker, own) = connect.connect().await?;
    // One in test mode goes on, and is to be found.
    let sockets = Sockets { _folder: folder, own: own.filter(|_| !plugin.is_test()) };
    let version = plugin.protocol_version();
    let reattach = Some(plugin.clone());
    Ok(Connected { broker, version, multiplexed: false, tls: false, reattach, sockets })
}

/// All that it takes to reach a plugin.
struct Connect {
    address: Address,
    /// The plugin's process.
    pid: u32,
    tls: Option<Tls>,
    multiplexed: bool,
    /// Where the sockets of this side go.
    folder: PathBuf,
    group: Option<String>,
    /// Whether the plugin is told to end when the session does.
    shuts_down: bool,
    plan: Plan,
}

/// Why a plugin that was built on go-plugin cannot be connected to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No certificate could be made for this side.
    #[error("no certificate for TLS with the plugin")]
    Certificate(#[source] CertificateError),
    /// There is no place for sockets.
    #[error("no place for sockets")]
    Socket(#[source] SocketError),
    /// The line with which the plugin says where it listens is not one that this host can
    /// use.
    #[error("the plugin does not say where it listens in a way that this host understands")]
    Line(#[source] LineError),
    /// The host wants TLS; the plugin has answered without a certificate.
    #[error(
        "the plugin was asked for TLS and has answered without a certificate: it has TLS of its \
         own, or none; ask for none if its sockets are safe without"
    )]
    NoCertificate,
    /// The plugin has answered with a certificate, though nobody has asked it for one.
    #[error("the plugin wants TLS, which this host has not asked it for")]
    UnwantedCertificate,
    /// Nobody is where the plugin said that it listens.
    #[error("the plugin is not at {address}, where it said that it listens")]
    NotThere {
        /// The address that it gave.
        address: String,
        /// What the system answered.
        source: io::Error,
    },
    /// The plugin does not speak TLS, or is not who it said it was.
    #[error("no TLS with the plugin")]
    Tls(#[source] TlsError),
    /// The plugin does not speak HTTP/2.
    #[error("the plugin does not speak HTTP/2")]
    Http(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The plugin has said that it multiplexes connections, but it does not.
    #[error("the plugin does not multiplex connections, though it said so")]
    Multiplexing(#[source] io::Error),
    /// The plugin does not answer, or says that it is not well.
    #[error("the plugin does not serve")]
    NotServing(#[source] Error),
}

impl Connect {
    /// Connects, and makes sure that the plugin answers. The caller sets a limit of time.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    async fn connect(self) -> Result<(Broker, Option<Address>), ConnectError> {
        let Plan { offers, limits, keep_alive, last_words, output, weak } = self.plan;
        let address = &self.address;
        let not_there = |source| ConnectError::NotThere { address: address.to_string(), source };
        let (io, listens) = socket::connect_to(address).await.map_err(not_there)?;
        // A plugin that lies must not have the host remove what is another's.
        let own = (listens == Some(self.pid)).then(|| address.clone());
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let paths = if self.multiplexed {
            Paths::Multiplexed(Multiplexed::new(Role::Host, outbound.clone()))
        } else {
            Paths::Classic(Classic::new(self.folder, self.group))
        };
        let core = Core::new(Parts {
            role: Role::Host,
            limits,
            tls: self.tls,
            paths,
            peer_has_services: false,
            outbound,
        });
        // From here on, dropping it ends whatever has begun.
        let session = Arc::new(Session { core: core.clone() });
        let io = match &core.paths {
            Paths::Multiplexed(multiplexed) => {
                multiplexed.start(&core, io);
                // Go's never does it itself, and nobody can connect any more.
                own.iter().for_each(unlink);
                multiplexed.open().await.map_err(ConnectError::Multiplexing)?
            }
            Paths::Classic(_) => io,
        };
        let io: Io = match &core.tls {
            Some(tls) => Box::new(tls.connect(io).await.map_err(ConnectError::Tls)?),
            None => io,
        };
        let http = connection::begin(io, &core.limits, core.tasks().to_the_last()).await;
        let (http, driver) = http.map_err(|error| ConnectError::Http(error.into()))?;
        // It is empty until now.
        let _ = core.main.set(http.clone());
        let end: Arc<dyn Dialect> = session;
        weak.set(&end);
        let broker = Broker::of(end);
        let life = live(core.clone(), http.clone(), driver.boxed(), last_words, self.shuts_down);
        tokio::spawn(life.in_current_span());
        let offered = Offered { offers: Arc::new(offers), session: core.life.id() };
        core.register(offered.erase(), Some(HOST_SERVICES));
        core.paths.hand_out(&core, HOST_SERVICES);
        core.spawn(talk(core.clone(), http.clone(), Home::new(messages)));
        core.spawn(read_output(http.clone(), output));
        check_health(http.clone()).await.map_err(ConnectError::NotServing)?;
        if let Some((interval, patience)) = keep_alive {
            core.spawn(watch_health(core.clone(), http, interval, patience));
        }
        Ok((broker, own))
    }
}

/// Removes a plugin's socket.
fn unlink(address: &Address) {
    if let Address::Unix(path) = address
        && let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(%error, %address, "the socket of a plugin is left behind");
    }
}

/// The life of the plugin's own connection, and with it of the session.
async fn live(
    core: Arc<Core>,
    http: Http,
    mut driver: BoxFuture<'static, Result<(), hyper::Error>>,
    last_words: Option<LastWords>,
    shuts_down: bool,
) {
    tokio::select! {
        biased;
        () = core.life.ended() => {}
        lost = &mut driver => {
            // It holds the calls that it has not sent: they fail when it is dropped, and
            // somebody may wait for one, as who launches the plugin does.
            driver = futures::future::ready(Ok(())).boxed();
            let known = match last_words {
                Some(last_words) => tokio::select! {
                    known = last_words => known,
                    () = core.life.ended() => None,
                },
                None => None,
            };
            let failed = || lost.err().map(|error| Arc::new(error) as _);
            core.life.end(EndReason::Lost(known.or_else(failed)));
        }
    }
    // Callers are told first: nothing below may keep them waiting.
    core.clear();
    if shuts_down {
        let goodbye = async { GrpcControllerClient::new(http).shutdown(Empty {}).await };
        let goodbye = tokio::time::timeout(SHUTDOWN_TIMEOUT, goodbye);
        tokio::select! {
            // It may end without an answer, which is as good.
            _ = goodbye => {}
            _ = &mut driver => {}
        }
    }
    drop(driver);
    core.life.cut_off();
    core.paths.close();
    core.tasks().gone().await;
    core.life.close();
}

/// Talks to the plugin's broker. A plugin without one is fine, if it brokers nothing.
async fn talk(core: Arc<Core>, http: Http, home: Home) {
    let outbound = home.take().await;
    let mut client = GrpcBrokerClient::new(http);
    // A server that was built on Go's gRPC answers the call only with its first message.
    let listening = async {
        match client.start_stream(outbound).await {
            Ok(incoming) => control::listen(&core, incoming.into_inner()).await,
            Err(status) => tracing::debug!(%status, "the plugin has no broker"),
        }
    };
    tokio::select! {
        () = listening => {}
        () = core.paths.speak(&core) => {}
    }
}

/// Ends the session of a plugin that does not answer any more.
async fn watch_health(core: Arc<Core>, http: Http, interval: Duration, patience: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        match tokio::time::timeout(patience, check_health(http.clone())).await {
            Ok(Ok(())) => {}
            // It is alive, and may get well.
            Ok(Err(error)) => tracing::warn!(%error, "the plugin is not well"),
            Err(_) => {
                core.life.end(EndReason::Silent);
                return;
            }
        }
    }
}

async fn read_output(http: Http, mut output: Output) {
    let reading = stdio::read(GrpcStdioClient::new(http), |channel, bytes| output(channel, &bytes));
    if let Err(status) = reading.await {
        tracing::warn!(%status, "the plugin's output cannot be read any more");
    }
}

/// All services that a plugin was granted, on one connection.
#[derive(Clone)]
struct Offered {
    offers: Arc<Offers>,
    session: u64,
}

impl Service<Request<TonicBody>> for Offered {
    type Response = Response<TonicBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<TonicBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<TonicBody>) -> Self::Future {
        let offers = self.offers.clone();
        let session = self.session;
        Box::pin(async move { Ok(dialects::serve_offered(&offers, session, request).await) })
    }
}
