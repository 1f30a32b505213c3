//! Calling a plugin.

mod answer;
mod attempts;
mod connector;
mod half_open;
mod http;
mod request;
mod retry;
mod transport;
mod upload;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ::http::Response;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

pub use self::answer::Download;
pub use self::retry::RetryPolicy;
pub use self::transport::Transport;
pub use self::transport::TransportError;
pub use self::upload::Upload;
use crate::docker::address::Address;
use crate::docker::body::Body;
use crate::docker::client::attempts::Attempts;
use crate::docker::client::attempts::Failure;
use crate::docker::client::connector::Connector;
use crate::docker::client::http::HttpTransport;
use crate::docker::client::request::RequestFactory;
use crate::docker::client::upload::Progress;
use crate::docker::error::CallError;
use crate::docker::tls::TlsError;
use crate::docker::tls::TlsOptions;
use crate::docker::wire::ACTIVATE;
use crate::docker::wire::MAX_MESSAGE;
use crate::docker::wire::Manifest;

/// How long an attempt may take if nothing else is said: 2 minutes, the longer of the two
/// times that Docker gives the drivers of volumes. Its other drivers have none, and a plugin
/// that hangs has hung the daemon with it.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// How long a connection may take to be made if nothing else is said, as in Docker.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many requests may run at once if nothing else is said. Each has a connection, and a
/// process as a rule 1,024 descriptors for all that it does.
const MAX_REQUESTS: usize = 128;

/// Calls one plugin.
///
/// Clones share its connections and are cheap, so another timeout for one call is
/// `client.clone().with_timeout(…)`. It must be used in a tokio runtime, with its timers and
/// its I/O.
///
/// ```no_run
/// use serde::{Deserialize, Serialize};
/// use trunkline::docker::Client;
///
/// #[derive(Serialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Mount<'a> {
///     name: &'a str,
///     #[serde(rename = "ID")]
///     id: &'a str,
/// }
///
/// #[derive(Deserialize)]
/// #[serde(rename_all = "PascalCase")]
/// struct Mounted {
///     mountpoint: String,
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(&"unix:///run/docker/plugins/flocker.sock".parse()?)?;
/// let mount = Mount { name: "data", id: "b87d7442095999a92b65b3d9691e697b" };
/// let mounted: Mounted = client.call("VolumeDriver.Mount", &mount).await?;
/// println!("{}", mounted.mountpoint);
/// # Ok(())
/// # }
/// ```
///
/// A request that had no answer is made again as its [`RetryPolicy`] says. Redirections are
/// not followed: they are a status that is not 200. Proxies that the environment names
/// (`HTTP_PROXY`) are not used, other than in Docker: a plugin's address is what its
/// administrator has written, and a variable that was meant for a package manager must not
/// send its requests, with the secrets of volumes in them, elsewhere. Who needs one gives the
/// client a [`Transport`] of their own.
#[derive(Clone)]
pub struct Client {
    transport: Arc<dyn Transport>,
    requests: RequestFactory,
    timeout: Duration,
    deadline: Option<Duration>,
    retry: RetryPolicy,
    max_answer: usize,
}

impl Client {
    /// A client of the plugin at this address, with the defaults. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Of addresses with TLS: the system's roots cannot be read, or the host cannot have a
    /// certificate.
    pub fn new(address: &Address) -> Result<Self, TlsError> {
        Self::builder(address).build()
    }

