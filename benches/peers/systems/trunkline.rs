//! Trunkline: the parent is a host, the child its plugin. Everything is as a user gets it
//! by default. A sub-channel is a service that the host registers and the plugin dials.

use std::process::ExitCode;

use tonic::Request;
use tonic::Response;
use tonic::Status;
use trunkline::Broker;
use trunkline::Offers;
use trunkline::Registration;
use trunkline::SubChannel;
use trunkline::WeakBroker;
use trunkline::host::Host;
use trunkline::host::PluginCommand;
use trunkline::plugin::HostHandle;
use trunkline::plugin::Plugin;

use crate::Failure;
use crate::figures::Figures;
use crate::options;
use crate::parent::Parent;
use crate::parent::Registrar;
use crate::proto::Base;
use crate::proto::Nothing;
use crate::proto::child_client::ChildClient;
use crate::proto::child_server::Child;
use crate::proto::child_server::ChildServer;
use crate::proto::parent_client::ParentClient;
use crate::proto::parent_server::ParentServer;
use crate::work;

trunkline::client!(ParentClient, "peers.v1.Parent");
trunkline::client!(ChildClient, "peers.v1.Child");

#[derive(Clone)]
struct Registry(WeakBroker);

impl Registrar for Registry {
    type Registration = Registration;

    fn register(
        &self,
        service: ParentServer<Parent<Self>>,
    ) -> Result<(u64, Registration), Failure> {
        let broker = self.0.upgrade().ok_or("the trunk is gone")?;
        let registration = broker.register(service);
        Ok((registration.id().get(), registration))
    }
}

pub async fn launch(options: &options::Parent) -> Result<Figures, Failure> {
    let (report, mut reports) = super::reports();
    let host = Host::new("peers", "1").offer_with(move |plugin, offers| {
        let parent = Parent::new(Registry(plugin.broker.clone()), report.clone());
        offers.service(ParentServer::new(parent))
    });
    let command = PluginCommand::new(std::env::current_exe()?).args(super::arguments(options));
    let plugin = host.launch("peers", command).grant("peers.v1.Parent").start().await?;
    let mut child: ChildClient<SubChannel> = plugin.client()?;
    child.start(Base::default()).await?;
    let report = tokio::select! {
        biased;
        Some(report) = reports.recv() => report,
        end = plugin.ended() => return Err(format!("the plugin ended: {end:?}").into()),
    };
    plugin.stop().await;
    report.try_into()
}

pub async fn child(options: options::Child) -> ExitCode {
    let worker = |host| Offers::new().service(ChildServer::new(Worker { host, options }));
    Plugin::new("peers", "1").serve(worker).await
}

/// The plugin.
struct Worker {
    host: HostHandle,
    options: options::Child,
}

#[tonic::async_trait]
impl Child for Worker {
    async fn start(&self, _: Request<Base>) -> Result<Response<Nothing>, Status> {
        let broker = self.host.broker().map_err(|error| error.to_status())?;
        let base = broker.open("peers.v1.Parent").map_err(|error| error.to_status())?;
        let (caller, options) = (Caller { broker, base }, self.options.clone());
        // Not in this handler, so that the calls are not made on behalf of one.
        tokio::spawn(async move {
            if let Err(error) = work::run(caller, &options.plan, options.started_at).await {
                eprintln!("peers: no report could be made: {error}");
            }
        });
        Ok(Response::new(Nothing {}))
    }
}

#[derive(Clone)]
struct Caller {
    broker: Broker,
    base: SubChannel,
}

impl work::Caller for Caller {
    type Channel = SubChannel;

    const HAS_SUB_CHANNELS: bool = true;

    fn base(&self) -> SubChannel {
        self.base.clone()
    }

    async fn dial(&self, id: u64) -> Result<SubChannel, Failure> {
        Ok(self.broker.dial(id)?)
    }
}
