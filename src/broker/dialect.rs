//! What is behind a broker: a trunk, or whatever else reaches a peer that knows none.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::Request;
use http::Response;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body as TonicBody;

use super::body::Body;
use super::bytes::ByteListener;
use super::bytes::ByteStream;
use super::handle::Peer;
use super::handle::Stats;
use super::handle::Totals;
use super::protocol::EndReason;
use super::registry::ServiceId;
use super::serving::Erased;
use super::transport::Phase;
use crate::error::Error;

/// One end of a connection to a peer, in some dialect. What each does is documented at
/// the method of [`Broker`](super::Broker) that calls it.
///
/// Dropping the last reference ends the connection at once. What it runs in the
/// background must not hold one.
pub(crate) trait Dialect: fmt::Debug + Send + Sync {
    /// A line to the service of this name.
    fn open(self: Arc<Self>, service: String) -> Result<Arc<dyn Line>, Error>;
    /// A line to the service that the peer registered.
    fn dial(self: Arc<Self>, id: ServiceId) -> Result<Arc<dyn Line>, Error>;
    fn open_bytes(self: Arc<Self>, name: String) -> Result<ByteStream, Error>;
    fn dial_bytes(self: Arc<Self>, id: ServiceId) -> Result<ByteStream, Error>;

    /// Whatever it is given comes out of the same numbers, and fits in 32 bits.
    fn register(&self, service: Erased) -> ServiceId;
    fn register_bytes(self: Arc<Self>) -> Result<ByteListener, Error>;
    fn unregister(&self, id: ServiceId);
    /// The id of a registration is about to be handed to the peer.
    fn hand_out(&self, id: ServiceId);

    fn peer(&self) -> &Peer;
    fn ping(&self) -> BoxFuture<'static, Result<(), Error>>;
    fn stats(&self) -> Stats;
    fn totals(&self) -> Totals;

    /// Follows its life. The sender lives as long as the dialect does.
    fn phase(&self) -> watch::Receiver<Phase>;
    /// Why it ended, if it has.
    fn ended(&self) -> Option<EndReason>;
    fn go_away(&self);
    fn shut(&self);
    /// The peer is known to be gone.
    fn lost(&self, cause: Arc<dyn StdError + Send + Sync>);
}

/// Where calls are made on: what a sub-channel holds. It keeps its dialect alive.
pub(crate) trait Line: fmt::Debug + Send + Sync {
    /// Makes a call, in the context of the task that polls the future first. One in the
    /// background does not keep this end from counting as drained.
    fn call(
        self: Arc<Self>,
        request: Request<TonicBody>,
        background: bool,
    ) -> BoxFuture<'static, Result<Response<Body>, Status>>;

    /// Why it can no longer be used, if it cannot.
    fn closed(&self) -> Option<Error>;
}
