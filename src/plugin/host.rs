//! The plugin's typed handle to its host.

use crate::broker::Broker;
use crate::broker::Client;
use crate::broker::SubChannel;
use crate::broker::WeakBroker;
use crate::error::Error;
use crate::services::log::Log;
use crate::services::state::State;

/// The host, as a plugin sees it: its log, its state store, its services.
///
/// Cheap to clone. It is there before the trunk is, so that services can be made
/// with it; from the first call that they serve it works. It does not keep the
/// trunk alive.
#[derive(Clone, Debug)]
pub struct HostHandle {
    broker: WeakBroker,
    log: Log,
    version: Option<u32>,
}

impl HostHandle {
    pub(super) fn new(broker: WeakBroker, log: Log, version: Option<u32>) -> Self {
        Self { broker, log, version }
    }

    /// The version of the application's protocol to speak with this host: the highest that
    /// both name. `None` if either names none; see
    /// [`Plugin::go_plugin`](super::Plugin::go_plugin).
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// The host's log. Recording never waits; it works before the trunk is up.
    /// `tracing` events go to the same log by themselves.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The plugin's namespace in the host's state store.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`]. A host that offers no store, or has not granted it,
    /// shows at the first operation.
    pub fn state(&self) -> Result<State<SubChannel>, Error> {
        self.broker()?.open(STATE).map(State::new)
    }

    /// A client of one of the application's services, which
    /// [`client!`](crate::client) has declared.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`].
    pub fn channel<C: Client>(&self) -> Result<C, Error> {
        self.broker()?.client()
    }

    /// Opens a sub-channel to one of the application's services by name, for a client
    /// that is not declared.
    ///
    /// # Errors
    ///
    /// As of [`Broker::open`].
    pub fn open(&self, service: impl Into<String>) -> Result<SubChannel, Error> {
        self.broker()?.open(service)
    }

    /// The trunk to the host: for services by name or id, for callbacks and byte
    /// streams.
    ///
    /// # Errors
    ///
    /// [`Reason::Closed`](crate::Reason::Closed) before the trunk is up, and after
    /// [`Plugin::serve`](super::Plugin::serve) has returned.
    pub fn broker(&self) -> Result<Broker, Error> {
        self.broker.upgrade().ok_or_else(Error::closed)
    }
}

/// The name of the state service.
const STATE: &str = <crate::services::state::StateService as tonic::server::NamedService>::NAME;
