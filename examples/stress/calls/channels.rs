//! Sub-channels that are opened, used once or never, and dropped; refusals;
//! leases that end.

use futures::future::try_join_all;
use tonic::Status;
use trunkline::Error;
use trunkline::Reason;

use super::Failure;
use super::Job;
use crate::ends::Client;
use crate::ends::Way;
use crate::ends::client;
use crate::proto::Ask;

type Outcome = Result<(), Failure>;

pub async fn opens(job: &Job) -> Outcome {
    let mut unused = Vec::new();
    let mut calls = Vec::new();
    for index in 0..job.shape.parts {
        unused.push(job.end.open()?);
        calls.push(one(job, job.end.open()?, index));
    }
    try_join_all(calls).await?;
    drop(unused);
    if job.shape.variant { refused(job).await } else { leased(job).await }
}

/// One call on a sub-channel that goes with it.
async fn one(job: &Job, mut client: Client, index: u32) -> Outcome {
    let piece = job.source().piece(job.call, index, Way::There);
    let answer = client.unary(job.request(piece)).await?.into_inner();
    job.check(&answer, index)
}

/// Sub-channels that must be refused.
async fn refused(job: &Job) -> Outcome {
    let unknown = client(job.end.broker.open("stress.v1.Nothing")?);
    let never_given = client(job.end.broker.dial(job.call)?);
    for mut client in [unknown, never_given] {
        let piece = job.source().piece(job.call, job.shape.parts, Way::There);
        match client.unary(job.request(piece)).await {
            Ok(_) => return Err(Failure::Wrong("an unknown service answered".to_owned())),
            Err(status) if reason(&status) == Some(Reason::Unknown) => {}
            Err(status) => return Err(status.into()),
        }
    }
    Ok(())
}

/// A service that the other end has registered for as long as a response lasts.
async fn leased(job: &Job) -> Outcome {
    let mut owner = job.client()?;
    let ask = job.request(Ask { call: job.call, pieces: 0 });
    let mut lease = owner.lease(ask).await?.into_inner();
    job.done_with(owner);
    let Some(reply) = lease.message().await? else {
        return Err(Failure::Wrong("a lease ended by itself".to_owned()));
    };
    let mut client = client(job.end.broker.dial(reply.id)?);
    let mut index = job.shape.parts;
    one(job, client.clone(), index).await?;
    drop(lease);
    // The end of the lease takes its way through the other end's tasks. One that never
    // ends is a call that hangs.
    loop {
        index += 1;
        let piece = job.source().piece(job.call, index, Way::There);
        match client.unary(job.request(piece)).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) if reason(&status) == Some(Reason::Closed) => return Ok(()),
            Err(status) => return Err(status.into()),
        }
    }
}

fn reason(status: &Status) -> Option<Reason> {
    Error::of(status).map(Error::reason)
}
