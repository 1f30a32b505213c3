//! The service that the tests call.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use futures::Stream;
use futures::StreamExt;
use tokio::sync::Semaphore;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use trunkline::Broker;
use trunkline::CallContext;

use super::demo::Ask;
use super::demo::FailRequest;
use super::demo::NestReply;
use super::demo::NestRequest;
use super::demo::Payload;
use super::demo::Summary;
use super::demo::echo_client::EchoClient;
use super::demo::echo_server;
use super::demo::echo_server::EchoServer;

#[derive(Clone, Default)]
pub struct Echo {
    /// For calls back; set after the trunk is there.
    pub broker: Arc<OnceLock<Broker>>,
    /// What `nest` waits for before it goes on.
    pub gate: Option<Arc<Semaphore>>,
    /// Handlers that run at the moment.
    pub running: Arc<AtomicUsize>,
}

impl Echo {
    pub fn set_broker(&self, broker: &Broker) {
        let _ = self.broker.set(broker.clone());
    }

    pub fn server(self) -> EchoServer<Self> {
        EchoServer::new(self)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
            .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
            .send_compressed(tonic::codec::CompressionEncoding::Gzip)
    }
}

/// Counts a handler while it exists.
pub struct Running(Arc<AtomicUsize>);

impl Running {
    pub fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// FNV-1a.
pub fn hash(hash: u64, data: &[u8]) -> u64 {
    data.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

pub const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;

type Payloads = Pin<Box<dyn Stream<Item = Result<Payload, Status>> + Send>>;

#[tonic::async_trait]
impl echo_server::Echo for Echo {
    async fn unary(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        let _running = Running::new(&self.running);
        let metadata = request.metadata().clone();
        let mut response = Response::new(request.into_inner());
        for key in ["x-text", "x-twice"] {
            for value in metadata.get_all(key) {
                response.metadata_mut().append(key, value.clone());
            }
        }
        if let Some(value) = metadata.get_bin("x-data-bin") {
            response.metadata_mut().insert_bin("x-data-bin", value.clone());
        }
        Ok(response)
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Summary>, Status> {
        let _running = Running::new(&self.running);
        let mut payloads = request.into_inner();
        let mut summary = Summary { hash: HASH_START, ..Summary::default() };
        while let Some(payload) = payloads.message().await? {
            if payload.seq != summary.messages {
                return Err(Status::data_loss("out of order"));
            }
            summary.messages += 1;
            summary.bytes += payload.data.len() as u64;
            summary.hash = hash(summary.hash, &payload.data);
        }
        Ok(Response::new(summary))
    }

    type ServerStreamStream = Payloads;

    async fn server_stream(&self, request: Request<Ask>) -> Result<Response<Payloads>, Status> {
        let running = Running::new(&self.running);
        let Ask { messages, bytes_each } = request.into_inner();
        let stream = futures::stream::iter(0..messages).map(move |seq| {
            let _running = &running;
            Ok(Payload { seq, data: vec![seq as u8; bytes_each as usize] })
        });
        Ok(Response::new(Box::pin(stream)))
    }

    type BidiStream = Payloads;

    async fn bidi(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Payloads>, Status> {
        let running = Running::new(&self.running);
        let stream = request.into_inner().map(move |payload| {
            let _running = &running;
            payload
        });
        Ok(Response::new(Box::pin(stream)))
    }

    async fn nest(&self, request: Request<NestRequest>) -> Result<Response<NestReply>, Status> {
        let _running = Running::new(&self.running);
        let NestRequest { depth, callback, hang } = request.into_inner();
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("never closed").forget();
        }
        if depth == 0 && hang {
            std::future::pending::<()>().await;
        }
        if depth == 0 {
            let left = CallContext::current().and_then(|context| context.remaining());
            let deadline_ms = left.map_or(0, |left| left.as_millis() as u64);
            return Ok(Response::new(NestReply { reached: 0, deadline_ms }));
        }
        let broker = self.broker.get().ok_or_else(|| Status::internal("no broker"))?;
        // Below us, the peer calls us back under an id of our own.
        let own = broker.register(self.clone().server());
        let mut client = EchoClient::new(broker.dial(callback)?);
        let request = NestRequest { depth: depth - 1, callback: own.id().get(), hang };
        let mut reply = client.nest(request).await?.into_inner();
        reply.reached += 1;
        Ok(Response::new(reply))
    }

    async fn hang(&self, _: Request<Payload>) -> Result<Response<Payload>, Status> {
        let _running = Running::new(&self.running);
        std::future::pending().await
    }

    async fn fail(&self, request: Request<FailRequest>) -> Result<Response<Payload>, Status> {
        let FailRequest { code, message, details } = request.into_inner();
        if message == "panic" {
            panic!("as asked");
        }
        let mut metadata = tonic::metadata::MetadataMap::new();
        metadata.insert("x-trailer", "seen".parse().expect("a value"));
        let code = tonic::Code::from_i32(code);
        Err(Status::with_details_and_metadata(code, message, details.into(), metadata))
    }
}
