//! An application whose plugins may be built on hashicorp/go-plugin: it drives the plugin
//! of go-plugin's own example `bidirectional`, and its twin in Rust. Which of the two it
//! has launched makes no difference below.
//!
//! ```text
//! cargo build --examples
//! cargo run --example goplugin_host -- put hello 1
//! cargo run --example goplugin_host -- --plugin ./counter-go-grpc --mtls get hello
//! ```

use std::error::Error;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use proto::add_helper_server::{AddHelper, AddHelperServer};
use proto::{GetRequest, PutRequest, SumRequest, SumResponse, counter_client::CounterClient};
use tonic::{Request, Response, Status};
use trunkline::SubChannel;
use trunkline::goplugin::Handshake;
use trunkline::host::{GoPlugin, Host, PluginCommand, PluginHandle};

mod proto {
    tonic::include_proto!("counter/proto");
}
trunkline::client!(CounterClient, "proto.Counter");

/// Counts by way of a plugin, which keeps the counters but cannot add.
#[derive(Parser)]
struct Options {
    /// The plugin to launch [default: goplugin_plugin beside this program]
    #[arg(long)]
    plugin: Option<PathBuf>,
    /// Speak go-plugin's wire even with a plugin that knows Trunkline's own
    #[arg(long)]
    go: bool,
    /// Encrypt it with certificates made for this run (go-plugin's AutoMTLS)
    #[arg(long)]
    mtls: bool,
    /// Ask for one connection that carries all others (go-plugin 1.6 and newer)
    #[arg(long)]
    mux: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Adds to a counter
    Put {
        key: String,
        #[arg(allow_negative_numbers = true)]
        value: i64,
    },
    /// Prints a counter
    Get { key: String },
}

/// What the plugin cannot do itself.
struct Adder;

#[tonic::async_trait]
impl AddHelper for Adder {
    async fn sum(&self, numbers: Request<SumRequest>) -> Result<Response<SumResponse>, Status> {
        let SumRequest { a, b } = numbers.into_inner();
        let sum = a.checked_add(b).ok_or_else(|| Status::out_of_range("the sum is too large"))?;
        Ok(Response::new(SumResponse { r: sum }))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let colour = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colour).init();
    match run(Options::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("goplugin_host: {}", message(&*error));
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {}", message(error));
                cause = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// A status would show itself at length.
fn message(error: &(dyn Error + 'static)) -> String {
    let status = error.downcast_ref().map(|status: &Status| status.message().to_owned());
    status.unwrap_or_else(|| error.to_string())
}

async fn run(options: Options) -> Result<ExitCode, Box<dyn Error>> {
    let beside = std::env::current_exe()?.with_file_name("goplugin_plugin");
    let command = PluginCommand::new(options.plugin.unwrap_or(beside));
    let handshake = Handshake::new("BASIC_PLUGIN", "hello").version(1);
    let go_plugin =
        GoPlugin::new(handshake).auto_mtls(options.mtls).multiplex(options.mux).native(!options.go);
    let host = Host::new("goplugin_host", env!("CARGO_PKG_VERSION"));
    let launch = host.launch("counter", command).go_plugin(go_plugin);

    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let plugin = tokio::select! {
        plugin = launch.start() => plugin?,
        // A launch that is given up leaves no process. The program's own end would leave
        // one: a plugin in Go does not notice that its host is gone.
        _ = &mut interrupted => return Ok(ExitCode::from(130)),
    };
    tracing::info!(dialect = ?plugin.dialect(), version = plugin.version(), "launched");
    let result = tokio::select! {
        result = perform(&plugin, options.task) => result.map(|()| ExitCode::SUCCESS),
        _ = &mut interrupted => Ok(ExitCode::from(130)),
    };
    plugin.stop().await;
    result
}

async fn perform(plugin: &PluginHandle, task: Task) -> Result<(), Box<dyn Error>> {
    let mut counter: CounterClient<SubChannel> = plugin.client()?;
    match task {
        Task::Put { key, value } => {
            // A service for this one call. go-plugin knows no services of the host by
            // name: they are registered, and their numbers travel in messages.
            let adder = plugin.broker().register(AddHelperServer::new(Adder));
            let put = PutRequest { add_server: adder.number(), key, value };
            let mut request = Request::new(put);
            adder.for_call(request.extensions_mut());
            counter.put(request).await?;
        }
        Task::Get { key } => {
            let got = counter.get(GetRequest { key }).await?;
            println!("{}", got.into_inner().value);
        }
    }
    Ok(())
}
