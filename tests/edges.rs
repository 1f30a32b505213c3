//! The edges of what two brokers in one process do: large answers that nobody reads,
//! ends at awkward moments, names and statuses that are too long.

mod support;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http::Request;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use support::connect;
use support::demo::FailRequest;
use support::demo::Payload;
use support::demo::echo_client::EchoClient;
use support::echo::Echo;
use support::host;
use support::pair;
use support::plugin;
use support::settle;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tonic::Code;
use tonic::body::Body;
use tower::Service;
use trunkline::Error;
use trunkline::Offers;
use trunkline::Reason;
use trunkline::Registration;

fn payload(len: usize) -> Payload {
    Payload { seq: 0, data: vec![7; len] }
}

/// Keeps the request, unread, for good.
async fn keep(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let _unread = request;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn a_large_message_that_nobody_reads_keeps_no_other_from_being_sent() {
    let offers = Offers::new().service(Echo::default().server());
    let offers = offers.named("keeper", tower::service_fn(keep));
    let (host, _plugin) = connect(host(), plugin().offers(offers)).await;
    let keeper = EchoClient::new(host.open("keeper").expect("open"));
    let mut keeper = keeper.max_encoding_message_size(usize::MAX);
    let kept = tokio::spawn(async move { keeper.unary(payload(40 << 20)).await });
    settle().await;
    let mut echo = EchoClient::new(host.open("demo.v1.Echo").expect("open"));
    let answered = echo.unary(payload(200_000));
    let answered = tokio::time::timeout(Duration::from_secs(60), answered).await;
    answered.expect("not stalled").expect("answered");
    kept.abort();
}

#[tokio::test(start_paused = true)]
async fn byte_streams_that_nobody_reads_keep_no_call_from_being_sent() {
    let pair = pair().await;
    let mut listener = pair.plugin.register_bytes().expect("open");
    let id = listener.id().expect("registered");
    let mut held = Vec::new();
    for _ in 0..400 {
        let mut stream = pair.host.dial_bytes(id).expect("open");
        let writing = stream.write_all(&[0; 100_000]);
        let stalled = tokio::time::timeout(Duration::from_secs(1), writing).await;
        assert!(stalled.is_err(), "nobody reads");
        held.push((stream, listener.accept().await.expect("opened")));
    }
    let mut echo = pair.echo();
    let answered = tokio::time::timeout(Duration::from_secs(60), echo.unary(payload(200_000)));
    answered.await.expect("not stalled").expect("answered");
}

/// A service that owns the registration of another.
#[derive(Clone)]
struct Owner(Arc<Registration>);

impl tower::Service<Request<Body>> for Owner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let id = self.0.id().to_string();
        std::future::ready(Ok(Response::new(Body::new(id))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_may_own_the_registration_of_another() {
    let pair = pair().await;
    let inner = pair.host.register(Echo::default().server());
    let outer = pair.host.register(Owner(Arc::new(inner)));
    assert_eq!(pair.host.stats().registrations, 2);
    drop(outer);
    assert_eq!(pair.host.stats().registrations, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_outlasts_its_deadline_fails_with_it_even_if_it_is_read_later() {
    let pair = pair().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    sender.send(payload(10)).await.expect("room");
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut request = tonic::Request::new(requests);
    request.set_timeout(Duration::from_secs(3));
    let mut replies = pair.echo().bidi(request).await.expect("begun").into_inner();
    replies.message().await.expect("no error").expect("one");
    tokio::time::advance(Duration::from_secs(10)).await;
    settle().await;
    let status = replies.message().await.expect_err("not a good end");
    assert_eq!(Error::of(&status).expect("typed").reason(), Reason::Deadline);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_too_long_keeps_its_code() {
    let pair = pair().await;
    let message = "x".repeat(17_000);
    let fail = FailRequest { code: Code::NotFound as i32, message, details: Vec::new() };
    let status = pair.echo().fail(fail).await.expect_err("as asked");
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("at most 16384"), "{}", status.message());
    pair.echo().unary(payload(1)).await.expect("the trunk is whole");
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_too_long_is_refused_here_and_ends_nothing() {
    let pair = pair().await;
    let error = pair.host.open("x".repeat(200_000)).expect_err("too long");
    assert_eq!(error.reason(), Reason::MetadataTooLong);
    pair.echo().unary(payload(1)).await.expect("the trunk is whole");
}

#[tokio::test(start_paused = true)]
async fn what_is_registered_after_the_end_is_closed_at_once() {
    let pair = pair().await;
    pair.host.close();
    pair.host.closed().await;
    let mut listener = pair.host.register_bytes().expect("open");
    assert!(listener.accept().await.is_none());
    let registration = pair.host.register(Echo::default().server());
    assert_eq!(pair.host.stats().registrations, 0);
    drop(registration);
}

#[test]
fn the_end_of_the_runtime_of_a_trunk_is_told_on_every_other() {
    let runtime = || tokio::runtime::Runtime::new().expect("a runtime");
    let (first, second) = (runtime(), runtime());
    let (pair, mut listener) = first.block_on(async {
        let pair = pair().await;
        let listener = pair.host.register_bytes().expect("open");
        (pair, listener)
    });
    drop(first);
    second.block_on(async {
        pair.host.closed().await;
        assert!(listener.accept().await.is_none());
    });
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_asks_for_the_peer_before_anybody_else_sees_it() {
    let (a, b) = tokio::io::duplex(1 << 18);
    let builder = plugin();
    let weak = builder.weak();
    let name = move |_: Request<Body>| {
        let name = weak.upgrade().map(|broker| broker.peer().name.clone());
        async { Ok::<_, Infallible>(Response::new(Body::new(name.unwrap_or_default()))) }
    };
    let offers = Offers::new().named("name", tower::service_fn(name));
    let (host, plugin) = tokio::join!(host().dial(a), builder.offers(offers).accept(b));
    let (host, plugin) = (host.expect("a trunk"), plugin.expect("a trunk"));
    let mut client = EchoClient::new(host.open("name").expect("open"));
    let _not_grpc = client.unary(payload(1)).await;
    assert_eq!(plugin.peer().name, "host");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_says_whether_the_calls_did_finish() {
    let pair = pair().await;
    let mut client = pair.echo();
    let hanging = tokio::spawn(async move { client.hang(payload(1)).await });
    settle().await;
    let host = pair.host.clone();
    let shutdown = tokio::spawn(async move { host.shutdown(Duration::from_secs(60)).await });
    settle().await;
    pair.plugin.close();
    assert!(!shutdown.await.expect("no panic"), "one was cut off");
    hanging.await.expect("no panic").expect_err("cut off");
}

/// Answers at once, unless it is asked to hang.
async fn obey(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    if request.uri().path() == "/hang" {
        return std::future::pending().await;
    }
    Ok(tonic::Status::ok("done").into_http())
}

#[tokio::test(start_paused = true)]
async fn on_one_thread_only_a_handler_that_waits_costs_a_task() {
    let (told, mut ids) = tokio::sync::mpsc::channel(9);
    let telling = tower::service_fn(move |request| {
        told.try_send(tokio::task::id()).expect("a place");
        obey(request)
    });
    let offers = Offers::new().named("obey", telling);
    let (host, _plugin) = connect(host(), plugin().offers(offers)).await;
    let mut obey = host.open("obey").expect("open");
    let mut call = |path: &'static str| {
        let request = Request::post(path).body(Body::empty()).expect("a request");
        obey.call(request)
    };
    let metrics = tokio::runtime::Handle::current().metrics();
    let tasks = metrics.num_alive_tasks();
    call("/now").await.expect("answered");
    call("/now").await.expect("answered");
    assert_eq!(ids.recv().await, ids.recv().await, "both in the task of the trunk");
    let hanging = call("/hang");
    assert!(tokio::time::timeout(Duration::from_secs(1), hanging).await.is_err());
    settle().await;
    assert_eq!(metrics.num_alive_tasks(), tasks, "its task is cancelled with its call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_several_threads_a_handler_that_blocks_its_thread_stalls_no_other_call() {
    let gate = Arc::new(Barrier::new(2));
    let (told, mut began) = tokio::sync::mpsc::channel(2);
    let blocking = {
        let gate = gate.clone();
        tower::service_fn(move |_: Request<Body>| {
            let (gate, told) = (gate.clone(), told.clone());
            async move {
                let _ = told.try_send(());
                gate.wait();
                Ok::<_, Infallible>(tonic::Status::ok("done").into_http::<Body>())
            }
        })
    };
    let offers = Offers::new().named("block", blocking).named("obey", tower::service_fn(obey));
    let (host, _plugin) = connect(host(), plugin().offers(offers)).await;
    let mut blocking = host.open("block").expect("open");
    let request = || Request::post("/now").body(Body::empty()).expect("a request");
    let blocked = tokio::spawn(blocking.call(request()));
    began.recv().await.expect("it began");
    let mut obey = host.open("obey").expect("open");
    for _ in 0..100 {
        obey.call(request()).await.expect("answered");
    }
    assert!(!blocked.is_finished());
    gate.wait();
    blocked.await.expect("no panic").expect("answered");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_always_finds_something_lets_others_have_their_turn() {
    let pair = pair().await;
    let mut listener = pair.plugin.register_bytes().expect("open");
    let id = listener.id().expect("registered");
    let mut writer = pair.host.dial_bytes(id).expect("open");
    let mut reader = listener.accept().await.expect("opened");
    let sent = 400_000;
    let writing = tokio::spawn(async move {
        writer.write_all(&vec![1; sent]).await.expect("taken");
        writer.shutdown().await.expect("taken");
    });
    let turns = Arc::new(AtomicUsize::new(0));
    let counting = tokio::spawn({
        let turns = turns.clone();
        async move {
            loop {
                turns.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        }
    });
    let (mut read, mut most) = (0, 0);
    let mut buffer = vec![0; 16 * 1024];
    let (mut turn, mut in_turn) = (0, 0);
    loop {
        let count = reader.read(&mut buffer).await.expect("whole");
        if count == 0 {
            break;
        }
        let now = turns.load(Ordering::SeqCst);
        in_turn = if now == turn { in_turn + count } else { count };
        turn = now;
        most = in_turn.max(most);
        read += count;
    }
    counting.abort();
    writing.await.expect("no panic");
    assert_eq!(read, sent);
    assert!(most <= 2 * 64 * 1024, "{most} bytes without a break");
}

/// Cannot be cloned, which serving a call needs.
struct Fragile;

impl Clone for Fragile {
    fn clone(&self) -> Self {
        panic!("no copies")
    }
}

impl Service<Request<Body>> for Fragile {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::empty())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_panics_while_it_is_cloned_fails_its_call_and_no_other() {
    let offers = Offers::new().named("fragile", Fragile).named("obey", tower::service_fn(obey));
    let (host, _plugin) = connect(host(), plugin().offers(offers)).await;
    let request = || Request::post("/now").body(Body::empty()).expect("a request");
    let status = host.open("fragile").expect("open").call(request()).await.expect_err("panicked");
    let error = Error::of(&status).expect("an error of the broker");
    assert_eq!(error.reason(), Reason::Failed);
    host.open("obey").expect("open").call(request()).await.expect("the trunk goes on");
}

#[tokio::test(start_paused = true)]
async fn a_registration_for_a_response_lasts_until_its_body_is_sent() {
    let builder = plugin();
    let weak = builder.weak();
    let lease = tower::service_fn(move |_: Request<Body>| {
        let broker = weak.upgrade().expect("connected");
        async move {
            let registration = broker.register(tower::service_fn(obey));
            let id = Bytes::copy_from_slice(&registration.id().get().to_be_bytes());
            let first = futures::stream::iter([Ok::<_, tonic::Status>(Frame::data(id))]);
            let body = StreamBody::new(first.chain(futures::stream::pending()));
            let mut response = Response::new(Body::new(body));
            registration.for_call(response.extensions_mut());
            Ok::<_, Infallible>(response)
        }
    });
    let offers = Offers::new().named("lease", lease);
    let (host, _plugin) = connect(host(), builder.offers(offers)).await;
    let request = || Request::post("/now").body(Body::empty()).expect("a request");
    let response = host.open("lease").expect("open").call(request()).await.expect("leased");
    let mut body = response.into_body();
    let frame = body.frame().await.expect("one frame").expect("whole");
    let id = frame.into_data().expect("data");
    let id = u64::from_be_bytes(id[..].try_into().expect("eight bytes"));
    settle().await;
    let mut leased = host.dial(id).expect("open");
    leased.call(request()).await.expect("the response is still being sent");
    drop(body);
    settle().await;
    let status = leased.call(request()).await.expect_err("the lease is over");
    assert_eq!(Error::of(&status).expect("an error of the broker").reason(), Reason::Closed);
}
