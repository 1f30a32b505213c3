//! What go-plugin's published examples expect of their plugins.

use tonic::Request;
use tonic::Response;
use tonic::Status;
use trunkline::plugin::HostHandle;

use super::callback::failed;
use crate::contract::counter;
use crate::contract::counter::SumRequest;
use crate::contract::counter::add_helper_client::AddHelperClient;
use crate::contract::counter::counter_server;
use crate::contract::counter::counter_server::CounterServer;
use crate::contract::kv;
use crate::contract::kv::kv_server;
use crate::contract::kv::kv_server::KvServer;

/// Values are in files, as in the examples: each command of theirs launches the plugin
/// again.
fn file(key: &str) -> String {
    format!("kv_{key}")
}

/// Of the example `grpc`.
#[derive(Clone, Copy, Default)]
pub struct Store {}

impl Store {
    pub fn server(self) -> KvServer<Self> {
        KvServer::new(self)
    }
}

#[tonic::async_trait]
impl kv_server::Kv for Store {
    async fn get(
        &self,
        request: Request<kv::GetRequest>,
    ) -> Result<Response<kv::GetResponse>, Status> {
        let value = tokio::fs::read(file(&request.into_inner().key)).await.map_err(failed)?;
        Ok(Response::new(kv::GetResponse { value }))
    }

    async fn put(&self, request: Request<kv::PutRequest>) -> Result<Response<kv::Empty>, Status> {
        let kv::PutRequest { key, value } = request.into_inner();
        let value = [&value[..], b"\n\nWritten from Rust"].concat();
        tokio::fs::write(file(&key), value).await.map_err(failed)?;
        Ok(Response::new(kv::Empty {}))
    }
}

/// The same, for a host that is no example: values are in the host's own state store.
#[derive(Clone)]
pub struct Remembering {
    host: HostHandle,
}

impl Remembering {
    pub fn new(host: HostHandle) -> Self {
        Self { host }
    }

    pub fn server(self) -> KvServer<Self> {
        KvServer::new(self)
    }
}

#[tonic::async_trait]
impl kv_server::Kv for Remembering {
    async fn get(
        &self,
        request: Request<kv::GetRequest>,
    ) -> Result<Response<kv::GetResponse>, Status> {
        let state = self.host.state().map_err(failed)?;
        let entry = state.get(request.into_inner().key).await.map_err(failed)?;
        let value = entry.map(|entry| entry.value.to_vec()).unwrap_or_default();
        Ok(Response::new(kv::GetResponse { value }))
    }

    async fn put(&self, request: Request<kv::PutRequest>) -> Result<Response<kv::Empty>, Status> {
        let kv::PutRequest { key, value } = request.into_inner();
        let state = self.host.state().map_err(failed)?;
        state.put(key, value).await.map_err(failed)?;
        Ok(Response::new(kv::Empty {}))
    }
}

/// Of the example `bidirectional`: the host adds.
#[derive(Clone)]
pub struct Counters {
    host: HostHandle,
}

impl Counters {
    pub fn new(host: HostHandle) -> Self {
        Self { host }
    }

    pub fn server(self) -> CounterServer<Self> {
        CounterServer::new(self)
    }
}

#[tonic::async_trait]
impl counter_server::Counter for Counters {
    async fn get(
        &self,
        request: Request<counter::GetRequest>,
    ) -> Result<Response<counter::GetResponse>, Status> {
        let key = request.into_inner().key;
        let value = stored(&key).await;
        Ok(Response::new(counter::GetResponse { value }))
    }

    async fn put(
        &self,
        request: Request<counter::PutRequest>,
    ) -> Result<Response<counter::Empty>, Status> {
        let counter::PutRequest { add_server, key, value } = request.into_inner();
        let before = stored(&key).await;
        let broker = self.host.broker().map_err(failed)?;
        let mut adder = AddHelperClient::new(broker.dial(add_server).map_err(failed)?);
        let sum = adder.sum(SumRequest { a: before, b: value }).await?.into_inner().r;
        tokio::fs::write(file(&key), sum.to_string()).await.map_err(failed)?;
        Ok(Response::new(counter::Empty {}))
    }
}

/// Nothing is zero.
async fn stored(key: &str) -> i64 {
    let text = tokio::fs::read_to_string(file(key)).await.unwrap_or_default();
    text.parse().unwrap_or_default()
}
