//! Drives Terraform providers: the programs that Terraform and OpenTofu install, as they are.
//!
//! ```text
//! cargo run --example terraform -- --provider ./terraform-provider-random schema
//! cargo run --example terraform -- --provider ./terraform-provider-random \
//!     apply random_string --set length=8 --state string.json
//! ```
//!
//! One provider, one resource at a time, a configuration in JSON instead of a language: what
//! is left of Terraform is what it says to its providers, in the order in which it says it,
//! and what it checks of their answers. `--help` has the commands, the exit codes and what is
//! printed; `state` has the file in which a resource is kept.
//!
//! | module | what is in it |
//! |---|---|
//! | `options`, `output`, `report`, `log`, `interrupt` | the command line and what is said on it |
//! | `locate` | which provider is meant |
//! | `provider` | one that runs: either version of the protocol, in values instead of bytes |
//! | `config` | configurations, as far as a schema can check them |
//! | `proposed` | what a provider is proposed to plan |
//! | `conform` | whether what it answers keeps to the rules |
//! | `change` | from a state to a plan to a new state |
//! | `state`, `keep` | the file between runs, and what happens if it cannot be written |
//! | `session`, `commands` | the commands, in terms of all of the above |
//! | `render` | what the user sees |
//! | `../tfplugin` | values, schemas and messages, shared with `terraform_provider` |

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::CommandFactory;
use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::Builder;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::interrupt::Interrupted;
use crate::interrupt::Signals;
use crate::locate::Located;
use crate::locate::locate;
use crate::log::LastWords;
use crate::options::Command;
use crate::options::Options;
use crate::output::Output;
use crate::provider::Provider;
use crate::render::Style;
use crate::report::Failed;
use crate::report::Report;
use crate::report::sentence;
use crate::session::Documents;
use crate::session::Session;

mod change;
mod commands;
mod config;
mod conform;
mod interrupt;
mod keep;
mod locate;
mod log;
mod options;
mod output;
mod proposed;
mod provider;
mod render;
mod report;
mod resource;
mod session;
mod state;
#[cfg(test)]
mod testing;
#[allow(dead_code, unused_imports, reason = "each of the two programs uses its part")]
#[path = "../tfplugin/mod.rs"]
mod tfplugin;

/// How long the work may go on when the provider was killed: it has to write files.
const LAST_WORK: Duration = Duration::from_secs(5);

/// How long the end of the output may take where that of the work took too long.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// The summary of an end that was asked for.
const INTERRUPTED: &str = "Interrupted";

/// Something failed, or a diagnostic is an error.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let options = Options::parse();
    if let Err(what) = options.check() {
        Options::command().error(ErrorKind::ArgumentConflict, what).exit();
    }
    let last_words = log::start(Style::for_stream(&std::io::stderr()).is_on());
    let output = Output::new(options.shared.json);
    let mut report = Report::default();
    let ready = prepare(&options, &mut report).and_then(|ready| {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            report.fail("", "Failed to start", format!("There is no runtime: {error}"))
        })?;
        Ok((ready, runtime))
    });
    let Ok(((located, documents), runtime)) = ready else {
        output.finish(&report);
        return ExitCode::from(FAILURE);
    };
    let code = runtime.block_on(run(options, located, documents, output, last_words));
    // A thread may still wait for standard input.
    runtime.shutdown_background();
    ExitCode::from(code)
}

/// Reads what has to be there before anything is started.
fn prepare(options: &Options, report: &mut Report) -> Result<(Located, Documents), Failed> {
    let config = options.command.config().and_then(|config| config.config.as_deref());
    let documents = Documents {
        config: config::load(config, report)?,
        provider: config::load(options.shared.provider_config.as_deref(), report)?,
    };
    match locate(&options.source) {
        Ok(located) => Ok((located, documents)),
        Err(error) if error.is_usage() => {
            Options::command().error(ErrorKind::MissingRequiredArgument, error).exit()
        }
        Err(error) => Err(report.fail("", "Failed to find the provider", sentence(&error))),
    }
}

