//! The host's end of the state service.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use http_body::Body;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::codegen::BoxFuture;
use tonic::codegen::Service;
use tonic::codegen::StdError;
use tonic::server::NamedService;

use crate::services::state::Conflict;
use crate::services::state::Query;
use crate::services::state::StateLimits;
use crate::services::state::Store;
use crate::services::state::StoreError;
use crate::services::state::Version;
use crate::services::state::convert::Refused;
use crate::services::state::convert::expected;
use crate::services::state::convert::store_status;
use crate::services::wire::state as wire;
use crate::services::wire::state::problem::Problem;
use crate::services::wire::state::state_server;

/// One plugin's state, as a gRPC service that a host offers to that plugin.
///
/// It is a tower service with the gRPC name `trunkline.state.v1.State`. A host
/// makes one for each plugin, over a store that they may share, and gives each
/// its own namespace; a plugin cannot name one. What is stored in a namespace
/// outlives the service, so a plugin that is started again finds its state if
/// the host names the same namespace.
///
/// Clones are the same service. Dropping it has no effect on the store.
#[derive(Clone, Debug)]
pub struct StateService {
    server: state_server::StateServer<Handler>,
}

impl StateService {
    /// The state of the plugin to which `namespace` belongs, kept in `store`,
    /// with the default [`StateLimits`].
    pub fn new(store: Arc<dyn Store>, namespace: impl Into<String>) -> Self {
        Self::with_limits(store, namespace, StateLimits::default())
    }

    /// As [`new`](Self::new), with limits of the host's choice.
    pub fn with_limits(
        store: Arc<dyn Store>,
        namespace: impl Into<String>,
        limits: StateLimits,
    ) -> Self {
        let handler = Handler { store, namespace: namespace.into(), limits };
        let server = state_server::StateServer::new(handler)
            .max_decoding_message_size(limits.message_bytes())
            // Pages are bounded where they are made, and values when written.
            .max_encoding_message_size(usize::MAX);
        Self { server }
    }
}

impl NamedService for StateService {
    const NAME: &'static str = state_server::SERVICE_NAME;
}

impl<B> Service<http::Request<B>> for StateService
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        self.server.call(request)
    }
}

#[derive(Debug)]
struct Handler {
    store: Arc<dyn Store>,
    namespace: String,
    limits: StateLimits,
}

impl Handler {
    fn check_key(&self, key: &[u8]) -> Result<(), Refused> {
        if key.is_empty() {
            return Err(Refused(Problem::KeyEmpty(wire::Unit {})));
        }
        self.check_length(key)
    }

    fn check_length(&self, key: &[u8]) -> Result<(), Refused> {
        over(key, self.limits.key_bytes)
            .map_or(Ok(()), |size| Err(Refused(Problem::KeyTooLong(size))))
    }

    fn check_value(&self, value: &[u8]) -> Result<(), Refused> {
        over(value, self.limits.value_bytes)
            .map_or(Ok(()), |size| Err(Refused(Problem::ValueTooLarge(size))))
    }

    /// The plugin learns what kind of failure it was, the host's log why.
    fn failed(&self, error: StoreError) -> Status {
        tracing::error!(
            namespace = self.namespace,
            error = &error as &dyn std::error::Error,
            "a plugin's state could not be read or written",
        );
        store_status(&error)
    }
}

fn over(bytes: &[u8], limit: usize) -> Option<wire::Size> {
    let size = wire::Size { length: bytes.len() as u64, limit: limit as u64 };
    (bytes.len() > limit).then_some(size)
}

#[tonic::async_trait]
impl state_server::State for Handler {
    async fn get(
        &self,
        request: Request<wire::GetRequest>,
    ) -> Result<Response<wire::GetResponse>, Status> {
        let wire::GetRequest { key } = request.into_inner();
        self.check_key(&key)?;
        let entry = self.store.get(&self.namespace, &key).await;
        let entry = entry.map_err(|error| self.failed(error))?;
        Ok(Response::new(wire::GetResponse { entry: entry.map(wire::Entry::from) }))
    }

    async fn put(
        &self,
        request: Request<wire::PutRequest>,
    ) -> Result<Response<wire::PutResponse>, Status> {
        use wire::put_response::Outcome;
        let wire::PutRequest { key, value, expected: precondition } = request.into_inner();
        self.check_key(&key)?;
        self.check_value(&value)?;
        let precondition = expected(precondition)?;
        let put = self.store.put(&self.namespace, &key, value, precondition).await;
        let outcome = match put.map_err(|error| self.failed(error))? {
            Ok(version) => Outcome::Version(version.as_u64()),
            Err(conflict) => Outcome::Conflict(conflict.into()),
        };
        Ok(Response::new(wire::PutResponse { outcome: Some(outcome) }))
    }

    async fn delete(
        &self,
        request: Request<wire::DeleteRequest>,
    ) -> Result<Response<wire::DeleteResponse>, Status> {
        use wire::delete_response::Outcome;
        let wire::DeleteRequest { key, expected: precondition } = request.into_inner();
        self.check_key(&key)?;
        let precondition = expected(precondition)?;
        let deleted = self.store.delete(&self.namespace, &key, precondition).await;
        let deleted: Result<Option<Version>, Conflict> =
            deleted.map_err(|error| self.failed(error))?;
        let outcome = match deleted {
            Ok(Some(version)) => Outcome::Removed(version.as_u64()),
            Ok(None) => Outcome::Absent(wire::Unit {}),
            Err(conflict) => Outcome::Conflict(conflict.into()),
        };
        Ok(Response::new(wire::DeleteResponse { outcome: Some(outcome) }))
    }

    async fn list(
        &self,
        request: Request<wire::ListRequest>,
    ) -> Result<Response<wire::ListResponse>, Status> {
        let wire::ListRequest { prefix, after, limit, keys_only } = request.into_inner();
        self.check_length(&prefix)?;
        self.check_length(after.as_ref().unwrap_or(&Bytes::new()))?;
        let most = self.limits.page_items.max(1);
        let items = match usize::try_from(limit) {
            Ok(0) | Err(_) => most,
            Ok(limit) => limit.min(most),
        };
        let bytes = self.limits.page_bytes;
        let query = Query { prefix, after, items, bytes, keys_only };
        let page = self.store.list(&self.namespace, query).await;
        let page = page.map_err(|error| self.failed(error))?;
        let items = page.items.into_iter().map(wire::Item::from).collect();
        Ok(Response::new(wire::ListResponse { items, more: page.more }))
    }
}
