//! What a session does, seen by a peer that reads and writes raw frames, and by another
//! session.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;

use super::*;

const DATA: u8 = 0;
const WINDOW: u8 = 1;
const PING: u8 = 2;
const GO_AWAY: u8 = 3;

const SYN: u16 = 1;
const ACK: u16 = 2;
const FIN: u16 = 4;
const RST: u16 = 8;

/// Type, flags, stream, length or value, body.
type Frame = (u8, u16, u32, u32, Vec<u8>);

/// A peer that does nothing of itself.
struct Raw(DuplexStream);

impl Raw {
    async fn send(&mut self, kind: u8, flags: u16, stream: u32, length: u32) {
        let mut header = vec![0, kind];
        header.extend(flags.to_be_bytes());
        header.extend(stream.to_be_bytes());
        header.extend(length.to_be_bytes());
        self.0.write_all(&header).await.unwrap();
    }

    /// The next frame that is no ping of the carrier's.
    async fn next(&mut self) -> Frame {
        loop {
            let mut header = [0; 12];
            self.0.read_exact(&mut header).await.unwrap();
            let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
            assert_eq!(header[0], 0);
            let flags = u16::from_be_bytes([header[2], header[3]]);
            let mut body = vec![0; if header[1] == DATA { number(8) as usize } else { 0 }];
            self.0.read_exact(&mut body).await.unwrap();
            if (header[1], flags) != (PING, SYN) {
                return (header[1], flags, number(4), number(8), body);
            }
        }
    }

    /// That nothing but pings comes while everything that can run has run.
    async fn silent(&mut self) {
        let nothing = tokio::time::timeout(std::time::Duration::from_secs(1), self.next());
        assert_eq!(nothing.await.ok(), None);
    }
}

fn empty(flags: u16, stream: u32) -> Frame {
    (DATA, flags, stream, 0, Vec::new())
}

fn with_raw(role: Role) -> (Session, mpsc::Receiver<Stream>, Raw) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (session, inbound) = start(ours, role);
    (session, inbound, Raw(theirs))
}

fn start(io: DuplexStream, role: Role) -> (Session, mpsc::Receiver<Stream>) {
    let (streams, inbound) = mpsc::channel(2 * MAX_STREAMS);
    let session = Session::start(io, role, move |stream| streams.try_send(stream).unwrap());
    (session, inbound)
}

fn pair() -> ((Session, mpsc::Receiver<Stream>), (Session, mpsc::Receiver<Stream>)) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    (start(client, Role::Client), start(server, Role::Server))
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_announced_before_anything_is_written_on_it() {
    let (session, _, mut raw) = with_raw(Role::Client);
    let mut stream = session.open().await.unwrap();
    assert_eq!(raw.next().await, empty(SYN, 1));
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(raw.next().await, (DATA, 0, 1, 5, b"hello".to_vec()));

    let (session, _, mut raw) = with_raw(Role::Server);
    let _stream = session.open().await.unwrap();
    assert_eq!(raw.next().await, empty(SYN, 2));
}