async fn run(
    options: Options,
    located: Located,
    documents: Documents,
    output: Output,
    last_words: LastWords,
) -> u8 {
    let mut report = Report::default();
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            report.fail("", "Failed to start", format!("Signals cannot be caught: {error}"));
            output.finish(&report);
            return FAILURE;
        }
    };
    let Options { source, command, shared } = options;
    let (interrupt, interrupted) = Interrupted::new();
    let starting = Provider::start(located, &source, last_words, interrupted.clone(), &mut report);
    let started = tokio::select! {
        started = starting => Ok(started),
        // A provider that is about to start has nothing to finish.
        signal = signals.next() => Err(signal),
    };
    let provider = match started {
        Ok(Ok(provider)) => Arc::new(provider),
        Ok(Err(Failed)) => {
            output.finish(&report);
            return FAILURE;
        }
        Err(signal) => {
            report.fail("", INTERRUPTED, "The provider had not started yet. Nothing was done.");
            output.finish(&report);
            return signal.exit_code();
        }
    };
    let work = work(provider.clone(), command, documents, interrupted, output);
    // On a thread of its own: a task that computes for long may keep the runtime from seeing
    // signals.
    let runtime = Handle::current();
    let work = tokio::task::spawn_blocking(move || runtime.block_on(work));
    let code = supervise(&provider, work, &mut signals, &interrupt, shared.json).await;
    tokio::select! {
        () = provider.shut_down() => {}
        _ = signals.next() => provider.kill().await,
    }
    code
}

/// What a run is for.
async fn work(
    provider: Arc<Provider>,
    command: Command,
    documents: Documents,
    interrupted: Interrupted,
    output: Output,
) -> u8 {
    let (mut session, ready) = Session::new(&provider, documents, interrupted, output).await;
    let result = match ready {
        Ok(()) => commands::run(&mut session, command).await,
        Err(failed) => Err(failed),
    };
    let has_failed = result.is_err() || session.report.has_errors();
    let was_read = session.output.finish(&session.report);
    if has_failed || !was_read { FAILURE } else { 0 }
}

/// Does the work. The first signal has the provider asked to give up; the work then ends by
/// itself, and keeps what there is. The second kills the provider, so that the call that
/// waits for it fails.
async fn supervise(
    provider: &Provider,
    mut work: JoinHandle<u8>,
    signals: &mut Signals,
    interrupt: &watch::Sender<bool>,
    as_json: bool,
) -> u8 {
    let signal = tokio::select! {
        // A panic has said on standard error what it is.
        code = &mut work => return code.unwrap_or(FAILURE),
        signal = signals.next() => signal,
    };
    interrupt.send_replace(true);
    // Nothing can be done about a standard error that is closed.
    let _ = writeln!(
        std::io::stderr(),
        "Interrupted: the provider is asked to stop. Once more kills it, and what it was doing \
         may be lost."
    );
    let killing = async {
        let asking = async {
            provider.ask_to_stop().await;
            std::future::pending::<()>().await
        };
        tokio::select! {
            () = asking => {}
            _ = signals.next() => {}
        }
        provider.kill().await;
        tokio::time::sleep(LAST_WORK).await;
    };
    tokio::select! {
        _ = &mut work => {}
        () = killing => say_given_up(as_json).await,
    }
    signal.exit_code()
}

/// Ends the output of work that did not end by itself, unless nobody takes that either.
async fn say_given_up(as_json: bool) {
    let saying = tokio::task::spawn_blocking(move || {
        let mut report = Report::default();
        let detail = "The provider was killed, and the work did not end after that.";
        report.fail("", INTERRUPTED, detail);
        Output::new(as_json).finish(&report)
    });
    let _ = tokio::time::timeout(LAST_OUTPUT, saying).await;
}
