//! Calls that the plugin answers with calls of its own.

use trunkline::Registration;

use super::Cut;
use super::Failure;
use super::Job;
use super::Service;
use super::job::same;
use crate::proto::Level;
use crate::proto::Summary;
use crate::proto::Task;

type Outcome = Result<(), Failure>;

/// Has the plugin make the call, to the service that is offered to it by name or to
/// one that is registered for it.
pub async fn ask(job: &Job, service: Service) -> Outcome {
    let shape = job.shape;
    let mut client = job.client()?;
    let mut request = job.request(Task {
        call: job.call,
        kind: shape.kind as u32,
        parts: shape.parts,
        variant: shape.variant,
        channel: shape.channel as u32,
        callback: 0,
        cut: match shape.cut {
            Cut::Part(part) => Some(part),
            _ => None,
        },
    });
    let mut held = None;
    if service != Service::Named {
        let registered = register(job);
        request.get_mut().callback = registered.id().get();
        if service == Service::Bound {
            registered.for_call(request.extensions_mut());
        } else {
            held = Some(registered);
        }
    }
    let performed = job.while_registered(held, client.callback(request)).await?.into_inner();
    job.done_with(client);
    if performed.cut { Err(Failure::Cut) } else { Ok(()) }
}

/// The plugin calls back, and is called back within that, and so on.
pub async fn nested(job: &Job) -> Outcome {
    let mut client = job.client()?;
    let service = register(job);
    let request = job.request(Level {
        call: job.call,
        level: 0,
        depth: job.shape.parts,
        callback: service.id().get(),
        deadline: matches!(job.shape.cut, Cut::Deadline(_)),
    });
    let call = client.nest(request);
    let summary = job.while_registered(service, call).await?.into_inner();
    job.done_with(client);
    let expected = Summary { call: job.call, pieces: job.shape.parts + 1, ..Summary::default() };
    same(&summary, &expected)
}

fn register(job: &Job) -> Registration {
    job.end.broker.register(job.end.worker.server())
}
