//! Sub-channels that are opened, used once or never, and dropped; refusals;
//! leases that end.

use futures::future::try_join_all;
use tonic::Status;
use trunkline::Error;
use trunkline::Reason;

use crate::job::Failure;
use crate::job::Job;
use crate::payload::Way;
use crate::proto::Ask;
use crate::worker::Client;
use crate::worker::client;

type Outcome = Result<(), Failure>;

pub async fn open(job: &Job) -> Outcome {
    let mut unused = Vec::new();
    let mut calls = Vec::new();
    for index in 0..job.plan.parts {
        unused.push(job.run.open()?);
        calls.push(one(job, job.run.open()?, index));
    }
    try_join_all(calls).await?;
    drop(unused);
    if job.plan.variant { refused(job).await } else { leased(job).await }
}

/// One call on a sub-channel that goes with it.
async fn one(job: &Job, mut client: Client, index: u32) -> Outcome {
    let piece = job.source().piece(job.call, index, Way::There);
    let answer = client.unary(job.request(piece)).await?.into_inner();
    job.check(&answer, index)
}

/// Sub-channels that must be refused.
async fn refused(job: &Job) -> Outcome {
    let unknown = client(job.run.broker.open("stress.v1.Nothing")?);
    let never_given = client(job.run.broker.dial(job.call)?);
    for mut client in [unknown, never_given] {
        let piece = job.source().piece(job.call, job.plan.parts, Way::There);
        match client.unary(job.request(piece)).await {
            Ok(_) => return Err(Failure::Wrong("an unknown service answered".to_owned())),
            Err(status) if reason(&status) == Some(Reason::Unknown) => {}
            Err(status) => return Err(status.into()),
        }
    }
    Ok(())
}

/// A service that the plugin has registered for as long as a response lasts.
async fn leased(job: &Job) -> Outcome {
    let mut owner = job.client()?;
    let ask = job.request(Ask { call: job.call, pieces: 0 });
    let mut lease = owner.lease(ask).await?.into_inner();
    job.done_with(owner);
    let Some(reply) = lease.message().await? else {
        return Err(Failure::Wrong("a lease ended by itself".to_owned()));
    };
    let mut client = client(job.run.broker.dial(reply.id)?);
    let mut index = job.plan.parts;
    one(job, client.clone(), index).await?;
    drop(lease);
    // The end of the lease takes its way through the plugin's tasks.
    let give_up = tokio::time::Instant::now() + job.patience;
    loop {
        index += 1;
        let piece = job.source().piece(job.call, index, Way::There);
        match client.unary(job.request(piece)).await {
            Ok(_) if job.run.is_overdue(give_up - job.patience, job.patience) => {
                let still = format!("a service still answers after its lease, call {index}");
                return Err(Failure::Wrong(still));
            }
            Ok(_) => tokio::task::yield_now().await,
            Err(status) if reason(&status) == Some(Reason::Closed) => return Ok(()),
            Err(status) => return Err(status.into()),
        }
    }
}

fn reason(status: &Status) -> Option<Reason> {
    Error::of(status).map(Error::reason)
}
