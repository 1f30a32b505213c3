//! What serves calls at either end, and writes down each in its ledger.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tonic::Status;
use trunkline::Broker;
use trunkline::CallContext;
use trunkline::Error;
use trunkline::Offers;
use trunkline::SubChannel;
use trunkline::WeakBroker;
use trunkline::plugin::HostHandle;

use super::End;
use super::Source;
use super::echo;
use super::ledger::Event;
use super::ledger::Ledger;
use super::pool::Pool;
use crate::proto::stress_client::StressClient;
use crate::proto::stress_server::StressServer;

/// The name of the service at both ends.
pub const SERVICE: &str = <StressServer<Worker> as tonic::server::NamedService>::NAME;

pub type Client = StressClient<SubChannel>;

/// A client that takes pieces of any length.
pub fn client(channel: SubChannel) -> Client {
    StressClient::new(channel)
        .max_decoding_message_size(usize::MAX)
        .max_encoding_message_size(usize::MAX)
}

/// Whom a worker calls back.
#[derive(Clone, Debug)]
pub enum Other {
    Host(HostHandle),
    Plugin(WeakBroker),
}

/// One end's service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Worker {
    pub source: Source,
    pub ledger: Arc<Ledger>,
    pub other: Other,
    /// What this end's own calls share.
    pub pool: Arc<Pool>,
    running: Arc<AtomicUsize>,
}

impl Worker {
    pub fn new(source: Source, ledger: Arc<Ledger>, other: Other) -> Self {
        Self { source, ledger, other, pool: Arc::default(), running: Arc::default() }
    }

    pub fn server(&self) -> StressServer<Self> {
        StressServer::new(self.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    /// Adds what either end offers: the service, and byte streams that come back.
    pub fn offer(self, offers: Offers) -> Offers {
        let (offers, listener) = offers.service(self.server()).bytes(echo::NAME);
        tokio::spawn(echo::serve_all(self, listener));
        offers
    }

    pub fn broker(&self) -> Result<Broker, Status> {
        match &self.other {
            Other::Host(host) => host.broker().map_err(Error::into),
            Other::Plugin(broker) => {
                broker.upgrade().ok_or_else(|| Status::unavailable("the trunk is gone"))
            }
        }
    }

    /// For calls to the other end.
    pub fn end(&self) -> Result<End, Status> {
        Ok(End { broker: self.broker()?, worker: self.clone() })
    }

    /// Handlers that run.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// A handler begins.
    pub fn begin(&self, call: u64, index: u32) -> Running {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.ledger.write(call, index, Event::Begun);
        Running { worker: self.clone(), call, index }
    }
}

/// A handler, while it runs.
#[derive(Debug)]
pub struct Running {
    pub worker: Worker,
    pub call: u64,
    index: u32,
}

impl Running {
    /// It did all that it was asked to.
    pub fn done(&self) {
        self.write(Event::Done);
    }

    pub fn write(&self, event: Event) {
        self.worker.ledger.write(self.call, self.index, event);
    }

    /// Fails the call, and the run, if what came is not what was sent.
    pub fn right<T>(&self, checked: Result<T, String>) -> Result<T, Status> {
        checked.map_err(|wrong| {
            self.write(Event::Wrong);
            Status::data_loss(wrong)
        })
    }

    /// That the call has a deadline exactly if its outermost caller set one.
    pub fn deadline(&self, expected: bool) -> Result<(), Status> {
        let seen = CallContext::current().is_some_and(|context| context.remaining().is_some());
        let wrong = || format!("a deadline was set: {expected}; the handler sees one: {seen}");
        self.right((seen == expected).then_some(()).ok_or_else(wrong))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.worker.running.fetch_sub(1, Ordering::SeqCst);
    }
}
