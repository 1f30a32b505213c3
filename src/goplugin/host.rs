//! The host's role: connects to a plugin that has said where it listens.

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use futures::future::BoxFuture;
use http::Request;
use http::Response;
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tonic::body::Body as TonicBody;
use tower_service::Service;

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
use crate::goplugin::address::Address;
use crate::goplugin::certificate::Identity;
use crate::goplugin::classic::Classic;
use crate::goplugin::connection;
use crate::goplugin::connection::Http;
use crate::goplugin::control;
use crate::goplugin::control::Home;
use crate::goplugin::line::Line;
use crate::goplugin::multiplexed::Multiplexed;
use crate::goplugin::paths::Paths;
use crate::goplugin::session::Core;
use crate::goplugin::session::HOST_SERVICES;
use crate::goplugin::session::OUTBOUND;
use crate::goplugin::session::Parts;
use crate::goplugin::session::Session;
use crate::goplugin::session::check_health;
use crate::goplugin::socket;
use crate::goplugin::socket::Io;
use crate::goplugin::stdio;
use crate::goplugin::stdio::Channel;
use crate::goplugin::tls::Tls;
use crate::goplugin::tls::TlsError;
use crate::goplugin::wire::Empty;
use crate::goplugin::wire::grpc_broker_client::GrpcBrokerClient;
use crate::goplugin::wire::grpc_controller_client::GrpcControllerClient;
use crate::goplugin::wire::grpc_stdio_client::GrpcStdioClient;

/// How long a plugin may take to answer that it will end. It may as well end at once,
/// and then it answers nothing.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What a host takes of the output of a plugin.
pub(crate) type Output = Box<dyn FnMut(Channel, &[u8]) + Send>;

/// All that it takes to reach a plugin.
pub(crate) struct Connect {
    pub(crate) line: Line,
    /// Whose certificate the plugin was given, if it was asked for TLS.
    pub(crate) identity: Option<Identity>,
    /// Whether the plugin was asked to multiplex. It need not.
    pub(crate) multiplex: bool,
    /// Where the sockets of this side go.
    pub(crate) folder: PathBuf,
    pub(crate) group: Option<String>,
    pub(crate) offers: Offers,
    pub(crate) limits: Limits,
    pub(crate) last_words: Option<LastWords>,
    pub(crate) output: Output,
    /// Whether the plugin is told to end when the session does.
    pub(crate) shuts_down: bool,
}

/// How the connection to a plugin came out.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) broker: Broker,
    pub(crate) multiplexed: bool,
    pub(crate) tls: bool,
}

/// Why a plugin cannot be reached that has said where it listens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
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
    pub(crate) async fn connect(self, weak: &WeakBroker) -> Result<Connected, ConnectError> {
        let tls = self.tls()?;
        let address = &self.line.address;
        let not_there = |source| ConnectError::NotThere { address: address.to_string(), source };
        let io = socket::connect(address).await.map_err(not_there)?;
        let multiplexed = self.multiplex && self.line.multiplexed == Some(true);
        let (outbound, messages) = mpsc::channel(OUTBOUND);
        let paths = if multiplexed {
            Paths::Multiplexed(Multiplexed::new(Role::Host, outbound.clone()))
        } else {
            Paths::Classic(Classic::new(self.folder, self.group))
        };
        let core = Core::new(Parts {
            role: Role::Host,
            limits: self.limits,
            tls,
            paths,
            peer_has_services: false,
            outbound,
        });
        // From here on, dropping it ends whatever has begun.
        let session = Arc::new(Session { core: core.clone() });
        let io = match &core.paths {
            Paths::Multiplexed(multiplexed) => {
                multiplexed.start(&core, io);
                // Nobody reaches it any more, nor need they.
                unlink(address);
                multiplexed.open().await.map_err(ConnectError::Multiplexing)?
            }
            Paths::Classic(_) => io,
        };
        let io: Io = match &core.tls {
            Some(tls) => Box::new(tls.connect(io).await.map_err(ConnectError::Tls)?),
            None => io,
        };
        let is_tls = core.tls.is_some();
        let http = connection::begin(io).await;
        let (http, driver) = http.map_err(|error| ConnectError::Http(error.into()))?;
        // It is empty until now.
        let _ = core.main.set(http.clone());
        let last_words = self.last_words;
        tokio::spawn(tracing::Instrument::in_current_span(live(
            core.clone(),
            http.clone(),
            Box::pin(driver),
            last_words,
            self.shuts_down,
        )));
        let end: Arc<dyn Dialect> = session;
        weak.set(&end);
        let broker = Broker::of(end);
        core.register(Offered { offers: Arc::new(self.offers) }.erase(), Some(HOST_SERVICES));
        core.paths.hand_out(&core, HOST_SERVICES);
        let home = Home::new(messages);
        core.spawn(talk(core.clone(), http.clone(), home));
        core.spawn(read_output(http.clone(), self.output));
        check_health(http).await.map_err(ConnectError::NotServing)?;
        Ok(Connected { broker, multiplexed, tls: is_tls })
    }

    fn tls(&self) -> Result<Option<Tls>, ConnectError> {
        match (&self.identity, &self.line.certificate) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ConnectError::UnwantedCertificate),
            (Some(_), None) => Err(ConnectError::NoCertificate),
            (Some(ours), Some(theirs)) => {
                let theirs = CertificateDer::from(theirs.clone());
                Tls::new(ours, theirs).map(Some).map_err(ConnectError::Tls)
            }
        }
    }
}

/// Removes the socket of a plugin that never removes it itself: Go's, if it multiplexes.
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
    core.paths.close();
    core.life.close();
}

/// Talks to the plugin's broker. A plugin without one is fine, if it brokers nothing.
async fn talk(core: Arc<Core>, http: Http, home: Home) {
    let Some(outbound) = home.take() else { return };
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
        Box::pin(async move { Ok(dialects::serve_offered(&offers, request).await) })
    }
}
