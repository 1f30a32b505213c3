//! `GRPCStdio`: what a plugin writes to standard output and error while it
//! serves, as a stream that the host reads. Both ends.

#![cfg_attr(
    not(test),
    expect(dead_code, reason = "used when go-plugin's hosts and plugins are there")
)]

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::Waker;

use bytes::Bytes;
use futures::Stream;
use futures::StreamExt;
use futures::stream::Fuse;
use parking_lot::Mutex;
use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::body::Body;
use tonic::client::GrpcService;

use crate::goplugin::wire::StdioData;
use crate::goplugin::wire::grpc_stdio_client::GrpcStdioClient;
use crate::goplugin::wire::grpc_stdio_server::GrpcStdio;
use crate::goplugin::wire::stdio_data;

/// Which of the two streams something was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
}

/// The plugin's end: sends what the given stream yields to the host that asks.
///
/// Only one call at a time gets it. A second one takes over and ends the first;
/// a chunk that the first had taken, and not delivered yet, may be lost, as in
/// go-plugin. A call ends when the stream does: the stream of a plugin that has
/// nothing to say should stay open, e.g. as `futures::stream::pending()`.
#[derive(Debug)]
pub(crate) struct StdioService<S> {
    shared: Arc<Mutex<Shared<S>>>,
}

#[derive(Debug)]
struct Shared<S> {
    chunks: Fuse<S>,
    /// The number of the call that gets the chunks.
    turn: u64,
    /// Wakes that call.
    waker: Option<Waker>,
}

impl<S: Stream> StdioService<S> {
    /// The stream is polled only while a call is there, and by that call.
    pub(crate) fn new(chunks: S) -> Self {
        let shared = Shared { chunks: chunks.fuse(), turn: 0, waker: None };
        Self { shared: Arc::new(Mutex::new(shared)) }
    }
}

#[tonic::async_trait]
impl<S> GrpcStdio for StdioService<S>
where
    S: Stream<Item = (Channel, Bytes)> + Send + Unpin + 'static,
{
    type StreamStdioStream = Call<S>;

    async fn stream_stdio(
        &self,
        _: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        let mut shared = self.shared.lock();
        shared.turn += 1;
        let turn = shared.turn;
        let waker = shared.waker.take();
        drop(shared);
        // The call before this one learns that it has ended.
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(Response::new(Call { shared: Arc::clone(&self.shared), turn }))
    }
}

/// One call of [`StdioService`].
#[derive(Debug)]
pub(crate) struct Call<S> {
    shared: Arc<Mutex<Shared<S>>>,
    turn: u64,
}

impl<S> Stream for Call<S>
where
    S: Stream<Item = (Channel, Bytes)> + Unpin,
{
    type Item = Result<StdioData, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut shared = self.shared.lock();
        if shared.turn != self.turn {
            return Poll::Ready(None);
        }
        shared.waker = Some(cx.waker().clone());
        let next = shared.chunks.poll_next_unpin(cx);
        next.map(|chunk| chunk.map(|(channel, data)| Ok(message(channel, data))))
    }
}

fn message(channel: Channel, data: Bytes) -> StdioData {
    let channel = match channel {
        Channel::Stdout => stdio_data::Channel::Stdout,
        Channel::Stderr => stdio_data::Channel::Stderr,
    };
    StdioData { channel: channel.into(), data }
}

/// The host's end: hands on what the plugin writes, as it comes, in the order
/// of each of the two streams. It may be cut anywhere, also within a character.
/// A message for a stream that there is not is dropped and logged.
///
/// Resolves to `Ok` when the plugin ends the call, is gone, or does not have
/// the service. It is to be spawned, as early as possible, and read for as long
/// as the plugin lives: a Go plugin answers the call only with its first
/// output, perhaps never, and blocks in its output while nobody reads it.
///
/// # Errors
///
/// Any other status with which the call ended: what is still to come is lost,
/// and the plugin may block.
///
/// # Cancel safety
///
/// Dropping the future ends the call; what was on its way is lost.
pub(crate) async fn read<T>(
    mut client: GrpcStdioClient<T>,
    mut each: impl FnMut(Channel, Bytes),
) -> Result<(), Status>
where
    T: GrpcService<Body>,
    T::Error: Into<Box<dyn Error + Send + Sync>>,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<Box<dyn Error + Send + Sync>> + Send,
{
    let mut stream = match client.stream_stdio(()).await {
        Ok(response) => response.into_inner(),
        Err(status) => return ended(status),
    };
    loop {
        let StdioData { channel, data } = match stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Ok(()),
            Err(status) => return ended(status),
        };
        match stdio_data::Channel::try_from(channel) {
            Ok(stdio_data::Channel::Stdout) => each(Channel::Stdout, data),
            Ok(stdio_data::Channel::Stderr) => each(Channel::Stderr, data),
            Ok(stdio_data::Channel::Invalid) | Err(_) => {
                let bytes = data.len();
                tracing::warn!(channel, bytes, "output of a plugin to an unknown stream is lost");
            }
        }
    }
}

