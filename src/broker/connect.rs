//! Making a trunk on a connection, from either end.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::Weak;
use std::task::Context;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::runtime::Handle;
use tokio::runtime::RuntimeFlavor;
use tracing::Instrument;
use uuid::Uuid;

use super::body::StreamHold;
use super::bytes::ByteStream;
use super::dialect::Dialect;
use super::handle::Broker;
use super::handle::WeakBroker;
use super::offers::Offers;
use super::protocol::ChannelKey;
use super::protocol::Code;
use super::protocol::Config;
use super::protocol::EndReason;
use super::protocol::Hello;
use super::protocol::Kind;
use super::protocol::Limits;
use super::protocol::LimitsError;
use super::protocol::RequestHead;
use super::protocol::Role;
use super::protocol::StreamKey;
use super::protocol::Target;
use super::protocol::VERSION;
use super::registry::Taker;
use super::serving;
use super::transport::Acceptor;
use super::transport::Carrier;
use super::transport::CarrierError;
use super::transport::Link;
use super::transport::Phase;
use super::transport::drive;
use super::transport::now;
use super::trunk::Trunk;

pub(crate) use super::transport::LastWords;

/// How long a peer may take for its hello. Default 10 s: it needs microseconds,
/// but a machine may be busy.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// What the names in a hello may come to, in bytes: every peer takes messages of 128
/// KiB, and the rest of the hello needs a few hundred.
const LONGEST_HELLO: usize = 127 * 1024;

/// What a name in a hello takes beside its bytes, at most.
const NAME_OVERHEAD: usize = 6;

/// Makes one end of a trunk.
///
/// ```
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use trunkline::{Broker, Role};
///
/// // Two ends in one process, as tests want them.
/// let (a, b) = tokio::io::duplex(64 * 1024);
/// let (host, plugin) = tokio::try_join!(
///     Broker::builder(Role::Host).name("app", "1.0").dial(a),
///     Broker::builder(Role::Plugin).name("plugin", "1.0").accept(b),
/// )?;
/// assert_eq!(host.peer().name, "plugin");
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until `dial` or `accept`"]
pub struct Builder {
    role: Role,
    name: String,
    version: String,
    run: Option<Uuid>,
    limits: Limits,
    offers: Offers,
    hello_timeout: Duration,
    keep_alive: Option<(Duration, Duration)>,
    application_version: Option<u32>,
    last_words: Option<LastWords>,
    on_connected: Option<OnConnected>,
    span: tracing::Span,
    weak: WeakBroker,
}

