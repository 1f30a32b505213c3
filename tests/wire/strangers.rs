//! Peers that are no broker, and connections that carry more than a trunk.

use super::Reason;
use super::call_whole;
use super::hello::hello;
use super::ours;
use super::raw;
use super::raw::Peer;
use super::raw::Way;
use super::raw::connect;
use super::raw::frames::control;
use super::raw::frames::open_named;
use super::raw::frames::request;
use super::raw::wire::Frame;
use super::raw::wire::broker_client::BrokerClient;
use super::raw::wire::frame::Control;
use super::reason;
use super::support;
use super::support::demo::Payload;
use super::support::demo::echo_client::EchoClient;
use futures::StreamExt;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tonic::transport::Server;
use trunkline::CarrierError;
use trunkline::ConnectError;
use trunkline::EndReason;

#[tokio::test(start_paused = true)]
async fn garbage_instead_of_http_2_is_no_trunk() {
    let garbage = b"220 mail.example.org ESMTP at your service, what may it be today?\r\n";
    let (our_io, mut io) = tokio::io::duplex(1 << 20);
    io.write_all(garbage).await.expect("written");
    let error = ours().accept(our_io).await.expect_err("no trunk");
    assert!(matches!(error, ConnectError::Carrier(CarrierError::Http2(_))), "{error:?}");

    let (our_io, mut io) = tokio::io::duplex(1 << 20);
    io.write_all(garbage).await.expect("written");
    let error = ours().dial(our_io).await.expect_err("no trunk");
    let cause = carrier_error(&error);
    assert!(matches!(cause, CarrierError::Http2(_)), "{error:?}");
}

