//! An application as its author writes it: launches the greeter and calls it.
//!
//! ```text
//! cargo build --examples && cargo run --example greeter_host -- Ada Grace
//! ```

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use demo::dictionary_server::{Dictionary, DictionaryServer};
use demo::{GreetRequest, Word, greeter_client::GreeterClient};
use tonic::{Request, Response, Status};
use trunkline::SubChannel;
use trunkline::host::{Exit, Host, PluginCommand};

mod demo {
    tonic::include_proto!("demo.v1");
}
trunkline::client!(GreeterClient, "demo.v1.Greeter");

/// Greets people by way of a plugin.
#[derive(Parser)]
struct Options {
    /// The plugin to launch [default: greeter_plugin beside this program]
    #[arg(long)]
    plugin: Option<PathBuf>,
    /// Who is to be greeted
    #[arg(default_value = "world")]
    names: Vec<String>,
}

/// What the plugin may ask for.
#[derive(Clone)]
struct French;

#[tonic::async_trait]
impl Dictionary for French {
    async fn translate(&self, word: Request<Word>) -> Result<Response<Word>, Status> {
        match word.get_ref().text.as_str() {
            "hello" => Ok(Response::new(Word { text: "bonjour".to_owned() })),
            other => Err(Status::not_found(format!("no French for {other:?}"))),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour).init();
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            // A status shows itself at length; a plugin that died shows in its cause.
            let status = error.downcast_ref().map(|status: &Status| status.message().to_owned());
            let exit = Exit::of(&*error).map(|exit| format!(": the plugin ended with {exit}"));
            let message = status.unwrap_or_else(|| error.to_string());
            eprintln!("greeter_host: {message}{}", exit.unwrap_or_default());
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let beside = std::env::current_exe()?.with_file_name("greeter_plugin");
    let command = PluginCommand::new(options.plugin.unwrap_or(beside));
    let host =
        Host::new("greeter_host", env!("CARGO_PKG_VERSION")).offer(DictionaryServer::new(French));
    // Nothing but the log is granted by default.
    let plugin = host.launch("greeter", command).grant("demo.v1.Dictionary").start().await?;

    let mut greeter: GreeterClient<SubChannel> = plugin.client()?;
    let greetings = async {
        for name in options.names {
            let reply = greeter.greet(GreetRequest { name }).await?;
            println!("{}", reply.into_inner().text);
        }
        Ok::<_, Status>(ExitCode::SUCCESS)
    };
    let result = tokio::select! {
        result = greetings => result,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(130)),
    };
    plugin.stop().await;
    Ok(result?)
}
