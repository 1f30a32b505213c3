//! A plugin for two kinds of hosts, from one binary: for those of Trunkline, as
//! `goplugin_host`, and for those that were built on hashicorp/go-plugin, as that of its
//! example `bidirectional`, whose plugin this is in Rust:
//!
//! ```text
//! COUNTER_PLUGIN=target/debug/examples/goplugin_plugin ./counter put hello 1
//! ```

use std::io::ErrorKind;
use std::process::ExitCode;
use std::sync::Arc;

use proto::add_helper_client::AddHelperClient;
use proto::counter_server::{Counter, CounterServer};
use proto::{Empty, GetRequest, GetResponse, PutRequest, SumRequest};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tonic::{Request, Response, Status};
use trunkline::Offers;
use trunkline::goplugin::Handshake;
use trunkline::plugin::{HostHandle, Plugin};

mod proto {
    tonic::include_proto!("counter/proto");
}

/// What gRPC's reflection says of the services above.
const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/counter/proto.bin"));

/// Counters in files, where the plugin in Go has them, too.
#[derive(Clone)]
struct Counters {
    host: HostHandle,
    /// One at a time: each reads what another writes.
    puts: Arc<Mutex<()>>,
}

#[tonic::async_trait]
impl Counter for Counters {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let key = request.into_inner().key;
        match read(&key).await? {
            Some(value) => Ok(Response::new(GetResponse { value })),
            None => Err(Status::not_found(format!("there is no counter {key:?}"))),
        }
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<Empty>, Status> {
        let PutRequest { add_server, key, value } = request.into_inner();
        let _one = self.puts.lock().await;
        let before = read(&key).await?.unwrap_or_default();
        // Whatever the host is built on, it has registered an adder under this number.
        let mut adder = AddHelperClient::new(self.host.broker()?.dial(add_server)?);
        let sum = adder.sum(SumRequest { a: before, b: value }).await?.into_inner().r;
        tokio::fs::write(file(&key)?, json!({ "Value": sum }).to_string()).await?;
        // Goes to the host's log, in the form that the host knows.
        tracing::info!(key, before, sum, "counted");
        Ok(Response::new(Empty {}))
    }
}

/// Nothing outside of this folder.
fn file(key: &str) -> Result<String, Status> {
    if key.contains('/') {
        return Err(Status::invalid_argument("a key has no slashes"));
    }
    Ok(format!("kv_{key}"))
}

async fn read(key: &str) -> Result<Option<i64>, Status> {
    let file = file(key)?;
    let text = match tokio::fs::read(&file).await {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let value = serde_json::from_slice(&text).ok().and_then(|data: Value| data["Value"].as_i64());
    value.map(Some).ok_or_else(|| Status::data_loss(format!("there is no counter in {file}")))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    Plugin::new("counter", env!("CARGO_PKG_VERSION"))
        .go_plugin(Handshake::new("BASIC_PLUGIN", "hello").version(1))
        .reflection(DESCRIPTORS)
        .serve(|host| {
            let counters = Counters { host, puts: Arc::default() };
            Offers::new().service(CounterServer::new(counters))
        })
        .await
}