/// What is to be done as soon as there is a trunk, in the task that drives it: before the
/// first call of the peer is served.
type OnConnected = Box<dyn FnOnce(Broker, &mut Context<'_>) + Send>;

/// Why there is no trunk.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A limit is out of range: the caller's mistake.
    #[error("the limits of the broker are not usable")]
    Limits(#[source] LimitsError),
    /// The names of what is offered, of the application and of its version are too
    /// long together for a hello: the caller's mistake.
    #[error("the hello is {length} bytes long; it may be {longest}: offer fewer services by name")]
    HelloTooLong {
        /// Bytes of all names.
        length: usize,
        /// Bytes that they may have.
        longest: usize,
    },
    /// The connection could not carry a trunk.
    #[error("the connection cannot carry a trunk")]
    Carrier(#[source] CarrierError),
    /// The trunk ended before both hellos were there.
    #[error("the trunk ended before it was up")]
    Ended(#[source] EndReason),
    /// The peer did not answer in time.
    #[error("the peer sent no hello within {0:?}")]
    Timeout(Duration),
}

impl Broker {
    /// Starts to make one end of a trunk.
    pub fn builder(role: Role) -> Builder {
        Builder {
            role,
            name: String::new(),
            version: String::new(),
            run: None,
            limits: Limits::default(),
            offers: Offers::default(),
            hello_timeout: HELLO_TIMEOUT,
            keep_alive: None,
            application_version: None,
            last_words: None,
            on_connected: None,
            span: tracing::Span::none(),
            weak: WeakBroker::default(),
        }
    }
}

impl Builder {
    /// The name and version of the application or plugin, for people and logs.
    pub fn name(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.name = name.into();
        self.version = version.into();
        self
    }

    /// The identity of the plugin run. If both ends name one they must be equal.
    pub fn run(mut self, run: Uuid) -> Self {
        self.run = Some(run);
        self
    }

    /// The version of the application's own protocol that this side has chosen of those
    /// that it was offered. Not to be confused with the trunk's.
    pub fn application_version(mut self, version: u32) -> Self {
        self.application_version = Some(version);
        self
    }

    /// What the peer may occupy here. Default [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What the peer may open by name. Default nothing.
    pub fn offers(mut self, offers: Offers) -> Self {
        self.offers = offers;
        self
    }

    /// A handle of the broker that is going to be, for services that call back on
    /// the trunk that they are served on.
    pub fn weak(&self) -> WeakBroker {
        self.weak.clone()
    }

    /// How long the connection and the peer's hello may take together. Default 10 s.
    pub fn hello_timeout(mut self, timeout: Duration) -> Self {
        self.hello_timeout = timeout;
        self
    }

    /// After how long a silence the peer is asked for a sign of life, and how long
    /// it may take before the trunk ends. Default never: on one machine the end of
    /// the peer shows at once, and a stopped process may be meant to go on.
    pub fn keep_alive(mut self, interval: Duration, patience: Duration) -> Self {
        self.keep_alive = Some((interval, patience));
        self
    }

    /// What is known of the peer when its connection is lost.
    #[cfg_attr(not(feature = "host"), expect(dead_code, reason = "only hosts know more"))]
    pub(crate) fn last_words(mut self, last_words: LastWords) -> Self {
        self.last_words = Some(last_words);
        self
    }

    /// Does something before the first call of the peer is served. It runs where the
    /// trunk is driven, so it must not take long; calls may be begun.
    #[cfg_attr(not(feature = "plugin"), expect(dead_code, reason = "only plugins are so early"))]
    pub(crate) fn on_connected(
        mut self,
        hook: impl FnOnce(Broker, &mut Context<'_>) + Send + 'static,
    ) -> Self {
        self.on_connected = Some(Box::new(hook));
        self
    }

    /// The span that the trunk's own events and the peer's calls are in.
    pub fn span(mut self, span: tracing::Span) -> Self {
        self.span = span;
        self
    }

    /// Makes the trunk on a connection as the side that makes the gRPC call. The
    /// other side must [`accept`](Builder::accept).
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub async fn dial(
        self,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Broker, ConnectError> {
        self.start(Carrier::dial(Box::new(io))).await
    }

    /// Makes the trunk on a connection as the side that serves the gRPC call.
    ///
    /// # Errors
    ///
    /// See [`ConnectError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub async fn accept(
        self,
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Broker, ConnectError> {
        self.start(Carrier::accept(Box::new(io))).await
    }

    async fn start(
        self,
        carrier: impl Future<Output = Result<Carrier, CarrierError>>,
    ) -> Result<Broker, ConnectError> {
        self.limits.check().map_err(ConnectError::Limits)?;
        self.check_hello()?;
        let begun = now();
        let carrier = tokio::time::timeout(self.hello_timeout, carrier).await;
        let carrier = carrier.map_err(|_| ConnectError::Timeout(self.hello_timeout))?;
        let carrier = carrier.map_err(ConnectError::Carrier)?;
        let config = Config {
            hello: self.hello(),
            limits: self.limits.clone(),
            hello_timeout: self.hello_timeout.saturating_sub(now().duration_since(begun)),
            keep_alive: self.keep_alive,
        };
        let link = Link::new(config);
        let mut phase = link.phase();
        let trunk = Arc::new(Trunk::new(link.clone()));
        let end: Arc<dyn Dialect> = trunk.clone();
        self.weak.set(&end);
        let services = Services {
            trunk: Arc::downgrade(&trunk),
            link: link.clone(),
            offers: self.offers,
            on_connected: self.on_connected,
            in_place: runtime_has_one_thread(),
        };
        let driver = drive(link.clone(), carrier, self.limits, services, self.last_words);
        tokio::spawn(driver.instrument(self.span));
        // The sender lives in the link, which is here.
        let _ = phase.wait_for(|phase| !matches!(phase, Phase::Connecting)).await;
        match link.peer() {
            Some(_) => Ok(Broker { end }),
            None => Err(match link.end_reason() {
                EndReason::HelloTimeout => ConnectError::Timeout(self.hello_timeout),
                reason => ConnectError::Ended(reason),
            }),
        }
    }

    fn check_hello(&self) -> Result<(), ConnectError> {
        let names = self.offers.names().map(|name| name.len() + NAME_OVERHEAD);
        let length = names.sum::<usize>() + self.name.len() + self.version.len();
        let longest = LONGEST_HELLO;
        if length > longest { Err(ConnectError::HelloTooLong { length, longest }) } else { Ok(()) }
    }

    fn hello(&self) -> Hello {
        Hello {
            versions: (VERSION, VERSION),
            features: Vec::new(),
            role: self.role,
            limits: self.limits.announced(),
            run: self.run.map(Uuid::into_bytes),
            name: self.name.clone(),
            version: self.version.clone(),
            application_version: self.application_version,
            services: self.offers.names().map(str::to_owned).collect(),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Builder");
        debug.field("role", &self.role).field("name", &self.name).field("offers", &self.offers);
        debug.finish_non_exhaustive()
    }
}

/// What one end serves: decides about everything that the peer opens.
struct Services {
    trunk: Weak<Trunk>,
    link: Link,
    offers: Offers,
    on_connected: Option<OnConnected>,
    /// Whether handlers are polled in the driver's task first: where there is only one
    /// thread, they cannot hold the trunk up more than in a task of their own.
    in_place: bool,
}

fn runtime_has_one_thread() -> bool {
    Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread
}

impl Services {
    fn find(&self, trunk: &Trunk, target: &Target) -> Result<(Taker, Option<u32>), Code> {
        match target {
            Target::Registered(id) => trunk.registry.find(*id).map(|(it, id)| (it, Some(id))),
            Target::Service(name) => match self.offers.find(name) {
                Some(taker) => Ok((taker.clone(), None)),
                None if self.offers.withholds(name) => Err(Code::Denied),
                None => Err(Code::Unknown),
            },
        }
    }
}

impl Acceptor for Services {
    fn connected(&mut self, cx: &mut Context<'_>) {
        if let (Some(hook), Some(trunk)) = (self.on_connected.take(), self.trunk.upgrade()) {
            hook(Broker { end: trunk }, cx);
        }
    }

    fn opened(
        &mut self,
        channel: ChannelKey,
        target: Target,
        kind: Kind,
        stream: Option<StreamKey>,
    ) -> Result<(), Code> {
        let trunk = self.trunk.upgrade().ok_or(Code::GoingAway)?;
        let found = self.find(&trunk, &target);
        if let Err(code) = &found {
            tracing::debug!(?target, ?code, "refused a sub-channel");
        }
        match (found?, kind, stream) {
            ((Taker::Calls(handler), id), Kind::Calls, _) => {
                trunk.registry.serve(channel, handler, id)
            }
            ((Taker::Bytes(backlog), _), Kind::Bytes, Some(key)) => {
                let place = backlog.place()?;
                let link = self.link.clone();
                let hold = StreamHold { link, key, on_drop: Some(Code::Cancelled) };
                place.send(ByteStream::new(trunk, hold));
                Ok(())
            }
            _ => Err(Code::Unknown),
        }
    }

    fn called(
        &mut self,
        cx: &mut Context<'_>,
        stream: StreamKey,
        channel: ChannelKey,
        head: RequestHead,
    ) {
        let handler = self.trunk.upgrade().and_then(|trunk| trunk.registry.handler(channel));
        match handler {
            Some(handler) => {
                serving::serve(cx, &self.link, stream, head, &handler, self.in_place);
            }
            // The sub-channel was refused or closed meanwhile, and the call with it.
            None => self.link.release(stream, Code::Closed),
        }
    }

    fn closed(&mut self, channel: ChannelKey) {
        if let Some(trunk) = self.trunk.upgrade() {
            trunk.registry.forget(channel);
        }
    }

    fn ended(&mut self) {
        if let Some(trunk) = self.trunk.upgrade() {
            trunk.registry.clear();
        }
        self.offers = Offers::default();
    }
}

/// With the driver, whatever ends it, goes all that it served.
impl Drop for Services {
    fn drop(&mut self) {
        self.ended();
    }
}
