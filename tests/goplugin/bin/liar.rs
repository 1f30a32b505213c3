//! A plugin that lies: go-plugin's services, made of nothing but what tonic generates.

use std::io::Write;
use std::process::ExitCode;

use futures::StreamExt;
use futures::stream;
use futures::stream::BoxStream;
use tokio::net::UnixListener;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use crate::contract::go_plugin::ConnInfo;
use crate::contract::go_plugin::Empty;
use crate::contract::go_plugin::StdioData;
use crate::contract::go_plugin::conn_info::Knock;
use crate::contract::go_plugin::grpc_broker_server;
use crate::contract::go_plugin::grpc_broker_server::GrpcBrokerServer;
use crate::contract::go_plugin::grpc_controller_server;
use crate::contract::go_plugin::grpc_controller_server::GrpcControllerServer;
use crate::contract::go_plugin::grpc_stdio_server;
use crate::contract::go_plugin::grpc_stdio_server::GrpcStdioServer;
use crate::support::echo::Echo;

/// How many ids are announced.
const FLOOD: u32 = 200_000;

/// A lie, at one point of what it is asked.
#[derive(Clone)]
struct Liar {
    lie: String,
}

/// Serves until it is killed. Its Echo is true.
pub async fn main(lie: &str) -> ExitCode {
    let folder = std::env::var("PLUGIN_UNIX_SOCKET_DIR").expect("a host of go-plugin");
    let path = format!("{folder}/liar");
    let listener = UnixListener::bind(&path).expect("a socket");
    println!("1|1|unix|{path}|grpc|");
    let _ = std::io::stdout().flush();
    if lie == "garbage" {
        return garbage(listener).await;
    }
    let incoming = stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(io, _)| io);
        Some((accepted, listener))
    });
    let (reporter, health) = tonic_health::server::health_reporter();
    let status = if lie == "unwell" { ServingStatus::NotServing } else { ServingStatus::Serving };
    reporter.set_service_status("plugin", status).await;
    let liar = Liar { lie: lie.to_owned() };
    let served = Server::builder()
        .add_service(health)
        .add_service(GrpcBrokerServer::new(liar.clone()))
        .add_service(GrpcControllerServer::new(liar.clone()))
        .add_service(GrpcStdioServer::new(liar))
        .add_service(Echo::default().server())
        .serve_with_incoming(incoming.boxed());
    if served.await.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Answers every connection with what is not HTTP/2.
async fn garbage(listener: UnixListener) -> ExitCode {
    use tokio::io::AsyncWriteExt;
    loop {
        if let Ok((mut io, _)) = listener.accept().await {
            let _ = io.write_all(&[0xa5; 65536]).await;
            std::mem::forget(io);
        }
    }
}

fn announced(service_id: u32, network: &str, address: &str) -> ConnInfo {
    let (network, address) = (network.to_owned(), address.to_owned());
    ConnInfo { service_id, network, address, knock: None }
}

fn knock(service_id: u32, ack: bool) -> ConnInfo {
    let knock = Knock { knock: !ack, ack, error: String::new() };
    ConnInfo { service_id, knock: Some(knock), ..ConnInfo::default() }
}

/// For ever, after these.
fn and_then_nothing<T: Send + 'static>(
    first: impl Iterator<Item = T> + Send + 'static,
) -> BoxStream<'static, Result<T, Status>> {
    stream::iter(first).map(Ok).chain(stream::pending()).boxed()
}

#[tonic::async_trait]
impl grpc_broker_server::GrpcBroker for Liar {
    type StartStreamStream = BoxStream<'static, Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let says: Self::StartStreamStream = match &*self.lie {
            "floods-announcements" => {
                let nowhere = |id| announced(id, "unix", &format!("/nowhere/{id}"));
                and_then_nothing((1..=FLOOD).map(nowhere))
            }
            "announces-nonsense" => {
                let nonsense = [
                    announced(1, "udp", "127.0.0.1:1"),
                    announced(2, "unix", ""),
                    announced(3, "unix", &"long".repeat(100)),
                    announced(4, "tcp", "nobody"),
                    announced(5, "", ""),
                    announced(6, "unix", "\0\n"),
                    announced(7, "tcp", "127.0.0.1:1"),
                    announced(u32::MAX, "unix", "/nowhere"),
                ];
                and_then_nothing(nonsense.into_iter())
            }
            "knocks" => {
                let knocks = (0..10_000).flat_map(|id| [knock(id, false), knock(id, true)]);
                and_then_nothing(knocks)
            }
            "ends-its-broker" => stream::empty().boxed(),
            "refuses-its-broker" => return Err(Status::internal("no")),
            _ => {
                let mut incoming = request.into_inner();
                tokio::spawn(async move { while let Ok(Some(_)) = incoming.message().await {} });
                stream::pending().boxed()
            }
        };
        Ok(Response::new(says))
    }
}

#[tonic::async_trait]
impl grpc_controller_server::GrpcController for Liar {
    async fn shutdown(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        std::future::pending().await
    }
}

#[tonic::async_trait]
impl grpc_stdio_server::GrpcStdio for Liar {
    type StreamStdioStream = BoxStream<'static, Result<StdioData, Status>>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let says: Self::StreamStdioStream = match &*self.lie {
            "unknown-channels" => {
                let channels = [0, 3, -1, i32::MAX].into_iter().cycle().take(1000);
                let data = |channel| StdioData { channel, data: vec![b'x'; 10] };
                let marker = StdioData { channel: 1, data: b"after all\n".to_vec() };
                and_then_nothing(channels.map(data).chain([marker]))
            }
            "large-chunks" => {
                let data = |_| StdioData { channel: 1, data: vec![b'x'; 1 << 20] };
                let marker = StdioData { channel: 1, data: b"\nafter all\n".to_vec() };
                and_then_nothing((0..64).map(data).chain([marker]))
            }
            "huge-chunk" => {
                let data = StdioData { channel: 1, data: vec![b'x'; 32 << 20] };
                and_then_nothing([data].into_iter())
            }
            "ends-its-output" => stream::empty().boxed(),
            _ => stream::pending().boxed(),
        };
        Ok(Response::new(says))
    }
}
