//! Drives the volume plugins of Docker from the command line: those that it finds where the
//! daemon would, or in other folders.
//!
//! ```text
//! cargo run --example docker_client -- plugins
//! cargo run --example docker_client -- create folders data --opt label=mine
//! cargo run --example docker_client -- --json inspect folders data
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use trunkline::docker::{
    CallError, Client, Directories, GetError, Location, Registry, RetryPolicy,
};

use shown::plain;
use tasks::Lacking;

#[path = "../docker_volume_plugin/messages.rs"]
mod messages;
mod shown;
mod tasks;

/// The exit codes beside success and those of a command line that is wrong (2).
const REFUSED: u8 = 1;
const UNREACHABLE: u8 = 3;
const NO_PLUGIN: u8 = 4;
const OTHER: u8 = 5;
const INTERRUPTED: u8 = 130;

/// Drives Docker's volume plugins.
#[derive(Parser)]
#[command(args_override_self = true)]
#[command(after_help = "Exit codes: 0 done; 1 the plugin refused; 2 the command line is wrong; \
    3 the plugin cannot be reached, or gave no good answer; 4 there is no such plugin, or it \
    makes no volumes; 5 the system failed; 130 interrupted.")]
struct Options {
    /// Look for sockets in this folder [default: /run/docker/plugins]
    #[arg(long, value_name = "FOLDER")]
    sockets: Option<PathBuf>,
    /// Look for spec files in these folders, in this order [default: Docker's]
    #[arg(long, value_name = "FOLDER")]
    specs: Vec<PathBuf>,
    /// How many seconds to wait for a plugin that is starting
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS", value_parser = seconds)]
    wait: f64,
    /// How many seconds to wait for an answer
    #[arg(long, default_value_t = 120.0, value_name = "SECONDS", value_parser = seconds)]
    timeout: f64,
    /// Print what plugins answer as JSON
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Lists the plugins that there are, and what each implements
    Plugins,
    /// Activates a plugin, and prints what it implements
    Activate { plugin: String },
    /// Creates a volume
    Create {
        #[command(flatten)]
        volume: Volume,
        /// An option for the plugin
        #[arg(long = "opt", value_name = "NAME=VALUE", value_parser = option)]
        opts: Vec<(String, String)>,
    },
    /// Prints what a plugin knows of a volume
    Inspect(Volume),
    /// Lists the volumes of a plugin
    List { plugin: String },
    /// Makes a volume ready for somebody, and prints where it is
    Mount(Mount),
    /// Says that somebody does not need a volume any more
    Unmount(Mount),
    /// Removes a volume
    Remove(Volume),
    /// Prints where a volume is
    Path(Volume),
    /// Prints what a plugin is capable of
    Capabilities { plugin: String },
}

#[derive(Args)]
struct Volume {
    plugin: String,
    volume: String,
}

#[derive(Args)]
struct Mount {
    #[command(flatten)]
    volume: Volume,
    /// Who needs it: the same for mounting and unmounting
    #[arg(long, default_value = "docker_client")]
    id: String,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().map_err(|_| "it is not a number".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(_) => Ok(seconds),
        Err(error) => Err(error.to_string()),
    }
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let registry = registry(&options);
    let done = tokio::select! {
        done = tasks::run(&registry, &options) => done,
        // Whatever is under way is given up, also a pause between two attempts.
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("docker_client: {}", plain(&error.to_string()));
            let mut cause = error.source();
            while let Some(error) = cause {
                eprintln!("  because: {}", plain(&error.to_string()));
                cause = error.source();
            }
            ExitCode::from(code(&*error))
        }
    }
}

fn registry(options: &Options) -> Registry {
    let system = Directories::system();
    let sockets = options.sockets.as_deref().unwrap_or(system.sockets());
    let specs = if options.specs.is_empty() { system.specs() } else { &options.specs };
    // With 0 there is one attempt.
    let wait = RetryPolicy::default().give_up_after(Duration::from_secs_f64(options.wait));
    let timeout = Duration::from_secs_f64(options.timeout);
    // Plugins are activated with it, too.
    let client = move |location: &Location| {
        let mut builder = Client::builder(location.address());
        if let Some(options) = location.tls() {
            builder = builder.tls(options);
        }
        Ok(builder.build()?.with_timeout(timeout))
    };
    Registry::with_clients(Directories::new(sockets, specs), client).with_retry(wait)
}

/// What the caller's script is told.
fn code(error: &(dyn Error + 'static)) -> u8 {
    if let Some(error) = error.downcast_ref() {
        return match error {
            GetError::Find(_) | GetError::NotImplemented { .. } => NO_PLUGIN,
            _ => UNREACHABLE,
        };
    }
    if error.is::<Lacking>() {
        return UNREACHABLE;
    }
    match error.downcast_ref() {
        Some(CallError::Refused { .. }) => REFUSED,
        Some(_) => UNREACHABLE,
        None => OTHER,
    }
}
