//! What a side offers by name.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

use tonic::server::NamedService;

use super::bytes::ByteListener;
use super::bytes::backlog;
use super::channel::SubChannel;
use super::registry::Taker;
use super::serving::Servable;

/// Services that the peer may open by name on one trunk.
///
/// Every service must be `Clone`; it is cloned for each call, as tonic's own
/// server does.
#[derive(Clone, Default)]
pub struct Offers {
    takers: BTreeMap<String, Taker>,
    withheld: BTreeSet<String>,
}

impl Offers {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Offers a service that tonic generated, under its full name, such as
    /// `demo.v1.Greeter`. A second one of the same name replaces the first.
    #[must_use]
    pub fn service<S: Servable + NamedService>(self, service: S) -> Self {
        self.named(S::NAME, service)
    }

    /// Offers any service of HTTP requests under a name: tonic's `Routes`, or a
    /// generated server in a layer that hides its name.
    ///
    /// go-plugin's wire knows no such names: there a service is found by the one that
    /// stands in the path of a call, so the two must be the same to be reached.
    #[must_use]
    pub fn named<S: Servable>(mut self, name: impl Into<String>, service: S) -> Self {
        self.takers.insert(name.into(), Taker::Calls(service.erase().0));
        self
    }

    /// Offers byte streams under a name. Each that the peer opens comes out of
    /// the listener; when the listener is gone they are refused as closed.
    ///
    /// ```
    /// # use trunkline::{ByteStream, Offers};
    /// # async fn receive(_: ByteStream) {}
    /// # async fn example() {
    /// let (offers, mut uploads) = Offers::new().bytes("acme.upload");
    /// tokio::spawn(async move {
    ///     while let Some(stream) = uploads.accept().await {
    ///         tokio::spawn(receive(stream));
    ///     }
    /// });
    /// // The other end: broker.open_bytes("acme.upload")?
    /// # drop(offers); }
    /// ```
    #[must_use]
    pub fn bytes(mut self, name: impl Into<String>) -> (Self, ByteListener) {
        let (backlog, listener) = backlog(None);
        self.takers.insert(name.into(), Taker::Bytes(backlog));
        (self, listener)
    }

    /// Adds all that another offers. Of two of one name the other's is taken.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.takers.extend(other.takers);
        self.withheld.extend(other.withheld);
        self.withheld.retain(|name| !self.takers.contains_key(name));
        self
    }

    /// Whether there is a service of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.takers.contains_key(name)
    }

    /// The names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.takers.keys().map(String::as_str)
    }

    /// Keeps what is granted. The rest is refused as denied, not as unknown, so
    /// that a plugin's author sees what is missing.
    #[must_use]
    pub fn granted(mut self, is_granted: impl Fn(&str) -> bool) -> Self {
        let names: Vec<String> = self.takers.keys().cloned().collect();
        for name in names {
            if !is_granted(&name) {
                self.takers.remove(&name);
                self.withheld.insert(name);
            }
        }
        self
    }

    pub(super) fn find(&self, name: &str) -> Option<&Taker> {
        self.takers.get(name)
    }

    pub(super) fn withholds(&self, name: &str) -> bool {
        self.withheld.contains(name)
    }
}

impl fmt::Debug for Offers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.takers.keys()).finish()
    }
}

/// A typed client that can be made of a sub-channel; [`client!`](crate::client)
/// declares it for the clients that tonic generates.
pub trait Client: Sized {
    /// The full name of the service that it calls.
    const SERVICE: &'static str;

    /// Makes the client.
    fn from_channel(channel: SubChannel) -> Self;
}

/// Declares that a client which tonic generated can be opened by its type. Once in a
/// crate for each client, with the service's full name in the `.proto`: package, dot,
/// service.
///
/// ```ignore
/// use demo::greeter_client::GreeterClient; // mod demo { tonic::include_proto!("demo.v1"); }
/// trunkline::client!(GreeterClient, "demo.v1.Greeter");
///
/// let greeter: GreeterClient<SubChannel> = broker.client()?;
/// ```
///
/// The crate that declares it must be the one that contains the generated code.
#[macro_export]
macro_rules! client {
    ($client:ident $(:: $rest:ident)*, $service:expr) => {
        impl $crate::Client for $client $(:: $rest)* <$crate::SubChannel> {
            const SERVICE: &'static str = $service;

            fn from_channel(channel: $crate::SubChannel) -> Self {
                Self::new(channel)
            }
        }
    };
}
