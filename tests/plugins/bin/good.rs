//! The plugin that behaves: Echo for calls, and a console for everything else.

use std::collections::BTreeSet;
use std::env;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use futures::stream::BoxStream;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::Streaming;
use trunkline::Error;
use trunkline::Offers;
use trunkline::plugin::HostHandle;
use trunkline::plugin::Plugin;

use super::crimes;
use crate::support::demo::GreetReply;
use crate::support::demo::GreetRequest;
use crate::support::demo::Word;
use crate::support::demo::dictionary_client::DictionaryClient;
use crate::support::demo::greeter_server;
use crate::support::demo::greeter_server::GreeterServer;
use crate::support::echo::Echo;

/// Serves until the host says otherwise.
pub async fn main(name: &str) -> i32 {
    let plugin = Plugin::new(name, "1.0");
    let code = plugin.serve(|host| {
        let echo = Echo::default();
        let console = Console { host, echo: echo.clone() };
        Offers::new().service(echo.server()).service(GreeterServer::new(console))
    });
    i32::from(code.await != ExitCode::SUCCESS)
}

/// Does as it is told: `Greet` takes a line and answers with a text.
#[derive(Clone)]
struct Console {
    host: HostHandle,
    echo: Echo,
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
    async fn obey(&self, command: &str, rest: &str) -> Result<String, Status> {
        let failed = |error: &dyn std::error::Error| Status::internal(error.to_string());
        match command {
            // For the calls that Echo makes to its host.
            "connect" => self.echo.set_broker(&self.host.broker()?),
            "running" => return Ok(self.echo.running.load(Ordering::SeqCst).to_string()),
            "stats" => return self.stats(),
            "usage" => return Ok(usage()),
            "log" => log(rest),
            "translate" => {
                let mut client =
                    DictionaryClient::new(self.host.broker()?.open("demo.v1.Dictionary")?);
                let word = Word { text: rest.to_owned() };
                return Ok(client.translate(word).await?.into_inner().text);
            }
            "open" => {
                let mut client = DictionaryClient::new(self.host.broker()?.open(rest)?);
                client.translate(Word::default()).await?;
            }
            "why" => {
                let mut client = DictionaryClient::new(self.host.broker()?.open(rest)?);
                let status = client.translate(Word::default()).await.expect_err("it is refused");
                let error = Error::of(&status);
                let why = error.map(|error| format!("{:?} {:?}", error.reason(), error.fault()));
                return Ok(why.unwrap_or("none".to_owned()));
            }
            "put" => {
                let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
                let put = self.host.state()?.put(key, value.to_owned()).await;
                put.map_err(|error| failed(&error))?;
            }
            "get" => {
                let got = self.host.state()?.get(rest).await.map_err(|error| failed(&error))?;
                let value = got.map(|entry| String::from_utf8_lossy(&entry.value).into_owned());
                return Ok(format!("{value:?}"));
            }
            "env" => {
                let names: BTreeSet<String> = env::vars().map(|(name, _)| name).collect();
                return Ok(names.into_iter().collect::<Vec<_>>().join(" "));
            }
            "directory" => {
                let directory = env::current_dir().map_err(|error| failed(&error))?;
                return Ok(directory.display().to_string());
            }
            "stdin-of-a-child" => {
                let mut child = tokio::process::Command::new("readlink");
                let output = child.arg("/proc/self/fd/0").stdin(std::process::Stdio::inherit());
                let output = output.output().await.map_err(|error| failed(&error))?;
                return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
            }
            crime => return crimes::commit(crime, rest).await,
        }
        Ok(String::new())
    }

    /// What the plugin's end of the trunk holds, but for this very call and the log.
    fn stats(&self) -> Result<String, Status> {
        let broker = self.host.broker()?;
        let stats = broker.stats();
        Ok(format!(
            "channels={} streams={} registrations={} serving={} buffered={} ever={}",
            stats.channels,
            stats.streams,
            stats.registrations,
            stats.serving,
            stats.buffered,
            broker.totals().channels,
        ))
    }
}

/// Descriptors and tasks of this process.
fn usage() -> String {
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    format!("descriptors={} tasks={tasks}", crate::harness::descriptors())
}

/// Logs so many events at every level, within a span.
fn log(count: &str) {
    let span = tracing::info_span!("work", kind = "test");
    let _entered = span.enter();
    for number in 0..count.parse().unwrap_or(1u64) {
        tracing::error!(target: "good::shouts", number, ok = false, "an error");
        tracing::info!(number, name = "x", "an information");
        tracing::debug!(number, "a detail");
    }
}