/// The error of the carrier that there is no trunk for.
fn carrier_error(error: &ConnectError) -> &CarrierError {
    match error {
        ConnectError::Carrier(cause) => cause,
        ConnectError::Ended(EndReason::Lost(Some(cause))) => {
            cause.downcast_ref().expect("an error of the carrier")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_before_the_trunk_is_no_trunk() {
    for way in [Way::WeDial, Way::WeAccept] {
        let (our_io, io) = tokio::io::duplex(1 << 20);
        drop(io);
        let ended = match way {
            Way::WeDial => ours().dial(our_io).await,
            Way::WeAccept => ours().accept(our_io).await,
        };
        let error = ended.expect_err("no trunk");
        let cause = carrier_error(&error);
        assert!(matches!(cause, CarrierError::Io(_)), "{error:?}");
    }
}

/// Dials a tonic server with these services.
async fn dial_server(server: tonic::service::Routes) -> ConnectError {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let connections =
        futures::stream::iter([Ok::<_, std::io::Error>(io)]).chain(futures::stream::pending());
    let server = Server::builder().add_routes(server).serve_with_incoming(connections);
    let server = tokio::spawn(server);
    let error = ours().dial(our_io).await.expect_err("no trunk");
    server.abort();
    error
}

#[tokio::test(start_paused = true)]
async fn a_grpc_server_without_the_broker_says_unimplemented() {
    let echo = support::echo::Echo::default().server();
    let error = dial_server(tonic::service::Routes::new(echo)).await;
    let cause = carrier_error(&error);
    assert!(matches!(cause, CarrierError::Status(12)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_http_server_without_grpc_is_not_a_broker() {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        let mut connection = h2::server::handshake(io).await.expect("HTTP/2");
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let response = http::Response::builder().status(404).body(());
            let response = response.expect("a response");
            respond.send_response(response, true).expect("sent");
        }
    });
    let error = ours().dial(our_io).await.expect_err("no trunk");
    match carrier_error(&error) {
        CarrierError::NotABroker(status) => assert_eq!(status.as_u16(), 404),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_the_call_with_a_status_is_quoted() {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let (done, wait) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let mut connection = h2::server::handshake(io).await.expect("HTTP/2");
        let (_, mut respond) = connection.accept().await.expect("a call").expect("whole");
        let response = http::Response::builder().header("content-type", "application/grpc");
        let response = response.body(()).expect("a response");
        let mut send = respond.send_response(response, false).expect("sent");
        let first = control(Control::Hello(hello()));
        let first = raw::frames::message(&first);
        send.send_data(first.into(), false).expect("sent");
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", "13".parse().expect("a value"));
        send.send_trailers(trailers).expect("sent");
        tokio::select! {
            _ = connection.accept() => {}
            _ = wait => {}
        }
    });
    let broker = ours().dial(our_io).await.expect("a trunk");
    match broker.closed().await {
        EndReason::Lost(Some(cause)) => {
            let cause = cause.downcast_ref().expect("an error of the carrier");
            assert!(matches!(cause, CarrierError::Status(13)), "{cause:?}");
        }
        other => panic!("{other:?}"),
    }
    drop(done);
    server.abort();
}

#[tokio::test(start_paused = true)]
async fn another_call_on_the_connection_is_refused_and_the_trunk_goes_on() {
    let (broker, mut peer) = connect(Way::WeAccept, ours()).await;
    let channel = peer.channel.clone().expect("a client");
    let frames = futures::stream::pending::<Frame>();
    let second = BrokerClient::new(channel.clone()).connect(frames).await;
    let status = second.expect_err("one trunk for one connection");
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    let other = EchoClient::new(channel).unary(Payload::default()).await;
    other.expect_err("nothing else is served");
    peer.expect_silence().await;
    assert!(broker.end_reason().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_call_of_another_method_before_the_trunk_is_unimplemented() {
    let (our_io, io) = tokio::io::duplex(1 << 20);
    let ours = tokio::spawn(ours().accept(our_io));
    let channel = raw::channel(io).await;
    let mut other = EchoClient::new(channel.clone());
    let status = other.unary(Payload::default()).await;
    let status = status.expect_err("nothing but the trunk is served");
    assert_eq!(status.code(), tonic::Code::Unimplemented);
    let first = control(Control::Hello(hello()));
    let frames = futures::stream::iter([first]).chain(futures::stream::pending());
    let response = BrokerClient::new(channel).connect(frames).await;
    let mut frames = response.expect("the trunk").into_inner();
    let first = frames.message().await.expect("no error").expect("a frame");
    assert!(matches!(first.control, Some(Control::Hello(_))));
    ours.await.expect("no panic").expect("a trunk");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_of_ours_serves_a_foreign_host() {
    for way in raw::BOTH_WAYS {
        let plugin = support::plugin().offers(super::offers());
        let (broker, mut peer) = connect(way, plugin).await;
        // The numbers of a host are odd, ours are even.
        peer.send(open_named(1, "raw.Echo")).await;
        let got = peer.exchange(3, raw::frames::request_head(1, "/x/Y"), b"x").await;
        assert_eq!(got.body, b"x");
        let channel = broker.open("host.Thing").expect("open");
        let ours = tokio::spawn(call_whole(channel, "question"));
        let Control::Open(open) = peer.expect_control().await else {
            panic!("it opens");
        };
        assert_eq!(open.channel, 2);
        let head = raw::frames::response(4).head.expect("a head");
        let got = peer.exchange(4, head, b"answer").await;
        assert_eq!(got.body, b"question");
        assert_eq!(ours.await.expect("no panic").expect("whole"), "answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_its_connection_holds_up_its_own_answers_alone() {
    let (our_io, io) = tokio::io::duplex(16 * 1024);
    let ours = tokio::spawn(ours().accept(our_io));
    let mut peer = Peer::client(io).await;
    assert!(matches!(peer.expect_control().await, Control::Hello(_)));
    let first = control(Control::Hello(hello()));
    peer.send(first).await;
    let broker = ours.await.expect("no panic").expect("a trunk");
    // Nothing is read from here on: what we ask fills the pipe, and waits.
    let channel = broker.open("peer.Sink").expect("open");
    let stuck: Vec<_> =
        (0..50).map(|_| tokio::spawn(call_whole(channel.clone(), vec![7; 16_000]))).collect();
    support::settle().await;
    // What the peer sends is taken all the same.
    peer.send(open_named(2, "raw.Stuck")).await;
    peer.send(request(4, 2, "/x/Y")).await;
    support::settle().await;
    assert_eq!(broker.stats().serving, 1);
    let wait = tokio::time::timeout(Duration::from_secs(1), broker.ping());
    wait.await.expect_err("the ping waits behind it");
    // And an end is an end, however much waits.
    broker.close();
    for call in stuck {
        let status = call.await.expect("no panic").expect_err("told");
        assert_eq!(reason(&status), Some(Reason::TrunkEnded));
    }
}