/// As go-plugin's host: these are how the call ends when the plugin does.
fn ended(status: Status) -> Result<(), Status> {
    match status.code() {
        Code::Unavailable | Code::Unimplemented | Code::Cancelled => Ok(()),
        _ => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;
    use tonic::Streaming;

    use super::*;
    use crate::goplugin::wire::grpc_stdio_server::GrpcStdioServer;

    type Chunk = (Channel, Bytes);
    type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

    fn service() -> (mpsc::Sender<Chunk>, StdioService<ReceiverStream<Chunk>>) {
        let (sender, receiver) = mpsc::channel(9);
        (sender, StdioService::new(ReceiverStream::new(receiver)))
    }

    fn client<S>(service: S) -> GrpcStdioClient<GrpcStdioServer<S>>
    where
        S: GrpcStdio,
    {
        GrpcStdioClient::new(GrpcStdioServer::new(service))
    }

    fn out(text: &'static str) -> Chunk {
        (Channel::Stdout, Bytes::from_static(text.as_bytes()))
    }

    fn err(text: &'static str) -> Chunk {
        (Channel::Stderr, Bytes::from_static(text.as_bytes()))
    }

    async fn next(stream: &mut Streaming<StdioData>) -> Result<Bytes> {
        Ok(stream.message().await?.ok_or("the stream has ended")?.data)
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_plugin_writes_reaches_the_host_in_order() -> Result {
        let (sender, service) = service();
        let written = [out("one\n"), err("\u{1F980}"), out(""), err("end")];
        for chunk in written.clone() {
            sender.send(chunk).await?;
        }
        drop(sender);
        let mut heard = Vec::new();
        read(client(service), |channel, data| heard.push((channel, data))).await?;
        assert_eq!(heard, written);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_with_nothing_to_say_stays_open() -> Result {
        let mut client = client(StdioService::new(stream::pending()));
        let mut stream = client.stream_stdio(()).await?.into_inner();
        let waited = tokio::time::timeout(std::time::Duration::from_secs(9), stream.message());
        assert!(waited.await.is_err());
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_call_takes_over_and_ends_the_first() -> Result {
        let (sender, service) = service();
        let mut client = client(service);
        let mut first = client.stream_stdio(()).await?.into_inner();
        sender.send(out("1")).await?;
        assert_eq!(next(&mut first).await?, "1");
        let waiting = tokio::spawn(async move { first.message().await });
        tokio::task::yield_now().await;
        let mut second = client.stream_stdio(()).await?.into_inner();
        assert_eq!(waiting.await??, None);
        sender.send(out("2")).await?;
        assert_eq!(next(&mut second).await?, "2");
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_after_one_that_was_dropped_gets_the_rest() -> Result {
        let (sender, service) = service();
        let mut client = client(service);
        drop(client.stream_stdio(()).await?);
        sender.send(out("kept")).await?;
        let mut second = client.stream_stdio(()).await?.into_inner();
        assert_eq!(next(&mut second).await?, "kept");
        drop(sender);
        assert_eq!(second.message().await?, None);
        let mut third = client.stream_stdio(()).await?.into_inner();
        assert_eq!(third.message().await?, None);
        Ok(())
    }

    /// A plugin that sends these messages, then this status.
    struct Scripted(Vec<StdioData>, Status);

    #[tonic::async_trait]
    impl GrpcStdio for Scripted {
        type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<StdioData, Status>> + Send>>;

        async fn stream_stdio(
            &self,
            _: Request<()>,
        ) -> Result<Response<Self::StreamStdioStream>, Status> {
            if self.0.is_empty() {
                return Err(self.1.clone());
            }
            let messages = self.0.clone().into_iter().map(Ok);
            let messages = messages.chain([Err(self.1.clone())]).collect::<Vec<_>>();
            Ok(Response::new(Box::pin(stream::iter(messages))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn output_to_an_unknown_stream_does_not_end_the_call() -> Result {
        let data = |channel, text: &'static str| StdioData { channel, data: text.into() };
        let messages = vec![data(0, "?"), data(1, "o"), data(7, "?"), data(2, "e")];
        let mut heard = Vec::new();
        let client = client(Scripted(messages, Status::unavailable("gone")));
        read(client, |channel, data| heard.push((channel, data))).await?;
        assert_eq!(heard, [out("o"), err("e")]);
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_has_ended_or_has_no_such_service_is_no_error() {
        let message = message(Channel::Stdout, Bytes::new());
        for (code, normal) in [
            (Code::Unavailable, true),
            (Code::Unimplemented, true),
            (Code::Cancelled, true),
            (Code::Internal, false),
            (Code::OutOfRange, false),
        ] {
            for messages in [vec![], vec![message.clone()]] {
                let client = client(Scripted(messages, Status::new(code, "")));
                assert_eq!(read(client, |_, _| {}).await.is_ok(), normal, "{code}");
            }
        }
    }
}
