//! Calls over a trunk between two brokers in one process, on a paused clock.

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use support::demo::Ask;
use support::demo::FailRequest;
use support::demo::NestRequest;
use support::demo::Payload;
use support::echo;
use support::pair;
use tonic::Request;
use trunkline::Error;
use trunkline::Fault;
use trunkline::Reason;

fn payload(seq: u64, len: usize) -> Payload {
    Payload { seq, data: (0..len).map(|at| (at as u64 ^ seq) as u8).collect() }
}

#[tokio::test(start_paused = true)]
async fn a_unary_call_comes_back_as_it_went() {
    let pair = pair().await;
    let reply = pair.echo().unary(payload(7, 64)).await.expect("answered").into_inner();
    assert_eq!(reply, payload(7, 64));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_64_mib_passes_both_ways() {
    let pair = pair().await;
    let sent = payload(1, 64 << 20);
    let reply = pair.echo().unary(sent.clone()).await.expect("answered").into_inner();
    assert!(reply == sent, "the message came back changed");
}

#[tokio::test(start_paused = true)]
async fn a_client_stream_arrives_whole_and_in_order() {
    let pair = pair().await;
    let mut hash = echo::HASH_START;
    let payloads: Vec<Payload> =
        (0..500).map(|seq| payload(seq, (seq as usize * 37) % 9000)).collect();
    payloads.iter().for_each(|payload| hash = echo::hash(hash, &payload.data));
    let stream = futures::stream::iter(payloads);
    let summary = pair.echo().client_stream(stream).await.expect("answered").into_inner();
    assert_eq!((summary.messages, summary.hash), (500, hash));
}

#[tokio::test(start_paused = true)]
async fn a_server_stream_arrives_whole_and_in_order() {
    let pair = pair().await;
    let ask = Ask { messages: 300, bytes_each: 5000 };
    let mut stream = pair.echo().server_stream(ask).await.expect("begun").into_inner();
    for seq in 0..300 {
        let got = stream.message().await.expect("no error").expect("not short");
        assert_eq!((got.seq, got.data.len()), (seq, 5000));
        assert!(got.data.iter().all(|byte| *byte == seq as u8));
    }
    assert_eq!(stream.message().await.expect("a good end"), None);
}

#[tokio::test(start_paused = true)]
async fn both_directions_of_a_bidirectional_call_run_at_once() {
    let pair = pair().await;
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receiver);
    let mut replies = pair.echo().bidi(requests).await.expect("begun").into_inner();
    for seq in 0..50 {
        sender.send(payload(seq, 100)).await.expect("the call runs");
        let reply = replies.message().await.expect("no error").expect("not short");
        assert_eq!(reply, payload(seq, 100));
    }
    drop(sender);
    assert_eq!(replies.message().await.expect("a good end"), None);
}

#[tokio::test(start_paused = true)]
async fn metadata_passes_both_ways_repeated_and_binary() {
    let pair = pair().await;
    let mut request = Request::new(payload(0, 1));
    let metadata = request.metadata_mut();
    metadata.insert("x-text", "tëxt".parse().unwrap_or_else(|_| "text".parse().expect("ascii")));
    metadata.append("x-twice", "1".parse().expect("ascii"));
    metadata.append("x-twice", "2".parse().expect("ascii"));
    let binary = tonic::metadata::MetadataValue::from_bytes(&[0, 1, 254, 255]);
    metadata.insert_bin("x-data-bin", binary);
    let response = pair.echo().unary(request).await.expect("answered");
    let metadata = response.metadata();
    assert!(metadata.get("x-text").is_some());
    let twice: Vec<_> = metadata.get_all("x-twice").iter().collect();
    assert_eq!(twice, ["1", "2"]);
    let binary = metadata.get_bin("x-data-bin").expect("there").to_bytes().expect("valid");
    assert_eq!(binary.as_ref(), [0, 1, 254, 255]);
}

#[tokio::test(start_paused = true)]
async fn a_status_arrives_with_its_details_and_trailers() {
    let pair = pair().await;
    let code = tonic::Code::FailedPrecondition as i32;
    let fail = FailRequest { code, message: "not so, ü".into(), details: vec![1, 2, 255] };
    let status = pair.echo().fail(fail).await.expect_err("as asked");
    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
    assert_eq!(status.message(), "not so, ü");
    assert_eq!(status.details(), [1, 2, 255]);
    assert_eq!(status.metadata().get("x-trailer").expect("there"), "seen");
    assert!(Error::of(&status).is_none(), "the handler's own status is no error of the broker");
}

