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
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::interrupt::Interrupted;
use crate::interrupt::Signals;
use crate::locate::Located;
use crate::locate::locate;
use crate::log::LastWords;
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
    let Ok((located, documents)) = prepare(&options, &mut report) else {
        output.finish(&report);
        return ExitCode::from(FAILURE);
    };
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "there is no runtime");
            return ExitCode::from(FAILURE);
        }
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
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "signals cannot be caught");
            return FAILURE;
        }
    };
    let Options { source, command, .. } = options;
    let mut report = Report::default();
    let (interrupt, interrupted) = Interrupted::new();
    let starting = Provider::start(located, &source, last_words, interrupted.clone(), &mut report);
    let started = tokio::select! {
        started = starting => started,
        // A provider that is about to start has nothing to finish.
        signal = signals.next() => return signal.exit_code(),
    };
    let Ok(provider) = started else {
        output.finish(&report);
        return FAILURE;
    };

    let work = async {
        let (mut session, ready) =
            Session::new(&provider, documents, interrupted.clone(), output).await;
        let result = match ready {
            Ok(()) => commands::run(&mut session, command).await,
            Err(failed) => Err(failed),
        };
        let has_failed = result.is_err() || session.report.has_errors();
        let was_read = session.output.finish(&session.report);
        if has_failed || !was_read { FAILURE } else { 0 }
    };
    // Boxed, for it is large and would be part of every future around it.
    let code = supervise(&provider, Box::pin(work), &mut signals, &interrupt).await;
    tokio::select! {
        () = provider.shut_down() => {}
        _ = signals.next() => provider.kill().await,
    }
    code
}

/// Does the work. The first signal has the provider asked to give up; the work then ends by
/// itself, and keeps what there is. The second kills the provider, so that the call that
/// waits for it fails.
async fn supervise(
    provider: &Provider,
    mut work: Pin<Box<impl Future<Output = u8>>>,
    signals: &mut Signals,
    interrupt: &watch::Sender<bool>,
) -> u8 {
    let signal = tokio::select! {
        code = &mut work => return code,
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
        () = killing => {}
    }
    signal.exit_code()
}
