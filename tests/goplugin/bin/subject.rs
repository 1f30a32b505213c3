//! The plugin in Rust: it does what `tests/peers/go/goplugin` does.

use std::env;
use std::io::Write;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::join_all;
use parking_lot::Mutex;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use trunkline::Registration;
use trunkline::SubChannel;
use trunkline::plugin::HostHandle;

use super::callback;
use super::callback::Callback;
use super::callback::Payloads;
use super::callback::failed;
use crate::contract::interop::BigBackRequest;
use crate::contract::interop::CallbackRequest;
use crate::contract::interop::CrashRequest;
use crate::contract::interop::DialManyReply;
use crate::contract::interop::DialManyRequest;
use crate::contract::interop::EnvReply;
use crate::contract::interop::HandReply;
use crate::contract::interop::HandRequest;
use crate::contract::interop::LogRequest;
use crate::contract::interop::Nothing;
use crate::contract::interop::Number;
use crate::contract::interop::Payload;
use crate::contract::interop::SayRequest;
use crate::contract::interop::StreamBackRequest;
use crate::contract::interop::Summary;
use crate::contract::interop::Text;
use crate::contract::interop::callback_client::CallbackClient;
use crate::contract::interop::say_request::Output;
use crate::contract::interop::subject_server;
use crate::contract::interop::subject_server::SubjectServer;

/// Does as it is told.
#[derive(Clone)]
pub struct Subject {
    host: HostHandle,
    /// What it has handed out, until it ends.
    handed: Arc<Mutex<Vec<Registration>>>,
}

impl Subject {
    pub fn new(host: HostHandle) -> Self {
        Self { host, handed: Arc::default() }
    }

    pub fn server(self) -> SubjectServer<Self> {
        SubjectServer::new(self)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    fn dial(&self, id: u32) -> Result<CallbackClient<SubChannel>, Status> {
        let broker = self.host.broker().map_err(failed)?;
        Ok(callback::client(broker.dial(id).map_err(failed)?))
    }

    async fn ask(&self, id: u32) -> Result<u32, Status> {
        let reply = self.dial(id)?.declare(Nothing {}).await?;
        Ok(reply.into_inner().number)
    }
}

#[tonic::async_trait]
impl subject_server::Subject for Subject {
    async fn echo(&self, request: Request<Payload>) -> Result<Response<Payload>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    type ConverseStream = Payloads;

    async fn converse(
        &self,
        request: Request<Streaming<Payload>>,
    ) -> Result<Response<Payloads>, Status> {
        Ok(Response::new(request.into_inner().boxed()))
    }

    async fn call_back(&self, request: Request<CallbackRequest>) -> Result<Response<Text>, Status> {
        let CallbackRequest { service_id, text } = request.into_inner();
        self.dial(service_id)?.hear(Text { text }).await
    }

    async fn stream_back(
        &self,
        request: Request<StreamBackRequest>,
    ) -> Result<Response<Summary>, Status> {
        let StreamBackRequest { service_id, messages, bytes_each } = request.into_inner();
        let client = self.dial(service_id)?;
        callback::converse(client, messages, bytes_each).await.map(Response::new)
    }

    async fn big_back(
        &self,
        request: Request<BigBackRequest>,
    ) -> Result<Response<Summary>, Status> {
        let BigBackRequest { service_id, bytes } = request.into_inner();
        callback::big(self.dial(service_id)?, bytes).await.map(Response::new)
    }

    async fn hand(&self, request: Request<HandRequest>) -> Result<Response<HandReply>, Status> {
        let number = request.into_inner().number;
        let broker = self.host.broker().map_err(failed)?;
        let registration = broker.register(Callback { number }.server());
        let service_id = registration.number();
        self.handed.lock().push(registration);
        Ok(Response::new(HandReply { service_id }))
    }

