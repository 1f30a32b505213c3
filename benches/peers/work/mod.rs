//! The measured work, the same for every system in Rust; `benches/peers/go/work.go` is
//! the same in Go. The child does it: it calls back into its parent.

use std::future::Future;

use bytes::Bytes;
use http_body::Body as HttpBody;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::codegen::StdError;

use crate::Failure;
use crate::figures::Figures;
use crate::plan::Phase;
use crate::plan::Plan;
use crate::proto;
use crate::proto::Count;
use crate::proto::Payload;
use crate::proto::Registered;
use crate::proto::SubChannel;
use crate::proto::parent_client::ParentClient;

mod beside;
mod bulk;
mod callers;
mod idle;
pub mod latency;
mod opens;
mod speed;

/// What a generated client can be made of: tonic's channel, and a sub-channel.
pub trait Transport:
    GrpcService<
        Body,
        ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Transport for T where
    T: GrpcService<
            Body,
            ResponseBody: HttpBody<Data = Bytes, Error: Into<StdError> + Send> + Send,
            Future: Send,
        > + Clone
        + Send
        + Sync
        + 'static
{
}

/// How a child reaches its parent.
pub trait Caller: Clone + Send + Sync + 'static {
    type Channel: Transport;

    /// Whether many sub-channels share what connects the processes. If not, each is a
    /// connection of its own, and a small call beside a bulk transfer is one on the same
    /// connection, so that always a single connection is compared.
    const HAS_SUB_CHANNELS: bool;

    /// What the child has from the start.
    fn base(&self) -> Self::Channel;

    /// Opens a sub-channel that the parent has registered.
    fn dial(&self, id: u64) -> impl Future<Output = Result<Self::Channel, Failure>> + Send;
}

/// A client of one sub-channel.
type Client<C> = ParentClient<<C as Caller>::Channel>;

/// Opens sub-channels to the parent.
struct Opener<C: Caller> {
    caller: C,
    base: Client<C>,
}

impl<C: Caller> Opener<C> {
    /// Opens one sub-channel and makes the first call on it.
    async fn open(&self) -> Result<Client<C>, Failure> {
        let registered = self.base.clone().register(Count { sub_channels: 1 }).await?.into_inner();
        open(&self.caller, only(&registered)?).await
    }
}

/// What was registered, if it was one.
fn only(registered: &Registered) -> Result<SubChannel, Failure> {
    Ok(*registered.sub_channels.first().ok_or("no sub-channel was registered")?)
}

/// Dials a sub-channel and makes the first call on it, which must be answered by the
/// service that was registered for it.
async fn open<C: Caller>(caller: &C, sub_channel: SubChannel) -> Result<Client<C>, Failure> {
    let mut client = ParentClient::new(caller.dial(sub_channel.id).await?);
    let label = client.identify(payload()).await?.into_inner().label;
    if label == sub_channel.label {
        Ok(client)
    } else {
        Err(format!("sub-channel {} was answered on {label}", sub_channel.label).into())
    }
}

/// What every small call carries, both ways.
fn payload() -> Payload {
    Payload { data: Bytes::from_static(&[7; 64]) }
}

/// Does what the plan says, and reports it to the parent.
pub async fn run<C: Caller>(caller: C, plan: &Plan, started_at: u64) -> Result<(), Failure> {
    let mut base = ParentClient::new(caller.base());
    let figures = match plan.phase {
        Phase::Cold => first_callback(base.clone(), started_at).await,
        Phase::Speed => speed::measure(caller, plan).await,
        Phase::Idle => idle::measure(caller, plan).await,
        Phase::Scale => idle::scale(caller, plan).await,
    };
    let report = match figures {
        Ok(figures) => figures.into(),
        Err(error) => proto::Figures { failure: in_full(&*error), ..Default::default() },
    };
    base.report(report).await?;
    Ok(())
}

async fn first_callback<T: Transport>(
    mut base: ParentClient<T>,
    started_at: u64,
) -> Result<Figures, Failure> {
    base.echo(payload()).await?;
    let mut figures = Figures::default();
    figures.set("cold_start_ms_p50", (crate::clock::now() - started_at) as f64 / 1e6);
    Ok(figures)
}

/// An error with its causes.
fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
