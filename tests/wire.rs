//! The protocol against a scripted peer that another gRPC stack could be, frame
//! by frame, with either end dialling. The sentences are those of
//! docs/PROTOCOL.md.

mod support;

#[path = "support/raw.rs"]
mod raw;

#[path = "wire/bytes.rs"]
mod bytes;
#[path = "wire/calls.rs"]
mod calls;
#[path = "wire/carrier.rs"]
mod carrier;
#[path = "wire/endings.rs"]
mod endings;
#[path = "wire/flow.rs"]
mod flow;
#[path = "wire/hello.rs"]
mod hello;
#[path = "wire/opening.rs"]
mod opening;
#[path = "wire/strangers.rs"]
mod strangers;
#[path = "wire/violations.rs"]
mod violations;

use std::convert::Infallible;
use std::future::Ready;

use ::bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use prost::Message;
use tonic::Status;
use tonic::body::Body as TonicBody;
use tower::Service;
use trunkline::Builder;
use trunkline::Offers;
use trunkline::Reason;
use trunkline::SubChannel;

type Request = http::Request<TonicBody>;
type Response = http::Response<TonicBody>;

/// Our end: a host that offers `demo.v1.Echo`, `raw.Echo`, which answers with
/// the body that it gets, and `raw.Stuck`, which reads nothing and never answers.
fn ours() -> Builder {
    support::host().offers(offers())
}

fn offers() -> Offers {
    Offers::new()
        .service(support::echo::Echo::default().server())
        .named("raw.Echo", tower::service_fn(echo))
        .named("raw.Stuck", tower::service_fn(stuck))
}

fn echo(request: Request) -> Ready<Result<Response, Infallible>> {
    std::future::ready(Ok(Response::new(request.into_body())))
}

/// Holds the request, unread.
async fn stuck(_request: Request) -> Result<Response, Infallible> {
    std::future::pending().await
}

/// A call without tonic's messages: its body is as long as the test says.
async fn call(
    mut channel: SubChannel,
    body: impl Into<Bytes>,
) -> Result<http::Response<trunkline::Body>, Status> {
    let request = http::Request::post("/raw.Echo/Any").body(Full::new(body.into()));
    channel.call(request.expect("a request")).await
}

/// The same, to the end of the response's body.
async fn call_whole(channel: SubChannel, body: impl Into<Bytes>) -> Result<Bytes, Status> {
    let response = call(channel, body).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}

fn reason(status: &Status) -> Option<Reason> {
    trunkline::Error::of(status).map(trunkline::Error::reason)
}

/// Bytes that tell their place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

/// Reads a gRPC message from a call's data.
fn read_message<M: Message + Default>(data: &[u8]) -> M {
    M::decode(&data[5..]).expect("a message")
}
