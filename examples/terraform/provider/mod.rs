//! A provider that runs: how it is started and spoken to. What can be asked of it is in
//! `calls`.

mod calls;
mod client;
mod failure;
mod identity;
mod resources;
mod values;

pub use client::Client;
pub use identity::IdentitySchema;
pub use resources::Applied;
pub use resources::PlanAnswer;
pub use resources::PlanQuestion;

use std::env;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tonic::Status;
use tracing::Level;
use trunkline::goplugin::Handshake;
use trunkline::host::Dialect;
use trunkline::host::GoPlugin;
use trunkline::host::Host;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::services::state::RedbStore;

use crate::interrupt::Interrupted;
use crate::locate::Located;
use crate::locate::ProviderAddress;
use crate::locate::Source;
use crate::log::LastWords;
use crate::options::SourceOptions;
use crate::report::Failed;
use crate::report::Report;
use crate::report::explain;
use crate::report::sentence;
use crate::tfplugin;
use crate::tfplugin::diagnostic::Diagnostic;
use crate::tfplugin::schema::ProviderSchema;
use crate::tfplugin::wire::tfplugin as wire;

/// How long a provider may take to start: a minute, as in Terraform. Large ones take seconds
/// on a machine that is busy.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How Terraform's own log is set up, from which providers take their level.
const LOG_VARIABLE: &str = "TF_LOG";

/// How what every provider logs of its own answers is set up: the errors in them are shown
/// already, as diagnostics.
const ANSWERS_LOG_VARIABLE: &str = "TF_LOG_SDK_PROTO";

/// Turns TLS off, whatever its value.
const NO_TLS_VARIABLE: &str = "TF_DISABLE_PLUGIN_TLS";

/// A provider that runs.
#[derive(Debug)]
pub struct Provider {
    pub address: ProviderAddress,
    plugin: PluginHandle,
    client: Client,
    last_words: LastWords,
    interrupted: Interrupted,
}

impl Provider {
    /// Starts a provider, or connects to one that runs already.
    ///
    /// Dropping the future leaves no process.
    pub async fn start(
        located: Located,
        options: &SourceOptions,
        last_words: LastWords,
        interrupted: Interrupted,
        report: &mut Report,
    ) -> Result<Self, Failed> {
        let Located { address, source } = located;
        let subject = format!("provider[\"{address}\"]");
        let mut host = Host::new("terraform", env!("CARGO_PKG_VERSION"));
        if let Some(file) = &options.store {
            let store = RedbStore::open(file).await.map_err(|error| {
                let detail = format!("{}: {}", file.display(), explain(&error));
                report.fail(&subject, "Failed to open the store", detail)
            })?;
            host = host.state(Arc::new(store));
        }
        let mut launch = match source {
            Source::Program(program) => {
                let mut command = PluginCommand::new(program);
                if env::var_os(LOG_VARIABLE).is_none() {
                    let level = crate::log::level();
                    command = command.env(LOG_VARIABLE, level.as_str());
                    if level == Level::WARN {
                        command = command.env(ANSWERS_LOG_VARIABLE, "OFF");
                    }
                }
                host.launch(&*address.name, command)
            }
            Source::Running(plugin) => host.reattach(&*address.name, plugin),
        };
        let with_tls = !options.no_mtls && env::var_os(NO_TLS_VARIABLE).is_none();
        let clients = client::clients(options.protocol);
        let cookie = Handshake::new(tfplugin::COOKIE_KEY, tfplugin::COOKIE_VALUE);
        let go_plugin =
            GoPlugin::new(clients.handshake(cookie)).auto_mtls(with_tls).native(!options.no_native);
        if options.store.is_some() {
            launch = launch.grant_state();
        }
        let launch = launch.go_plugin(go_plugin).start_timeout(START_TIMEOUT);
        let plugin = launch.start().await.map_err(|error| {
            report.fail(&subject, "Failed to start the provider", sentence(&error))
        })?;
        plugin.log().set_level(crate::log::level());
        let client = match clients.of(&plugin) {
            Ok(client) => client,
            Err(error) => {
                plugin.stop().await;
                let summary = "Failed to reach the provider";
                return Err(report.fail(&subject, summary, sentence(&error)));
            }
        };
        let version = client.version();
        tracing::info!(dialect = ?plugin.dialect(), version, pid = plugin.pid(), "it runs");
        Ok(Self { address, plugin, client, last_words, interrupted })
    }

    /// Of Terraform's plugin protocol.
    pub fn version(&self) -> u32 {
        self.client.version()
    }

    /// What it is and how it is talked to, for programs.
    pub fn describe(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "address": self.address.to_string(),
            "protocol": self.version(),
            "dialect": "trunkline",
        });
        if let Dialect::GoPlugin { tls, .. } = self.plugin.dialect() {
            json["dialect"] = "go-plugin".into();
            json["tls"] = tls.into();
        }
        json
    }

    /// What diagnostics are about that concern the provider as a whole.
    pub fn subject(&self) -> String {
        format!("provider[\"{}\"]", self.address)
    }

    /// What it has. Asked for once in a run: it is large.
    pub async fn schema(&self, report: &mut Report) -> Result<ProviderSchema, Failed> {
        let subject = self.subject();
        let sent = self.call("GetProviderSchema", &subject, Client::get_schema, report).await?;
        let schema = ProviderSchema::try_from(sent)
            .map_err(|error| report.fail(&subject, "Invalid provider schema", sentence(&error)))?;
        report.take(&subject, schema.diagnostics.clone())?;
        Ok(schema)
    }

    /// Makes a call, unless an end was asked for.
    async fn call<T, F: Future<Output = Result<T, Status>>>(
        &self,
        method: &str,
        subject: &str,
        call: impl FnOnce(Client) -> F,
        report: &mut Report,
    ) -> Result<T, Failed> {
        if self.interrupted.is_set() {
            let detail = format!("It was interrupted before {method}, which was not begun.");
            return Err(report.fail(subject, "Request cancelled", detail));
        }
        tracing::debug!(method, "call");
        call(self.client.clone()).await.map_err(|status| {
            report.add(subject, self.explain(method, &status));
            Failed
        })
    }

    fn explain(&self, method: &str, status: &Status) -> Diagnostic {
        tracing::debug!(method, code = ?status.code(), message = status.message(), "failed");
        failure::diagnostic(method, status, &self.last_words.lines())
    }

    /// Asks the provider to give up what it is doing. The calls that run end by themselves
    /// then, most of them with errors.
    pub async fn ask_to_stop(&self) {
        match self.client.clone().stop_provider(wire::StopRequest {}).await {
            Ok(answer) if answer.error.is_empty() => {}
            Ok(answer) => tracing::warn!(error = answer.error, "the provider cannot stop"),
            Err(status) => tracing::warn!(
                code = ?status.code(), message = status.message(),
                "the provider was not asked to stop"
            ),
        }
    }

    /// Ends it in order.
    pub async fn shut_down(&self) {
        let end = self.plugin.stop().await;
        tracing::info!(?end, "the provider has ended");
    }

    /// Ends it at once.
    pub async fn kill(&self) {
        self.plugin.kill().await;
    }
}