#[tokio::test(start_paused = true)]
async fn streams_are_announced_in_the_order_in_which_they_were_opened() {
    let (session, _, mut raw) = with_raw(Role::Client);
    let opens = (0..100).map(|_| session.open());
    let streams = futures::future::join_all(opens).await;
    for (number, stream) in (0..).zip(&streams) {
        let id = stream.as_ref().unwrap().id();
        assert_eq!(id, 2 * number + 1);
        assert_eq!(raw.next().await, empty(SYN, id));
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_the_peer_are_acknowledged_and_handed_on_at_once_and_in_order() {
    let (_session, mut inbound, mut raw) = with_raw(Role::Client);
    for id in [2, 4, 6] {
        raw.send(WINDOW, SYN, id, 0).await;
    }
    for id in [2, 4, 6] {
        assert_eq!(raw.next().await, empty(ACK, id));
        assert_eq!(inbound.recv().await.unwrap().id(), id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_wants_is_acknowledged_and_reset() {
    let (ours, theirs) = tokio::io::duplex(1024);
    let _session = Session::start(ours, Role::Client, drop);
    let mut raw = Raw(theirs);
    raw.send(WINDOW, SYN, 2, 0).await;
    assert_eq!(raw.next().await, empty(ACK, 2));
    assert_eq!(raw.next().await, empty(RST, 2));
}

#[tokio::test(start_paused = true)]
async fn keep_alive_pings_are_answered() {
    let (_session, _inbound, mut raw) = with_raw(Role::Server);
    for value in 0..5 {
        raw.send(PING, SYN, 0, value).await;
        assert_eq!(raw.next().await, (PING, ACK, 0, value, Vec::new()));
        tokio::time::advance(std::time::Duration::from_secs(30)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_yamux_ends_the_session_with_the_reason() {
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice();
    let next_version = [1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0].as_slice();
    let unknown_type = [0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0].as_slice();
    for garbage in [preface, next_version, unknown_type, &[0xff; 64]] {
        let (session, _inbound, mut raw) = with_raw(Role::Server);
        let mut stream = session.open().await.unwrap();
        raw.0.write_all(garbage).await.unwrap();
        assert!(matches!(*session.closed().await, SessionEnd::NotYamux(_)));
        assert!(session.open().await.is_err());
        let error = stream.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_is_too_large_ends_the_session() {
    let (session, _inbound, mut raw) = with_raw(Role::Server);
    raw.send(DATA, SYN, 1, u32::MAX).await;
    assert!(matches!(*session.closed().await, SessionEnd::Violation(_)));
}

#[tokio::test(start_paused = true)]
async fn broken_rules_are_answered_with_go_away() {
    let own_number = (DATA, SYN, 2, 0);
    let unasked_pong = (PING, ACK, 0, 77);
    let too_much_credit = (WINDOW, SYN, 1, u32::MAX);
    for (kind, flags, id, length) in [own_number, unasked_pong, too_much_credit] {
        let (session, _inbound, mut raw) = with_raw(Role::Server);
        raw.send(kind, flags, id, length).await;
        assert_eq!(raw.next().await.0, GO_AWAY);
        drop(raw);
        assert!(matches!(*session.closed().await, SessionEnd::ClosedByPeer));
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_connection_is_told_apart_from_a_torn_frame() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    // Its first ping would fail on a pipe without a reader.
    raw.silent().await;
    drop(raw);
    assert!(matches!(*session.closed().await, SessionEnd::ClosedByPeer));

    let (session, _inbound, mut raw) = with_raw(Role::Client);
    raw.silent().await;
    raw.0.write_all(&[0, 0, 0]).await.unwrap();
    drop(raw);
    assert!(matches!(*session.closed().await, SessionEnd::Io(_)));

    let (session, _inbound, mut raw) = with_raw(Role::Client);
    raw.send(GO_AWAY, 0, 0, 0).await;
    assert!(matches!(*session.closed().await, SessionEnd::ClosedByPeer));
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_an_error_and_leaves_other_streams_alone() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let mut reset = session.open().await.unwrap();
    let mut other = session.open().await.unwrap();
    raw.send(WINDOW, ACK, 1, 0).await;
    raw.send(WINDOW, RST, 1, 0).await;
    let error = reset.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    let error = reset.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);

    raw.send(DATA, ACK, 3, 1).await;
    raw.0.write_all(b"y").await.unwrap();
    assert_eq!(other.read_u8().await.unwrap(), b'y');
}

#[tokio::test(start_paused = true)]
async fn each_half_ends_by_itself_and_fin_is_sent_once() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let mut stream = session.open().await.unwrap();
    assert_eq!(raw.next().await, empty(SYN, 1));
    raw.send(DATA, ACK | FIN, 1, 2).await;
    raw.0.write_all(b"ok").await.unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"ok");

    stream.write_all(b"still").await.unwrap();
    assert_eq!(raw.next().await, (DATA, 0, 1, 5, b"still".to_vec()));
    stream.shutdown().await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(raw.next().await, empty(FIN, 1));
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    drop(stream);
    raw.silent().await;

    let mut stream = session.open().await.unwrap();
    assert_eq!(raw.next().await, empty(SYN, 3));
    stream.shutdown().await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(raw.next().await, empty(FIN, 3));
    raw.send(DATA, ACK, 3, 1).await;
    raw.0.write_all(b"z").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'z');
    raw.send(WINDOW, FIN, 3, 0).await;
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    drop(stream);
    raw.silent().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_unwritten_is_reset_and_the_session_goes_on() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    drop(session.open().await.unwrap());
    assert_eq!(raw.next().await, empty(SYN, 1));
    assert_eq!(raw.next().await, empty(RST, 1));
    let _stream = session.open().await.unwrap();
    assert_eq!(raw.next().await, empty(SYN, 3));
}

#[tokio::test(start_paused = true)]
async fn an_open_that_is_given_up_before_its_turn_opens_nothing() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let streams = futures::future::join_all((0..ACK_BACKLOG).map(|_| session.open())).await;
    for _ in &streams {
        raw.next().await;
    }
    let wait = std::time::Duration::from_secs(1);
    assert!(tokio::time::timeout(wait, session.open()).await.is_err());
    raw.send(WINDOW, ACK, 1, 0).await;
    raw.silent().await;
}

#[tokio::test(start_paused = true)]
async fn opens_beyond_the_backlog_wait_for_an_acknowledgement_and_inbound_streams_do_not() {
    let (session, mut inbound, mut raw) = with_raw(Role::Client);
    let streams = futures::future::join_all((0..ACK_BACKLOG).map(|_| session.open())).await;
    for _ in &streams {
        raw.next().await;
    }
    let waiting = tokio::spawn({
        let session = session.clone();
        async move { session.open().await.map(|stream| stream.id()) }
    });
    raw.silent().await;
    raw.send(WINDOW, SYN, 2, 0).await;
    assert_eq!(inbound.recv().await.unwrap().id(), 2);
    assert!(!waiting.is_finished());
    raw.send(WINDOW, ACK, 7, 0).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 513);
}

#[tokio::test(start_paused = true)]
async fn a_stream_counts_as_taken_when_the_peer_has_acknowledged_it() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let opening = tokio::spawn({
        let session = session.clone();
        async move { session.open_taken().await.map(|stream| stream.id()) }
    });
    assert_eq!(raw.next().await, empty(SYN, 1));
    raw.silent().await;
    assert!(!opening.is_finished());
    raw.send(WINDOW, ACK, 1, 0).await;
    assert_eq!(opening.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_opener_has_gone_is_reset_only_after_it_was_taken() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let wait = std::time::Duration::from_secs(1);
    assert!(tokio::time::timeout(wait, session.open_taken()).await.is_err());
    assert_eq!(raw.next().await, empty(SYN, 1));
    raw.silent().await;
    raw.send(WINDOW, ACK, 1, 0).await;
    assert_eq!(raw.next().await, empty(RST, 1));
}

#[tokio::test(start_paused = true)]
async fn two_sessions_carry_streams_both_ways_beyond_a_window() {
    let ((client, mut to_client), (server, mut to_server)) = pair();
    let sent: Vec<u8> = (0..2_000_000_u32).map(|number| number as u8).collect();
    for (opener, acceptor) in [(&client, &mut to_server), (&server, &mut to_client)] {
        let mut ours = opener.open_taken().await.unwrap();
        let mut theirs = acceptor.recv().await.unwrap();
        let mut received = Vec::new();
        let write = async {
            ours.write_all(&sent).await.unwrap();
            ours.shutdown().await.unwrap();
        };
        let (_, read) = tokio::join!(write, theirs.read_to_end(&mut received));
        read.unwrap();
        assert!(received == sent);
    }
}

#[tokio::test(start_paused = true)]
async fn close_sends_what_was_written_and_wakes_readers() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let mut stream = session.open().await.unwrap();
    let mut reader = session.open().await.unwrap();
    let reading = tokio::spawn(async move { reader.read_u8().await.unwrap_err().kind() });
    tokio::task::yield_now().await;
    stream.write_all(b"last").await.unwrap();
    session.close();
    assert!(matches!(*session.closed().await, SessionEnd::Closed));
    assert_eq!(reading.await.unwrap(), io::ErrorKind::ConnectionReset);
    assert!(stream.write_all(b"x").await.is_err());
    assert_eq!(raw.next().await, empty(SYN, 1));
    assert_eq!(raw.next().await, empty(SYN, 3));
    assert_eq!(raw.next().await, (DATA, 0, 1, 4, b"last".to_vec()));
    assert_eq!(raw.0.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_ends_the_session_and_its_streams() {
    let (session, _inbound, mut raw) = with_raw(Role::Client);
    let again = session.clone();
    let mut stream = session.open().await.unwrap();
    assert_eq!(raw.next().await, empty(SYN, 1));
    drop(session);
    raw.silent().await;
    drop(again);
    assert!(stream.read_u8().await.is_err());
    assert_eq!(raw.0.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_connection_does_not_hold_up_the_end() {
    let (ours, _theirs) = tokio::io::duplex(16);
    let (session, _inbound) = start(ours, Role::Client);
    let mut stream = session.open().await.unwrap();
    stream.write_all(&[0; 4096]).await.unwrap();
    session.close();
    assert!(matches!(*session.closed().await, SessionEnd::Closed));
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_own_streams_wait_and_the_session_goes_on() {
    let ((client, _to_client), (_server, mut to_server)) = pair();
    let mut streams = Vec::new();
    for _ in 0..MAX_STREAMS {
        streams.push(client.open_taken().await.unwrap());
    }
    let wait = std::time::Duration::from_secs(1);
    assert!(tokio::time::timeout(wait, client.open()).await.is_err());
    streams.pop();
    drop((0..MAX_STREAMS).map(|_| to_server.try_recv().unwrap()).last());
    tokio::time::timeout(wait, client.open_taken()).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_the_limit_streams_of_the_peer_are_reset_and_the_session_goes_on() {
    let (session, mut inbound, mut raw) = with_raw(Role::Client);
    let last = 2 * (MAX_STREAMS as u32 + 1);
    for id in (2..=last).step_by(2) {
        raw.send(WINDOW, SYN, id, 0).await;
    }
    for id in (2..last).step_by(2) {
        assert_eq!(raw.next().await, empty(ACK, id));
    }
    assert_eq!(raw.next().await, empty(RST, last));
    drop(inbound.recv().await);
    assert_eq!(raw.next().await, empty(RST, 2));
    assert!(session.open().await.is_ok());
}