    /// A client whose connections are not the default ones.
    pub fn builder(address: &Address) -> ClientBuilder<'_> {
        ClientBuilder {
            address,
            tls: None,
            connect_timeout: CONNECT_TIMEOUT,
            max_requests: MAX_REQUESTS,
        }
    }

    /// A client whose requests are carried by something of the application's own.
    #[must_use]
    pub fn over(transport: impl Transport + 'static) -> Self {
        Self::with(Arc::new(transport), RequestFactory::local())
    }

    fn with(transport: Arc<dyn Transport>, requests: RequestFactory) -> Self {
        Self {
            transport,
            requests,
            timeout: DEFAULT_TIMEOUT,
            deadline: None,
            retry: RetryPolicy::default(),
            max_answer: MAX_MESSAGE,
        }
    }

    /// How long one attempt may take: to connect, to be sent, and to be answered to the last
    /// byte. Default [`DEFAULT_TIMEOUT`].
    ///
    /// A [stream](Self::stream) must only have begun by then. In a
    /// [file](Self::send_file) that is sent, it is the longest time in which the plugin
    /// takes nothing of it, and afterwards the time that it has for its answer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long a call may take with all its attempts. Default none: there is no new attempt
    /// later than the [policy](RetryPolicy::give_up_after) says, and each has its timeout.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// When a request is made again. Default [`RetryPolicy::default`].
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The longest answer that a call takes, in bytes. Default [`MAX_MESSAGE`]. Streams are
    /// not bounded.
    #[must_use]
    pub fn with_max_answer(mut self, bytes: usize) -> Self {
        self.max_answer = bytes;
        self
    }

    /// Calls a method: JSON there, JSON back.
    ///
    /// Arguments that are `null` in JSON, such as `()`, are sent as no body; an answer
    /// without a body is read as `null`. [`Empty`](super::Empty) is sent as `{}` and takes
    /// any answer.
    ///
    /// # Errors
    ///
    /// See [`CallError`]. An answer of status 200 with an `Err` that says something is
    /// [`CallError::Refused`] too, as Docker's drivers understand it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives the call up, also between two attempts. If the request was
    /// sent, its connection is closed; what the plugin makes of that is its own affair.
    pub async fn call<A, R>(&self, method: &str, args: &A) -> Result<R, CallError>
    where
        A: Serialize + ?Sized,
        R: DeserializeOwned,
    {
        let body = request::encode(method, args)?;
        let mut attempts = self.attempts(method);
        loop {
            let answer = self.in_time(self.whole(method, body.clone().into()));
            match attempts.attempt(answer).await {
                Ok(answer) => return answer::decode(method, &answer),
                Err(failure) => attempts.next(failure).await?,
            }
        }
    }

    /// Calls a method whose answer is read as it arrives: JSON there, any bytes back.
    /// Arguments that are `null` are sent as such.
    ///
    /// # Errors
    ///
    /// As of [`call`](Self::call); what goes wrong later is an error of the stream.
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call). Dropping the stream closes its connection.
    pub async fn stream<A>(&self, method: &str, args: &A) -> Result<Download, CallError>
    where
        A: Serialize + ?Sized,
    {
        let body = request::encode_line(method, args)?;
        let mut attempts = self.attempts(method);
        loop {
            let answer = self.in_time(self.head(method, body.clone().into()));
            match attempts.attempt(answer).await {
                Ok(answer) => return Ok(Download::new(method, answer.into_body())),
                Err(failure) => attempts.next(failure).await?,
            }
        }
    }

    /// Calls a method with a body of any bytes, as fast as the plugin takes them: a file
    /// there, JSON back.
    ///
    /// # Errors
    ///
    /// As of [`call`](Self::call), and [`CallError::Upload`] if the reader fails.
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call).
    pub async fn send_file<R>(&self, method: &str, file: Upload) -> Result<R, CallError>
    where
        R: DeserializeOwned,
    {
        let mut attempts = self.attempts(method);
        loop {
            let progress = Arc::<Progress>::default();
            let body = file.body(&progress);
            let answer = async {
                tokio::select! {
                    answer = self.whole(method, body) => answer,
                    () = progress.stalled(self.timeout) => Err(Failure::TimedOut(self.timeout)),
                }
            };
            let failure = match attempts.attempt(answer).await {
                Ok(answer) => return answer::decode(method, &answer),
                Err(failure) => failure,
            };
            if let Some(source) = progress.failure() {
                return Err(CallError::Upload { method: method.to_owned(), source });
            }
            if !file.is_whole() {
                return Err(attempts.error(failure));
            }
            attempts.next(failure).await?;
        }
    }

    /// Asks the plugin what it implements. That is asked again if there was no answer,
    /// whatever the policy says of [resending](RetryPolicy::resend): asking twice changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// See [`CallError`].
    ///
    /// # Cancel safety
    ///
    /// As of [`call`](Self::call).
    pub async fn activate(&self) -> Result<Manifest, CallError> {
        let client = self.clone().with_retry(self.retry.clone().resend(true));
        client.call(ACTIVATE, &()).await
    }

    fn attempts<'a>(&'a self, method: &'a str) -> Attempts<'a> {
        Attempts::new(method, &self.retry, self.deadline)
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let in_time = timeout(self.timeout, answer).await;
        in_time.unwrap_or(Err(Failure::TimedOut(self.timeout)))
    }

    /// The answer to a request, to its end, if it is one of success.
    async fn whole(&self, method: &str, body: Body) -> Result<Bytes, Failure> {
        let answer = self.head(method, body).await?;
        let whole = answer::whole(method, answer.into_body(), self.max_answer).await;
        whole.map_err(Failure::Final)
    }

    /// The head of the answer to a request, if it is one of success.
    async fn head(&self, method: &str, body: Body) -> Result<Response<Body>, Failure> {
        let request = self.requests.request(method, body).map_err(Failure::Final)?;
        let answer = self.transport.send(request).await.map_err(Failure::Transport)?;
        answer::accepted(method, answer).await.map_err(Failure::Final)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("requests", &self.requests)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("max_answer", &self.max_answer)
            .finish_non_exhaustive()
    }
}

/// A client that is being made: how it connects.
#[derive(Clone, Debug)]
#[must_use = "there is no client until `build`"]
pub struct ClientBuilder<'a> {
    address: &'a Address,
    tls: Option<&'a TlsOptions>,
    connect_timeout: Duration,
    max_requests: usize,
}

impl<'a> ClientBuilder<'a> {
    /// How connections are encrypted, for addresses with `https`. By default the plugin's
    /// certificate must be one that the system trusts.
    pub fn tls(mut self, options: &'a TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// How long a connection may take to be made, with TLS. Default 10 seconds.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How many requests may run at once, each with a connection of its own. Further ones
    /// wait for one that ends, which counts as part of their time; a stream occupies its
    /// place until it has been read to its end or is dropped. At least 1, default 128.
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests;
        self
    }

    /// The client. Blocks for as long as it takes to read the files that the options of TLS
    /// name, or the system's roots.
    ///
    /// # Errors
    ///
    /// These cannot be read or used; or there are options of TLS for an address without it.
    pub fn build(self) -> Result<Client, TlsError> {
        let connector = Connector::new(self.address, self.tls, self.connect_timeout)?;
        let transport = HttpTransport::new(connector, self.max_requests);
        Ok(Client::with(Arc::new(transport), RequestFactory::new(self.address)))
    }
}
