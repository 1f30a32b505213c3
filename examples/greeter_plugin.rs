//! A plugin as its author writes it. Run `greeter_host`, which starts it; started by
//! hand it says what it is.

use std::process::ExitCode;

use demo::greeter_server::{Greeter, GreeterServer};
use demo::{GreetReply, GreetRequest, Word, dictionary_client::DictionaryClient};
use futures::StreamExt;
use futures::stream::BoxStream;
use tonic::{Request, Response, Status, Streaming};
use trunkline::plugin::{HostHandle, Plugin};
use trunkline::{Offers, SubChannel};

mod demo {
    tonic::include_proto!("demo.v1");
}
trunkline::client!(DictionaryClient, "demo.v1.Dictionary");

#[derive(Clone)]
struct PoliteGreeter {
    host: HostHandle,
}

impl PoliteGreeter {
    /// Asks the application how to say hello: a call back, made while it waits for us.
    async fn greeting(&self, name: &str) -> Result<GreetReply, Status> {
        tracing::info!(name, "greeting somebody");
        let mut dictionary: DictionaryClient<SubChannel> = self.host.channel()?;
        let word = dictionary.translate(Word { text: "hello".to_owned() }).await?;
        Ok(GreetReply { text: format!("{} {name}", word.into_inner().text) })
    }
}

#[tonic::async_trait]
impl Greeter for PoliteGreeter {
    async fn greet(&self, who: Request<GreetRequest>) -> Result<Response<GreetReply>, Status> {
        self.greeting(&who.get_ref().name).await.map(Response::new)
    }

    type GreetAllStream = BoxStream<'static, Result<GreetReply, Status>>;

    async fn greet_all(
        &self,
        names: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Self::GreetAllStream>, Status> {
        let greeter = self.clone();
        let replies = names.into_inner().then(move |who| {
            let greeter = greeter.clone();
            async move { greeter.greeting(&who?.name).await }
        });
        Ok(Response::new(replies.boxed()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    Plugin::new("greeter", env!("CARGO_PKG_VERSION"))
        .serve(|host| Offers::new().service(GreeterServer::new(PoliteGreeter { host })))
        .await
}
