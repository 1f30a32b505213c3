//! The plugin that is looked into: Echo for calls, and a console for everything else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::try_join_all;
use futures::stream::BoxStream;
use parking_lot::Mutex;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use trunkline::Broker;
use trunkline::Error;
use trunkline::Offers;
use trunkline::Registration;
use trunkline::plugin::HostHandle;

use super::callback::failed;
use crate::support::demo::GreetReply;
use crate::support::demo::GreetRequest;
use crate::support::demo::Payload;
use crate::support::demo::Word;
use crate::support::demo::dictionary_client::DictionaryClient;
use crate::support::demo::echo_client::EchoClient;
use crate::support::demo::greeter_server;
use crate::support::demo::greeter_server::GreeterServer;
use crate::support::echo::Echo;
use crate::support::system::descriptors;

/// What it offers.
pub fn offers(host: HostHandle) -> Offers {
    let echo = Echo::default();
    let console = Console { host, echo: echo.clone(), handed: Arc::default() };
    Offers::new().service(echo.server()).service(GreeterServer::new(console))
}

/// Does as it is told: `Greet` takes a line and answers with a text.
#[derive(Clone)]
struct Console {
    host: HostHandle,
    echo: Echo,
    /// What it has handed out and not let go of.
    handed: Arc<Mutex<Vec<Registration>>>,
}

#[tonic::async_trait]
impl greeter_server::Greeter for Console {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetReply>, Status> {
        let line = request.into_inner().name;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let text = self.obey(command, rest).await?;
        Ok(Response::new(GreetReply { text }))
    }

    type GreetAllStream = BoxStream<'static, Result<GreetReply, Status>>;

    async fn greet_all(
        &self,
        _: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Self::GreetAllStream>, Status> {
        Err(Status::unimplemented("one line at a time"))
    }
}

impl Console {
    fn broker(&self) -> Result<Broker, Status> {
        self.host.broker().map_err(failed)
    }

    async fn obey(&self, command: &str, rest: &str) -> Result<String, Status> {
        match command {
            // For the calls that Echo makes to its host.
            "connect" => self.echo.set_broker(&self.broker()?),
            "running" => return Ok(self.echo.running.load(Ordering::SeqCst).to_string()),
            "stats" => return self.stats(),
            "descriptors" => return Ok(descriptors().to_string()),
            "env" => return Ok(std::env::var(rest).unwrap_or_default()),
            "version" => return Ok(format!("{:?}", self.host.version())),
            "hand" => return self.hand(rest.parse().map_err(failed)?),
            "forget" => drop(std::mem::take(&mut *self.handed.lock())),
            "dial" => try_join_all(rest.split(' ').map(|id| self.dial(id))).await.map(drop)?,
            "why-id" => return Ok(why(self.dial(rest).await)),
            "why" => {
                let mut client = tonic::client::Grpc::new(self.broker()?.open(rest)?);
                client.ready().await?;
                let path = format!("/{rest}/Any").parse().map_err(failed)?;
                let codec = tonic_prost::ProstCodec::<Word, Word>::default();
                let called = client.unary(Request::new(Word::default()), path, codec).await;
                return Ok(why(called));
            }
            "bytes" => {
                let broker = self.broker()?;
                let errors = [
                    broker.open_bytes("x").err(),
                    broker.dial_bytes(7_u32).err(),
                    broker.register_bytes().err(),
                ];
                let reasons = errors.map(|error| error.map(|error| error.reason()));
                return Ok(format!("{reasons:?}"));
            }
            "ping" => return Ok(why(self.broker()?.ping().await.map_err(|it| it.to_status()))),
            "translate" => {
                let mut client = DictionaryClient::new(self.broker()?.open("demo.v1.Dictionary")?);
                let word = Word { text: rest.to_owned() };
                return Ok(client.translate(word).await?.into_inner().text);
            }
            "log" => tracing::warn!(number = 7, "{rest}"),
            "put" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                let state = self.host.state().map_err(failed)?;
                state.put(key, value.to_owned()).await.map_err(failed)?;
            }
            "get" => {
                let state = self.host.state().map_err(failed)?;
                let got = state.get(rest).await.map_err(failed)?;
                let value = got.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
                return Ok(format!("{value:?}"));
            }
            _ => return Err(Status::invalid_argument(format!("no such command: {command}"))),
        }
        Ok(String::new())
    }

    /// Registers so many, and says their numbers.
    fn hand(&self, count: usize) -> Result<String, Status> {
        let broker = self.broker()?;
        let made: Vec<_> =
            (0..count).map(|_| broker.register(self.echo.clone().server())).collect();
        let numbers: Vec<_> = made.iter().map(|made| made.number().to_string()).collect();
        self.handed.lock().extend(made);
        Ok(numbers.join(" "))
    }

    async fn dial(&self, id: &str) -> Result<(), Status> {
        let id: u32 = id.parse().map_err(failed)?;
        let mut client = EchoClient::new(self.broker()?.dial(id)?);
        let sent = Payload { seq: id.into(), data: vec![7] };
        let got = client.unary(sent.clone()).await?.into_inner();
        if got == sent { Ok(()) } else { Err(Status::data_loss("something else came back")) }
    }

    /// What the plugin's end holds, with this very call.
    fn stats(&self) -> Result<String, Status> {
        let stats = self.broker()?.stats();
        Ok(format!(
            "channels={} streams={} registrations={} serving={}",
            stats.channels, stats.streams, stats.registrations, stats.serving,
        ))
    }
}

/// Why it failed, if the broker says so.
fn why<T>(outcome: Result<T, Status>) -> String {
    match outcome {
        Ok(_) => "nothing failed".to_owned(),
        Err(status) => match Error::of(&status) {
            Some(error) => format!("{:?}", error.reason()),
            None => format!("status {:?}", status.code()),
        },
    }
}
