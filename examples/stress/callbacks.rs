//! Calls that the plugin answers with calls to a service registered for them.

use crate::job::Failure;
use crate::job::Job;
use crate::job::same;
use crate::payload::Sum;
use crate::payload::Way;
use crate::plan::Cut;
use crate::proto::Back;
use crate::proto::Level;
use crate::proto::Summary;

type Outcome = Result<(), Failure>;

/// The plugin calls back once for each part, all at the same time. What it calls
/// belongs to the call or to this function.
pub async fn callback(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let service = job.run.broker.register(job.run.worker.server());
    let mut request =
        job.request(Back { call: job.call, pieces: job.plan.parts, callback: service.id().get() });
    let held = if job.plan.variant {
        service.for_call(request.extensions_mut());
        None
    } else {
        Some(service)
    };
    let call = client.callback(request);
    let summary = job.while_registered(held, call).await?.into_inner();
    job.done_with(client);
    let mut sum = Sum::default();
    for index in 1..=job.plan.parts {
        let answer = job.source().piece(job.call, index, Way::Back);
        sum.add(&answer.data);
    }
    same(&summary, &sum.of(job.call))
}

/// The plugin calls back, and is called back within that, and so on.
pub async fn nested(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let service = job.run.broker.register(job.run.worker.server());
    let request = job.request(Level {
        call: job.call,
        level: 0,
        depth: job.plan.parts,
        callback: service.id().get(),
        deadline: matches!(job.plan.cut, Cut::Deadline(_)),
    });
    let call = client.nest(request);
    let summary = job.while_registered(service, call).await?.into_inner();
    job.done_with(client);
    let expected = Summary { call: job.call, pieces: job.plan.parts + 1, ..Summary::default() };
    same(&summary, &expected)
}