#[tokio::test(start_paused = true)]
async fn compressed_calls_pass() {
    let pair = pair().await;
    let gzip = tonic::codec::CompressionEncoding::Gzip;
    let mut client = pair.echo().send_compressed(gzip).accept_compressed(gzip);
    let sent = Payload { seq: 0, data: vec![7; 100_000] };
    let reply = client.unary(sent.clone()).await.expect("answered");
    assert_eq!(reply.metadata().get("grpc-encoding").expect("compressed"), "gzip");
    assert_eq!(reply.into_inner(), sent);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_fails_its_call_and_no_other() {
    let pair = pair().await;
    let fail = FailRequest { message: "panic".into(), ..FailRequest::default() };
    let status = pair.echo().fail(fail).await.expect_err("it panicked");
    let error = Error::of(&status).expect("the broker's error");
    assert_eq!((error.reason(), error.fault()), (Reason::Failed, Fault::Peer));
    pair.echo().unary(payload(0, 1)).await.expect("the trunk is whole");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_by_the_caller_and_seen_by_the_handler() {
    let pair = pair().await;
    let mut request = Request::new(payload(0, 1));
    request.set_timeout(Duration::from_secs(3));
    let status = pair.echo().hang(request).await.expect_err("never answered");
    assert_eq!(status.code(), tonic::Code::DeadlineExceeded);

    let mut request = Request::new(NestRequest::default());
    request.set_timeout(Duration::from_secs(5));
    let reply = pair.echo().nest(request).await.expect("answered").into_inner();
    assert!((4900..=5000).contains(&reply.deadline_ms), "{} ms left", reply.deadline_ms);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_drops_its_handler_at_the_other_end() {
    let echo = echo::Echo::default();
    let offers = trunkline::Offers::new().service(echo.clone().server());
    let (host, _plugin) = support::connect(support::host(), support::plugin().offers(offers)).await;
    let client =
        support::demo::echo_client::EchoClient::new(host.open("demo.v1.Echo").expect("open"));
    let mut hanging = client.clone();
    let call = tokio::spawn(async move { hanging.hang(payload(0, 1)).await });
    while echo.running.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    call.abort();
    support::settle().await;
    assert_eq!(echo.running.load(Ordering::SeqCst), 0);
    assert_eq!(host.stats().streams, 0);
}

#[tokio::test(start_paused = true)]
async fn callbacks_nest_to_the_limit_and_no_further() {
    let pair = pair().await;
    let echo = echo::Echo::default();
    echo.set_broker(&pair.host);
    let own = pair.host.register(echo.server());
    let nest = |depth| NestRequest { depth, callback: own.id().get(), ..NestRequest::default() };
    let reply = pair.echo().nest(nest(40)).await.expect("deep").into_inner();
    assert_eq!(reply.reached, 40);
    let status = pair.echo().nest(nest(100)).await.expect_err("too deep");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    support::settle().await;
    assert_eq!(pair.host.stats().streams, 0);
    assert_eq!(pair.plugin.stats().streams, 0);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_outer_call_bounds_the_inner_ones() {
    let pair = pair().await;
    let echo = echo::Echo::default();
    echo.set_broker(&pair.host);
    let own = pair.host.register(echo.server());
    let mut request =
        Request::new(NestRequest { depth: 3, callback: own.id().get(), ..NestRequest::default() });
    request.set_timeout(Duration::from_secs(8));
    let reply = pair.echo().nest(request).await.expect("answered").into_inner();
    assert!((7900..=8000).contains(&reply.deadline_ms), "{} ms left", reply.deadline_ms);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_stream_stalls_nothing_else() {
    let pair = pair().await;
    let ask = Ask { messages: 10_000, bytes_each: 10_000 };
    let mut stalled = Vec::new();
    for _ in 0..50 {
        stalled.push(pair.echo().server_stream(ask).await.expect("begun").into_inner());
    }
    support::settle().await;
    let before = pair.host.stats();
    for seq in 0..100 {
        pair.echo().unary(payload(seq, 10_000)).await.expect("not stalled");
    }
    let limits = trunkline::Limits::default();
    assert!(before.buffered <= 50 * u64::from(limits.initial_window) + limits.shared_window);
    let got: Vec<_> = stalled.pop().expect("one").take(100).collect().await;
    assert_eq!(got.len(), 100, "and the stalled go on when they are read");
}
