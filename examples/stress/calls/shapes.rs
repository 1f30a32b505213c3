//! Calls of each of gRPC's shapes, byte streams and counters.

use futures::StreamExt;
use futures::stream;

use super::Cut;
use super::Failure;
use super::Job;
use super::job::same;
use crate::ends::Way;
use crate::ends::echo;
use crate::proto::Ask;
use crate::proto::Back;
use crate::proto::Counter;
use crate::proto::Summary;

type Outcome = Result<(), Failure>;

pub async fn unary(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let piece = job.source().piece(job.call, 0, Way::There);
    let piece = client.unary(job.request(piece)).await?.into_inner();
    job.done_with(client);
    job.check(&piece, 0)
}

pub async fn client(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let request = job.request(stream::iter(job.pieces()));
    let summary = client.client_stream(request).await?.into_inner();
    job.done_with(client);
    let expected = job.source().summary(job.call, job.shape.parts, Way::There);
    same(&summary, &expected)
}

pub async fn server(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let request = job.request(Ask { call: job.call, pieces: job.shape.parts });
    let mut pieces = client.server_stream(request).await?.into_inner();
    job.done_with(client);
    let mut index = 0;
    job.cut_at(index)?;
    while let Some(piece) = pieces.message().await? {
        job.check(&piece, index)?;
        index += 1;
        job.cut_at(index)?;
    }
    same(&index, &job.shape.parts)
}

pub async fn bidi(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let (answered, wait) = tokio::sync::watch::channel(0);
    // Either as fast as it goes, or each piece after the answer to the last.
    let in_turn = job.shape.variant;
    let pieces = stream::iter(job.pieces()).then(move |piece| {
        let mut wait = wait.clone();
        async move {
            if in_turn {
                // Fails if nobody waits for answers any more.
                let _ = wait.wait_for(|answered| *answered >= piece.index).await;
            }
            piece
        }
    });
    let mut answers = client.bidi(job.request(pieces)).await?.into_inner();
    job.done_with(client);
    let mut index = 0;
    job.cut_at(index)?;
    while let Some(piece) = answers.message().await? {
        job.check(&piece, index)?;
        index += 1;
        answered.send_replace(index);
        job.cut_at(index)?;
    }
    same(&index, &job.shape.parts)
}

/// A stream to the other end's echo, opened from here or dialled from there.
pub async fn bytes(job: &Job) -> Outcome {
    let piece = job.source().piece(job.call, 1, Way::There);
    let length = piece.data.len() as u64 * u64::from(job.shape.parts);
    let cut = match job.shape.cut {
        Cut::Part(part) => Some(piece.data.len() as u64 * u64::from(part)),
        _ => None,
    };
    let worker = &job.end.worker;
    if job.shape.variant {
        let stream = job.end.broker.open_bytes(echo::NAME)?;
        echo::call(worker, stream, job.call, length, cut).await?;
        return cut.map_or(Ok(()), |_| Err(Failure::Cut));
    }
    let mut listener = job.end.broker.register_bytes()?;
    let mut client = job.client()?;
    let back = job.request(Back { call: job.call, callback: listener.id().map_or(0, u64::from) });
    let echo = async {
        // It cannot end: the listener is here.
        match listener.accept().await {
            Some(stream) => {
                // Its registration is not needed any more.
                drop(listener);
                Ok(echo::call(worker, stream, job.call, length, cut).await?)
            }
            None => std::future::pending().await,
        }
    };
    let call = async { Ok::<_, Failure>(client.bytes(back).await?.into_inner()) };
    if cut.is_some() {
        // What becomes of the call when its stream is dropped is the other end's own.
        return tokio::select! {
            biased;
            echoed = echo => echoed.and(Err(Failure::Cut)),
            Err(failure) = call => Err(failure),
        };
    }
    let (summary, ()) = tokio::try_join!(call, echo)?;
    let expected = Summary { call: job.call, bytes: length, ..Summary::default() };
    same(&summary, &expected)
}

pub async fn state(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let (call, key) = (job.call, job.shape.parts);
    let summary = client.count(job.request(Counter { call, key })).await?;
    job.done_with(client);
    let expected = Summary { call, ..Summary::default() };
    same(summary.get_ref(), &expected)
}
