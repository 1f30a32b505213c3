//! Serving a host that was built on go-plugin.

use std::env;
use std::io;
use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::sync::watch;
use tracing::level_filters::LevelFilter;

use crate::broker::Broker;
use crate::broker::EndReason;
use crate::broker::Limits;
use crate::broker::Offers;
use crate::broker::WeakBroker;
use crate::goplugin::Handshake;
use crate::goplugin::Reattach;
use crate::goplugin::plugin::Listening;
use crate::goplugin::plugin::Stdio;
use crate::goplugin::plugin::Surroundings;
use crate::plugin::host::HostHandle;
use crate::plugin::orphan::Parent;
use crate::plugin::orphan::ParentWatch;
use crate::plugin::serve::ServeError;
use crate::plugin::stdio::LogWriter;
use crate::plugin::stdio::Lost;
use crate::plugin::stdio::Redirect;
use crate::plugin::stdio::install_panic_hook;
use crate::services::log::Log;
use crate::services::log::hclog;

/// How long the last lines of the log may take to be written. The host kills a plugin
/// two seconds after it was told to end.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// What go-plugin says to people who start a plugin by hand, to the letter: tools look
/// for it.
pub(super) const REFUSAL: &str = "\
This binary is a plugin. These are not meant to be executed directly.
Please execute the program that consumes these plugins, which will
load any plugins automatically
";

/// What go-plugin says if the author has given no magic cookie, to the letter.
pub(super) const NO_COOKIE: &str = "\
Misconfigured ServeConfig given to serve this plugin: no magic cookie
key or value was set. Please notify the plugin author and report
this as a bug.
";

/// How a plugin serves hosts that were built on go-plugin.
#[derive(Debug)]
pub(super) struct GoPlugin {
    pub(super) handshake: Handshake,
    /// What the application's services are, for reflection.
    pub(super) descriptors: Vec<Vec<u8>>,
    pub(super) outlives_host: bool,
}

/// Who starts a plugin: nobody, as far as can be seen, or a host that was built on
/// go-plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookie {
    /// The author has not given one.
    Missing,
    Wrong,
    Right,
}

/// What the environment has of the plugin's cookie.
pub(super) fn cookie(handshake: &Handshake) -> Cookie {
    let (key, value) = (handshake.cookie_key(), handshake.cookie_value());
    if key.is_empty() || value.is_empty() {
        return Cookie::Missing;
    }
    match env::var(key) {
        Ok(found) if found == value => Cookie::Right,
        _ => Cookie::Wrong,
    }
}

/// The version that the plugin and a host that offers some in the environment speak with
/// each other. `None` if the host offers none.
pub(super) fn offered_version(handshake: &Handshake) -> Option<u32> {
    let says = surroundings();
    says.offers_versions().then(|| says.version(handshake))
}

impl GoPlugin {
    pub(super) async fn serve(
        self,
        name: String,
        limits: Limits,
        log: Log,
        services: impl FnOnce(HostHandle) -> Offers,
    ) -> Result<(), ServeError> {
        // Consumed, not ignored: the host gets them too, and decides.
        let interrupts = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
        let says = surroundings();
        let version = says.version(&self.handshake);
        let weak = WeakBroker::default();
        let offers = services(HostHandle::new(weak.clone(), log.clone(), Some(version)));
        let listening = Listening::start(&says, version, limits, self.descriptors);
        let listening = listening.map_err(ServeError::Listen)?;
        let parent = match self.outlives_host {
            true => None,
            false => Some(Parent::find().map_err(ServeError::System)?),
        };
        print(listening.line()).map_err(ServeError::System)?;

        let lost = {
            let log = log.clone();
            move |lost: Lost| {
                let Lost { channel, bytes } = lost;
                log.warn(format!("the host does not read {channel:?}: {bytes} bytes are lost"));
            }
        };
        let (redirect, output) = Redirect::start(lost).map_err(ServeError::System)?;
        let redirect = Arc::new(redirect);
        install_panic_hook(redirect.log_writer());
        write_log(&log, redirect.log_writer(), name).map_err(ServeError::System)?;
        let flush = {
            // What serves the host must not keep the output from being put back.
            let redirect = Arc::downgrade(&redirect);
            move || {
                let redirect = redirect.upgrade();
                async move {
                    if let Some(redirect) = redirect {
                        redirect.flushed().await;
                    }
                }
                .boxed()
            }
        };
        let stdio = Stdio { output: output.boxed(), flush: Arc::new(flush) };
        let serving = listening.serve(offers, Some(stdio), &weak).await;
        let (broker, hosts) = serving.map_err(ServeError::Listen)?;
        let parent = parent.map(|parent| ParentWatch::start(parent, hosts.clone()));
        let parent = parent.transpose().map_err(ServeError::System)?;
        let log_interrupts = tokio::spawn(log_interrupts(interrupts, log.clone()));
        let ended = until_ended(&broker, hosts, parent).await;
        log_interrupts.abort();
        // What fails here has nobody to tell.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, log.flush()).await;
        drop(redirect);
        match ended {
            EndReason::PeerClosed | EndReason::Closed => Ok(()),
            reason => Err(ServeError::Ended(reason)),
        }
    }