    async fn dial_many(
        &self,
        request: Request<DialManyRequest>,
    ) -> Result<Response<DialManyReply>, Status> {
        let asking = request.into_inner().service_ids.into_iter().map(async |id| {
            let answer = self.ask(id).await;
            answer.map_err(|status| format!("id {id}: {status}"))
        });
        let mut reply = DialManyReply::default();
        for answer in join_all(asking).await {
            reply.numbers.push(*answer.as_ref().unwrap_or(&0));
            reply.failures.extend(answer.err());
        }
        Ok(Response::new(reply))
    }

    async fn crash(&self, request: Request<CrashRequest>) -> Result<Response<Nothing>, Status> {
        let how = request.into_inner().how;
        match how.split_once(':').unwrap_or((&how, "")) {
            ("exit", code) => std::process::exit(code.parse().unwrap_or(70)),
            ("panic", _) => {
                // A handler's panic is contained; one of the program ends it.
                let _ = std::thread::spawn(|| panic!("as asked")).join();
                std::process::abort();
            }
            ("kill", _) => signal(rustix::process::Signal::KILL),
            ("stop", _) => signal(rustix::process::Signal::STOP),
            _ => Err(Status::invalid_argument(format!("no such way: {how}"))),
        }
    }

    async fn say(&self, request: Request<SayRequest>) -> Result<Response<Nothing>, Status> {
        let SayRequest { output, data } = request.into_inner();
        let written = match Output::try_from(output) {
            Ok(Output::Stdout) => {
                let mut stdout = std::io::stdout();
                stdout.write_all(&data).and_then(|()| stdout.flush())
            }
            Ok(Output::Stderr) => std::io::stderr().write_all(&data),
            Ok(Output::Fd1) => write_all(rustix::stdio::stdout(), &data),
            Ok(Output::Fd2) => write_all(rustix::stdio::stderr(), &data),
            Ok(Output::Unspecified) | Err(_) => {
                return Err(Status::invalid_argument("no such output"));
            }
        };
        written.map(|()| Response::new(Nothing {})).map_err(failed)
    }

    async fn log_line(&self, request: Request<LogRequest>) -> Result<Response<Nothing>, Status> {
        let LogRequest { level, message, values } = request.into_inner();
        // Names of fields are part of the program.
        let fruit = values.get("fruit").map(String::as_str);
        match level.as_str() {
            "trace" => tracing::trace!(fruit, "{message}"),
            "debug" => tracing::debug!(fruit, "{message}"),
            "info" => tracing::info!(fruit, "{message}"),
            "warn" => tracing::warn!(fruit, "{message}"),
            _ => tracing::error!(fruit, "{message}"),
        }
        Ok(Response::new(Nothing {}))
    }

    async fn env(&self, request: Request<Text>) -> Result<Response<EnvReply>, Status> {
        let value = env::var(request.into_inner().text).ok();
        let reply = EnvReply { set: value.is_some(), value: value.unwrap_or_default() };
        Ok(Response::new(reply))
    }

    async fn version(&self, _: Request<Nothing>) -> Result<Response<Number>, Status> {
        let number = self.host.version().unwrap_or_default();
        Ok(Response::new(Number { number }))
    }

    async fn hang(&self, _: Request<Nothing>) -> Result<Response<Nothing>, Status> {
        std::future::pending().await
    }

    async fn spawn(&self, _: Request<Nothing>) -> Result<Response<Number>, Status> {
        let child = std::process::Command::new("sleep").arg("1000").spawn().map_err(failed)?;
        Ok(Response::new(Number { number: child.id() }))
    }
}

fn signal(signal: rustix::process::Signal) -> Result<Response<Nothing>, Status> {
    rustix::process::kill_process(rustix::process::getpid(), signal).map_err(failed)?;
    Ok(Response::new(Nothing {}))
}

fn write_all(fd: impl std::os::fd::AsFd, mut data: &[u8]) -> std::io::Result<()> {
    while !data.is_empty() {
        let written = rustix::io::write(&fd, data)?;
        data = data.get(written..).unwrap_or_default();
    }
    Ok(())
}
