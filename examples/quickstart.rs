//! Everything once, in one file: the program starts itself as its own plugin, calls
//! it, and is called back for its log, its state store and a service of its own.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use demo::dictionary_server::{Dictionary, DictionaryServer};
use demo::greeter_server::{Greeter, GreeterServer};
use demo::{GreetReply, GreetRequest, Word, dictionary_client, greeter_client};
use futures::StreamExt;
use tonic::server::NamedService;
use tonic::{Request, Response, Status, Streaming};
use trunkline::host::{Host, PluginCommand};
use trunkline::plugin::{HostHandle, Plugin};
use trunkline::services::state::MemoryStore;
use trunkline::{Offers, SubChannel};

mod demo {
    tonic::include_proto!("demo.v1");
}
type GreeterClient = greeter_client::GreeterClient<SubChannel>;
type DictionaryClient = dictionary_client::DictionaryClient<SubChannel>;
type Replies = futures::stream::BoxStream<'static, Result<GreetReply, Status>>;

/// The application's own service, which the plugin calls.
#[derive(Clone)]
struct Words;

#[tonic::async_trait]
impl Dictionary for Words {
    async fn translate(&self, word: Request<Word>) -> Result<Response<Word>, Status> {
        let text = if word.get_ref().text == "hello" {
            "bonjour"
        } else {
            "?"
        };
        println!(
            "  app     was asked for {:?}, says {text:?}",
            word.get_ref().text
        );
        Ok(Response::new(Word {
            text: text.to_owned(),
        }))
    }
}

/// What the plugin serves: each greeting logs, counts and asks for a translation.
struct PoliteGreeter {
    host: HostHandle,
}

#[tonic::async_trait]
impl Greeter for PoliteGreeter {
    async fn greet(&self, who: Request<GreetRequest>) -> Result<Response<GreetReply>, Status> {
        let name = who.into_inner().name;
        tracing::info!("greeting {name}");
        let next =
            |old: Option<&[u8]>| vec![old.and_then(|old| old.first().copied()).unwrap_or(0) + 1];
        let counted = self.host.state()?.update("greetings", next).await;
        let count = counted
            .map_err(|error| Status::internal(error.to_string()))?
            .value[0];
        let mut dictionary = DictionaryClient::new(self.host.broker()?.open("demo.v1.Dictionary")?);
        let hello = dictionary
            .translate(Word {
                text: "hello".to_owned(),
            })
            .await?
            .into_inner();
        Ok(Response::new(GreetReply {
            text: format!("{} {name}, you are number {count}", hello.text),
        }))
    }

    type GreetAllStream = Replies;

    async fn greet_all(
        &self,
        names: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Replies>, Status> {
        let replies = names.into_inner().map(|name| {
            Ok(GreetReply {
                text: format!("hi {}", name?.name),
            })
        });
        Ok(Response::new(replies.boxed()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("plugin") {
        let plugin = Plugin::new("quickstart-plugin", "1.0");
        return plugin
            .serve(|host| Offers::new().service(GreeterServer::new(PoliteGreeter { host })))
            .await;
    }
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quickstart: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let colour = std::io::stdout().is_terminal();
    tracing_subscriber::fmt()
        .without_time()
        .with_target(false)
        .with_ansi(colour)
        .init();
    let host = Host::new("quickstart", "1.0")
        .offer(DictionaryServer::new(Words))
        .state(Arc::new(MemoryStore::new()));
    let command = PluginCommand::new(std::env::current_exe()?).arg("plugin");
    let launch = host
        .launch("greeter", command)
        .grant(DictionaryServer::<Words>::NAME)
        .grant_state();
    let plugin = launch.start().await?;
    println!(
        "started {} {}, process {}",
        plugin.name(),
        plugin.broker().peer().version,
        plugin.pid()
    );

    let mut greeter = GreeterClient::new(plugin.open(GreeterServer::<PoliteGreeter>::NAME)?);
    for name in ["Ada", "Grace"] {
        println!("call    Greet({name:?})");
        let reply = greeter
            .greet(GreetRequest {
                name: name.to_owned(),
            })
            .await?
            .into_inner();
        println!("reply   {:?}", reply.text);
    }
    println!("call    GreetAll, a stream each way");
    let names = ["Barbara", "Edsger", "Tony"].map(|name| GreetRequest {
        name: name.to_owned(),
    });
    let mut replies = greeter
        .greet_all(futures::stream::iter(names))
        .await?
        .into_inner();
    while let Some(reply) = replies.message().await? {
        println!("reply   {:?}", reply.text);
    }
    let stats = plugin.broker().stats();
    let end = plugin.stop().await;
    println!(
        "stopped: {}",
        end.exit
            .map_or("not ended".to_owned(), |exit| exit.to_string())
    );
    println!(
        "ok: {} calls, {} sub-channels, 1 stream",
        stats.calls_ever, stats.channels_ever
    );
    Ok(())
}