    /// Serves any host that knows where, until it is interrupted.
    pub(super) async fn serve_standalone(
        self,
        name: String,
        limits: Limits,
        log: Log,
        services: impl FnOnce(HostHandle) -> Offers,
        ready: impl FnOnce(&Reattach),
    ) -> Result<(), ServeError> {
        let mut interrupts = signal(SignalKind::interrupt()).map_err(ServeError::System)?;
        let says = Surroundings::default();
        let version = says.version(&self.handshake);
        let weak = WeakBroker::default();
        let writer = LogWriter::to_stderr().map_err(ServeError::System)?;
        write_log(&log, writer, name).map_err(ServeError::System)?;
        let offers = services(HostHandle::new(weak.clone(), log, Some(version)));
        let listening = Listening::start(&says, version, limits, self.descriptors);
        let listening = listening.map_err(ServeError::Listen)?;
        let reattach = listening.reattach();
        let (broker, _) = listening.serve(offers, None, &weak).await.map_err(ServeError::Listen)?;
        if let Some(reattach) = reattach {
            ready(&reattach.test(true));
        }
        tokio::select! {
            _ = interrupts.recv() => broker.close(),
            () = broker.drained() => {}
        }
        broker.closed().await;
        broker.gone().await;
        Ok(())
    }
}

fn surroundings() -> Surroundings {
    Surroundings::read(|name| env::var(name).ok())
}

/// Prints the line that the host waits for, and nothing else.
fn print(line: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// Waits until the host has ended the plugin, or is gone.
async fn until_ended(
    broker: &Broker,
    mut hosts: watch::Receiver<usize>,
    parent: Option<ParentWatch>,
) -> EndReason {
    let orphaned = async {
        match &parent {
            Some(parent) => parent.gone().await,
            None => std::future::pending().await,
        }
        // Another host may have taken over. An error: there is no session any more.
        let _ = hosts.wait_for(|hosts| *hosts == 0).await;
    };
    tokio::select! {
        reason = broker.closed() => {
            broker.gone().await;
            reason
        }
        () = orphaned => {
            broker.close();
            broker.gone().await;
            EndReason::Lost(None)
        }
    }
}

/// Writes the log to the standard error that the host gave, from a thread: it waits for
/// the host to read.
fn write_log(log: &Log, writer: LogWriter, name: String) -> io::Result<()> {
    // As go-plugin's own: its hosts choose.
    log.set_level(LevelFilter::TRACE);
    let writing = log.write_to(move |record| writer.write_line(&hclog::line(record, &name)));
    let runtime = Handle::current();
    let thread = thread::Builder::new().name("trunkline-log".to_owned());
    thread.spawn(move || {
        // An error: the author has attached the log elsewhere, where it now goes.
        let _ = runtime.block_on(writing);
    })?;
    Ok(())
}

async fn log_interrupts(mut interrupts: tokio::signal::unix::Signal, log: Log) {
    let mut count = 0_u64;
    while interrupts.recv().await.is_some() {
        count += 1;
        log.trace(format!("plugin received interrupt signal {count}, ignoring"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_cookie_of_its_own_a_plugin_trusts_nobody() {
        let cookie = |key: &str, value: &str| cookie(&Handshake::new(key, value));
        assert_eq!(cookie("", "x"), Cookie::Missing);
        assert_eq!(cookie("PATH", ""), Cookie::Missing);
        assert_eq!(cookie("PATH", "not this"), Cookie::Wrong);
        let path = env::var("PATH").expect("a path");
        assert_eq!(cookie("PATH", &path), Cookie::Right);
    }
}
