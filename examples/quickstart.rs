//! Everything once, in one file: the program starts itself as its own plugin, calls
//! it, and is called back for its log, its state store and a service of its own.

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use demo::{GreetReply, GreetRequest, Word};
use demo::{dictionary_client::DictionaryClient, greeter_client::GreeterClient};
use demo::{dictionary_server::*, greeter_server::*};
use futures::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use trunkline::host::{Host, PluginCommand};
use trunkline::plugin::{HostHandle, Plugin};
use trunkline::services::state::MemoryStore;
use trunkline::{Offers, SubChannel};

mod demo {
    tonic::include_proto!("demo.v1");
}
trunkline::client!(DictionaryClient, "demo.v1.Dictionary");
trunkline::client!(GreeterClient, "demo.v1.Greeter");

/// A service of the application, which the plugin calls.
#[derive(Clone)]
struct French;

#[tonic::async_trait]
impl Dictionary for French {
    async fn translate(&self, word: Request<Word>) -> Result<Response<Word>, Status> {
        println!("  the plugin asks for the French of {:?}", word.get_ref().text);
        Ok(Response::new(Word { text: "bonjour".to_owned() }))
    }
}

/// What the plugin serves. To greet, it logs, counts and asks for a translation.
struct PoliteGreeter {
    host: HostHandle,
}

#[tonic::async_trait]
impl Greeter for PoliteGreeter {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetReply>, Status> {
        let name = request.into_inner().name;
        tracing::info!("greeting {name}");
        let next = |old: Option<&[u8]>| vec![old.map_or(1, |old| old[0] + 1)];
        let counted = self.host.state()?.update("greetings", next).await;
        let count = counted.map_err(|error| Status::internal(error.to_string()))?.value[0];
        let mut dictionary: DictionaryClient<SubChannel> = self.host.channel()?;
        let hello = dictionary.translate(Word { text: "hello".to_owned() }).await?.into_inner();
        let text = format!("{} {name}, you are number {count}", hello.text);
        Ok(Response::new(GreetReply { text }))
    }

    type GreetAllStream = BoxStream<'static, Result<GreetReply, Status>>;

    async fn greet_all(
        &self,
        names: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Self::GreetAllStream>, Status> {
        let reply = |name: Result<GreetRequest, _>| {
            Ok(GreetReply { text: "salut ".to_owned() + &name?.name })
        };
        Ok(Response::new(names.into_inner().map(reply).boxed()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    if std::env::args().nth(1).as_deref() == Some("plugin") {
        let services = |host| Offers::new().service(GreeterServer::new(PoliteGreeter { host }));
        return Ok(Plugin::new("quickstart", "1.0").serve(services).await);
    }
    tracing_subscriber::fmt().without_time().with_ansi(std::io::stdout().is_terminal()).init();
    let store = Arc::new(MemoryStore::new());
    let host = Host::new("quickstart", "1.0").offer(DictionaryServer::new(French)).state(store);
    let command = PluginCommand::new(std::env::current_exe()?).arg("plugin");
    let launch = host.launch("greeter", command).grant("demo.v1.Dictionary").grant_state();
    let plugin = launch.start().await?;
    println!("the plugin runs as process {}", plugin.pid());

    let mut greeter: GreeterClient<SubChannel> = plugin.client()?;
    let request = |name: &str| GreetRequest { name: name.to_owned() };
    for name in ["Ada", "Grace"] {
        println!("calling Greet for {name}");
        println!("  reply: {}", greeter.greet(request(name)).await?.into_inner().text);
    }
    println!("calling GreetAll, a stream each way");
    let names = futures::stream::iter(["Barbara", "Edsger"].map(request));
    let mut replies = greeter.greet_all(names).await?.into_inner();
    while let Some(reply) = replies.message().await? {
        println!("  reply: {}", reply.text);
    }
    let seen = plugin.broker().totals();
    plugin.stop().await;
    println!("ok: {} calls, {} sub-channels, 1 stream", seen.calls, seen.channels);
    Ok(ExitCode::SUCCESS)
}
