//! Sub-channels between two brokers in one process, on a paused clock: by name and by
//! id, byte streams, grants, limits, and the ways that they and their trunk end.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use support::Pair;
use support::connect;
use support::demo::Ask;
use support::demo::NestRequest;
use support::demo::Payload;
use support::demo::echo_client::EchoClient;
use support::demo::echo_server::EchoServer;
use support::echo::Echo;
use support::host;
use support::pair;
use support::pair_with;
use support::plugin;
use support::settle;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tonic::Code;
use tonic::Request;
use tonic::Status;
use tower::ServiceBuilder;
use trunkline::Broker;
use trunkline::EndReason;
use trunkline::Error;
use trunkline::Fault;
use trunkline::Limits;
use trunkline::Offers;
use trunkline::Reason;
use trunkline::Stats;
use trunkline::SubChannel;

fn payload(len: usize) -> Payload {
    Payload { seq: 0, data: vec![7; len] }
}

fn reason(status: &Status) -> (Reason, Fault) {
    let error = Error::of(status).expect("an error of the broker");
    (error.reason(), error.fault())
}

/// Nothing is open at either end.
async fn assert_idle(pair: &Pair) {
    settle().await;
    for broker in [&pair.host, &pair.plugin] {
        assert_eq!(broker.stats(), Stats::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_registered_service_is_reached_by_its_id_until_it_is_dropped() {
    let pair = pair().await;
    let registration = pair.plugin.register(Echo::default().server());
    let mut client = EchoClient::new(pair.host.dial(registration.id()).expect("open"));
    client.unary(payload(10)).await.expect("answered");
    let hanging = tokio::spawn({
        let mut client = client.clone();
        async move { client.hang(payload(1)).await }
    });
    settle().await;
    let id = registration.id();
    drop(registration);
    let status = hanging.await.expect("no panic").expect_err("the service is gone");
    assert_eq!(reason(&status), (Reason::Closed, Fault::Peer));
    let status = client.unary(payload(1)).await.expect_err("closed");
    assert_eq!(reason(&status), (Reason::Closed, Fault::Peer));
    let mut again = EchoClient::new(pair.host.dial(id).expect("open"));
    let status = again.unary(payload(1)).await.expect_err("closed");
    assert_eq!((status.code(), reason(&status).0), (Code::NotFound, Reason::Closed));
    drop((client, again));
    assert_idle(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn an_id_is_worth_nothing_on_another_trunk() {
    let (one, other) = (pair().await, pair().await);
    let registration = one.plugin.register(Echo::default().server());
    let _same_count = other.plugin.register(Echo::default().server());
    let mut client = EchoClient::new(other.host.dial(registration.id()).expect("open"));
    let status = client.unary(payload(1)).await.expect_err("not given on this trunk");
    assert_eq!(reason(&status), (Reason::Unknown, Fault::Peer));
}

#[tokio::test(start_paused = true)]
async fn a_registration_for_a_call_ends_with_the_call() {
    let pair = pair().await;
    let echo = Echo::default();
    echo.set_broker(&pair.host);
    let registration = pair.host.register(echo.server());
    let mut request = Request::new(NestRequest { depth: 1, ..NestRequest::default() });
    let id = registration.for_call(request.extensions_mut());
    request.get_mut().callback = id.get();
    let reply = pair.echo().nest(request).await.expect("called back").into_inner();
    assert_eq!(reply.reached, 1);
    let mut late = EchoClient::new(pair.plugin.dial(id).expect("open"));
    let status = late.unary(payload(1)).await.expect_err("the call is over");
    assert_eq!(reason(&status).0, Reason::Closed);
    drop(late);
    assert_idle(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn cancelling_the_outer_call_cancels_the_inner_ones_in_both_processes() {
    let pair = pair().await;
    let echo = Echo::default();
    echo.set_broker(&pair.host);
    let own = pair.host.register(echo.clone().server());
    let request = NestRequest { depth: 5, callback: own.id().get(), hang: true };
    let mut client = pair.echo();
    let call = tokio::spawn(async move { client.nest(request).await });
    while echo.running.load(Ordering::SeqCst) < 3 {
        tokio::task::yield_now().await;
    }
    call.abort();
    settle().await;
    assert_eq!(echo.running.load(Ordering::SeqCst), 0);
    drop(own);
    assert_idle(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_granted_is_denied_and_what_is_not_there_is_unknown() {
    let offers = Offers::new().service(Echo::default().server()).granted(|_| false);
    let (host, _plugin) = connect(host(), plugin().offers(offers)).await;
    let mut denied = EchoClient::new(host.open("demo.v1.Echo").expect("open"));
    let status = denied.unary(payload(1)).await.expect_err("no grant");
    assert_eq!((status.code(), reason(&status).0), (Code::PermissionDenied, Reason::Denied));
    let mut unknown = EchoClient::new(host.open("demo.v1.Nothing").expect("open"));
    let status = unknown.unary(payload(1)).await.expect_err("not there");
    assert_eq!((status.code(), reason(&status).0), (Code::Unimplemented, Reason::Unknown));
    assert!(host.peer().services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_file_goes_through_a_byte_stream_and_comes_back_the_same() {
    let (offers, mut listener) = Offers::new().bytes("files");
    let (host, plugin) = connect(host(), plugin().offers(offers)).await;
    let mut file = tempfile::tempfile().expect("a file");
    let content: Vec<u8> = (0..5_000_000u32).flat_map(|at| at.to_le_bytes()).collect();
    std::io::Write::write_all(&mut file, &content).expect("written");
    std::io::Seek::rewind(&mut file).expect("rewound");
    let echo = tokio::spawn(async move {
        let stream = listener.accept().await.expect("opened");
        let (mut read, mut write) = tokio::io::split(stream);
        tokio::io::copy(&mut read, &mut write).await.expect("copied");
        write.shutdown().await.expect("ended");
    });
    let stream = host.open_bytes("files").expect("open");
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        let mut file = tokio::fs::File::from_std(file);
        tokio::io::copy(&mut file, &mut write).await.expect("sent");
        write.shutdown().await.expect("ended");
    };
    let mut back = Vec::new();
    let (_, received) = tokio::join!(sending, read.read_to_end(&mut back));
    received.expect("whole");
    assert!(back == content, "{} bytes came back", back.len());
    echo.await.expect("no panic");
    drop((read, write));
    assert_idle(&Pair { host, plugin }).await;
}

#[tokio::test(start_paused = true)]
async fn each_half_of_a_byte_stream_ends_by_itself() {
    let pair = pair().await;
    let mut listener = pair.plugin.register_bytes().expect("open");
    let mut ours = pair.host.dial_bytes(listener.id().expect("registered")).expect("open");
    ours.write_all(b"question").await.expect("written");
    ours.shutdown().await.expect("ended");
    let mut theirs = listener.accept().await.expect("opened");
    let mut question = String::new();
    theirs.read_to_string(&mut question).await.expect("whole");
    assert_eq!(question, "question");
    theirs.write_all(b"answer").await.expect("the other half is open");
    theirs.shutdown().await.expect("ended");
    drop(theirs);
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.expect("whole");
    assert_eq!(answer, "answer");
    drop((ours, listener));
    assert_idle(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_stream_that_is_dropped_without_its_end_is_never_taken_for_whole() {
    let pair = pair().await;
    let mut listener = pair.plugin.register_bytes().expect("open");
    let mut ours = pair.host.dial_bytes(listener.id().expect("registered")).expect("open");
    ours.write_all(b"half of").await.expect("written");
    ours.flush().await.expect("sent");
    let mut theirs = listener.accept().await.expect("opened");
    drop(ours);
    let error = theirs.read_to_end(&mut Vec::new()).await.expect_err("cut off");
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>()).expect("typed");
    assert_eq!((error.reason(), error.fault()), (Reason::Cancelled, Fault::Peer));
    drop((theirs, listener));
    assert_idle(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_byte_stream_that_nobody_listens_for_fails() {
    let pair = pair().await;
    let listener = pair.plugin.register_bytes().expect("open");
    let id = listener.id().expect("registered");
    drop(listener);
    let mut stream = pair.host.dial_bytes(id).expect("open");
    let error = stream.read_to_end(&mut Vec::new()).await.expect_err("closed");
    let error = error.get_ref().and_then(|error| error.downcast_ref::<Error>()).expect("typed");
    assert_eq!(error.reason(), Reason::Closed);
    drop(stream);
    assert_idle(&pair).await;
}

#[tokio::test(start_paused = true)]
async fn layers_and_interceptors_work_around_a_sub_channel() {
    let pair = pair().await;
    let channel = pair.host.open("demo.v1.Echo").expect("open");
    let add = |mut request: Request<()>| {
        request.metadata_mut().insert("x-text", "added".parse().expect("ascii"));
        Ok(request)
    };
    let mut client = EchoClient::with_interceptor(channel.clone(), add);
    let reply = client.unary(payload(1)).await.expect("answered");
    assert_eq!(reply.metadata().get("x-text").expect("there"), "added");

    let layered = ServiceBuilder::new().concurrency_limit(2).service(channel);
    let mut client = EchoClient::new(layered);
    client.unary(payload(1)).await.expect("answered");
}

#[tokio::test(start_paused = true)]
async fn layers_and_interceptors_work_around_a_server() {
    let refuse = |request: Request<()>| match request.metadata().get("x-text") {
        Some(_) => Ok(request),
        None => Err(Status::unauthenticated("who is there?")),
    };
    let intercepted = EchoServer::with_interceptor(Echo::default(), refuse);
    let layered = ServiceBuilder::new().concurrency_limit(1).service(Echo::default().server());
    let offers = Offers::new().named("intercepted", intercepted).named("layered", layered);
    let (host, _plugin) = connect(host(), plugin().offers(offers)).await;
    let mut client = EchoClient::new(host.open("layered").expect("open"));
    client.unary(payload(1)).await.expect("answered");
    let mut client = EchoClient::new(host.open("intercepted").expect("open"));
    let status = client.unary(payload(1)).await.expect_err("without a name");
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = Request::new(payload(1));
    request.metadata_mut().insert("x-text", "me".parse().expect("ascii"));
    client.unary(request).await.expect("with one");
}

#[tokio::test(start_paused = true)]
async fn going_away_lets_running_calls_finish_with_the_callbacks_that_they_make() {
    let pair = pair().await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let echo = Echo { gate: Some(gate.clone()), ..Echo::default() };
    echo.set_broker(&pair.host);
    let own = pair.host.register(echo.server());
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut bidi = pair.echo().bidi(requests).await.expect("begun").into_inner();
    let request = NestRequest { depth: 6, callback: own.id().get(), hang: false };
    let mut client = pair.echo();
    let nested = tokio::spawn(async move { client.nest(request).await });
    settle().await;
    pair.plugin.go_away();
    pair.host.going_away().await;

    let status = pair.echo().unary(payload(1)).await.expect_err("nothing new begins");
    assert_eq!(reason(&status).0, Reason::GoingAway);
    assert!(Error::of(&status).expect("typed").has_not_begun());
    sender.send(payload(5)).await.expect("the call goes on");
    assert_eq!(bidi.message().await.expect("no error"), Some(payload(5)));
    let closing = tokio::spawn({
        let plugin = pair.plugin.clone();
        async move { plugin.shutdown(Duration::from_secs(3600)).await }
    });
    settle().await;
    assert!(!nested.is_finished(), "most of its callbacks are still to be made");
    gate.add_permits(10);
    nested.await.expect("no panic").expect("its callbacks were let through");
    settle().await;
    assert!(!closing.is_finished(), "one call still runs");
    drop(sender);
    assert_eq!(bidi.message().await.expect("a good end"), None);
    assert!(closing.await.expect("no panic"), "drained in time");
    assert!(matches!(pair.host.closed().await, EndReason::PeerClosed));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_the_drain_is_cut_off_and_told_so() {
    let pair = pair().await;
    let mut client = pair.echo();
    let hanging = tokio::spawn(async move { client.hang(payload(1)).await });
    settle().await;
    assert!(!pair.host.shutdown(Duration::from_secs(2)).await);
    let status = hanging.await.expect("no panic").expect_err("cut off");
    assert_eq!(reason(&status), (Reason::TrunkEnded, Fault::Local));
    assert!(matches!(pair.plugin.closed().await, EndReason::PeerClosed));
}

#[tokio::test(start_paused = true)]
async fn a_small_call_does_not_wait_for_a_bulk_transfer() {
    let pair = pair().await;
    let ask = Ask { messages: 2000, bytes_each: 64 * 1024 };
    let mut bulk = pair.echo().server_stream(ask).await.expect("begun").into_inner();
    let mut small = pair.echo();
    let small = tokio::spawn(async move {
        for _ in 0..20 {
            small.unary(payload(100)).await.expect("answered");
        }
    });
    let mut read = 0;
    while !small.is_finished() {
        bulk.message().await.expect("no error").expect("not at its end");
        read += 1;
    }
    assert!(read < 500, "20 small calls took as long as {read} messages of 64 KiB");
}

#[tokio::test(start_paused = true)]
async fn more_names_than_a_hello_holds_are_refused_before_anything_is_sent() {
    let name = |at| format!("{at:05}.{}", "x".repeat(1000));
    let many =
        (0..200).fold(Offers::new(), |offers, at| offers.named(name(at), Echo::default().server()));
    let (ours, _theirs) = tokio::io::duplex(1024);
    let error = host().offers(many).dial(ours).await.expect_err("too many");
    assert!(matches!(error, trunkline::ConnectError::HelloTooLong { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn one_call_more_than_the_limit_is_refused_at_once_and_may_be_tried_again() {
    let limits = Limits { streams: 3, ..Limits::default() };
    let pair = pair_with(host(), plugin().limits(limits)).await;
    let mut hanging = Vec::new();
    for _ in 0..3 {
        let mut client = pair.echo();
        hanging.push(tokio::spawn(async move { client.hang(payload(1)).await }));
    }
    settle().await;
    let status = pair.echo().unary(payload(1)).await.expect_err("over the limit");
    assert_eq!((status.code(), reason(&status).0), (Code::ResourceExhausted, Reason::Limit));
    assert!(Error::of(&status).expect("typed").is_retryable());
    hanging.pop().expect("one").abort();
    settle().await;
    pair.echo().unary(payload(1)).await.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn one_sub_channel_more_than_the_limit_is_refused_at_once() {
    let limits = Limits { channels: 2, ..Limits::default() };
    let pair = pair_with(host(), plugin().limits(limits)).await;
    let held = [pair.echo(), pair.echo()];
    let error = pair.host.open("demo.v1.Echo").expect_err("over the limit");
    assert_eq!(error.reason(), Reason::Limit);
    drop(held);
    settle().await;
    pair.echo().unary(payload(1)).await.expect("there is room again");
}

#[tokio::test(start_paused = true)]
async fn metadata_beyond_the_limit_fails_its_call_and_no_other() {
    let pair = pair().await;
    let mut request = Request::new(payload(1));
    let long = "x".repeat(20_000).parse().expect("ascii");
    request.metadata_mut().insert("x-text", long);
    let status = pair.echo().unary(request).await.expect_err("too long");
    assert_eq!(reason(&status), (Reason::MetadataTooLong, Fault::Local));
    pair.echo().unary(payload(1)).await.expect("the trunk is whole");
}

#[tokio::test(start_paused = true)]
async fn the_trunk_lives_as_long_as_its_last_handle() {
    let Pair { host, plugin } = pair().await;
    let mut client = EchoClient::new(host.open("demo.v1.Echo").expect("open"));
    drop(host);
    client.unary(payload(1)).await.expect("the sub-channel keeps it");
    drop(client);
    assert!(matches!(plugin.closed().await, EndReason::PeerClosed));
}

#[tokio::test(start_paused = true)]
async fn when_the_trunk_ends_every_waiter_is_told_at_once() {
    let pair = pair().await;
    let mut listener = pair.host.register_bytes().expect("open");
    let mut stream = pair.plugin.dial_bytes(listener.id().expect("registered")).expect("open");
    let mut client = pair.echo();
    let call = tokio::spawn(async move { client.hang(payload(1)).await });
    let mut bulk = pair
        .echo()
        .server_stream(Ask { messages: 1000, bytes_each: 10_000 })
        .await
        .expect("begun")
        .into_inner();
    settle().await;
    let start = tokio::time::Instant::now();
    pair.plugin.close();
    let status = call.await.expect("no panic").expect_err("told");
    assert_eq!(reason(&status).0, Reason::TrunkEnded);
    let mut got = 0;
    let status = loop {
        match bulk.message().await {
            Ok(Some(_)) => got += 1,
            Ok(None) => panic!("{got} messages were taken for all"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&status).0, Reason::TrunkEnded);
    stream.read_u8().await.expect_err("told");
    assert!(matches!(pair.host.closed().await, EndReason::PeerClosed));
    assert!(listener.accept().await.is_some(), "what had been opened is there");
    assert!(listener.accept().await.is_none(), "and then the end");
    pair.host.ping().await.expect_err("told");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_given_up_and_one_that_answers_is_kept() {
    let (ours, _theirs_that_nobody_reads) = tokio::io::duplex(1 << 20);
    let timeout = Duration::from_secs(7);
    let error = host().hello_timeout(timeout).dial(ours).await.expect_err("no hello");
    assert!(
        matches!(error, trunkline::ConnectError::Timeout(after) if after == timeout),
        "{error}"
    );

    let pair =
        pair_with(host().keep_alive(Duration::from_secs(5), Duration::from_secs(2)), plugin())
            .await;
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(3)).await;
        settle().await;
    }
    assert!(pair.host.end_reason().is_none(), "a peer that answers is not silent");
    pair.host.ping().await.expect("alive");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_channels_opened_called_and_closed_leave_nothing() {
    let pair = pair().await;
    for _ in 0..10_000 {
        pair.echo().unary(payload(10)).await.expect("answered");
    }
    assert_idle(&pair).await;
    let seen = pair.host.totals();
    assert_eq!((seen.channels, seen.calls), (10_000, 10_000));
}

#[tokio::test(start_paused = true)]
async fn calls_dropped_at_any_moment_leave_nothing() {
    let pair = pair().await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let tasks = metrics.num_alive_tasks();
    for patience in 0..300 {
        let mut client = pair.echo();
        let call = tokio::spawn(async move {
            let requests =
                futures::stream::iter((0..100).map(|seq| Payload { seq, data: vec![1; 3000] }));
            let mut replies = client.bidi(requests).await.expect("begun").into_inner();
            while let Ok(Some(_)) = replies.message().await {}
        });
        for _ in 0..patience {
            tokio::task::yield_now().await;
        }
        call.abort();
    }
    assert_idle(&pair).await;
    assert_eq!(metrics.num_alive_tasks(), tasks);
}

/// Brokers and sub-channels can be shared between threads.
#[test]
fn handles_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<Broker>();
    check::<SubChannel>();
    check::<trunkline::ByteStream>();
    check::<trunkline::Registration>();
    check::<Arc<Error>>();
}
