//! Credit: what a stream may carry, when it comes back, what windows grow by.

use super::At;
use super::Pair;
use super::Reached;
use super::call;
use super::ok;
use super::peer::Peer;
use super::peer::data;
use super::peer::end;
use super::peer::open;
use super::peer::open_kind;
use super::peer::request;
use super::peer::response;
use super::read;
use super::zeros;
use crate::broker::protocol::Code;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Read;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;
use crate::broker::protocol::limits::MAX_QUEUED;

/// A window of 4 KiB, and nothing to grow by.
fn narrow() -> Limits {
    Limits { initial_window: 4096, max_window: 4096, shared_window: 0, ..Limits::default() }
}

fn called(peer: &mut Peer) -> StreamKey {
    let called = |event| match event {
        Event::Called { stream, .. } => Some(stream),
        _ => None,
    };
    peer.events().into_iter().find_map(called).expect("called")
}

fn duplex(limits: Limits) -> (Pair, StreamKey, StreamKey) {
    let mut pair = Pair::connected_with(limits);
    let opened = pair.open(At::Host, Kind::Bytes);
    let ours = opened.our_stream.expect("a stream");
    (pair, ours, opened.their_stream.expect("a stream"))
}

fn credits(frames: &[Frame]) -> u64 {
    let bytes = |frame: &Frame| match frame {
        Frame::Credit { bytes, .. } => u64::from(*bytes),
        _ => 0,
    };
    frames.iter().map(bytes).sum()
}

#[test]
fn an_overrun_resets_its_stream_and_touches_nothing_else() {
    let mut peer = Peer::connected_with(narrow());
    peer.send_all([open(2), request(4, 2)]);
    let guilty = called(&mut peer);
    peer.send(request(6, 2));
    let innocent = called(&mut peer);
    peer.send(data(4, 4096 - 32));
    assert!(peer.machine.failure(guilty).is_none(), "exactly what fits");
    peer.send(data(4, 1));
    assert!(matches!(peer.machine.failure(guilty), Some(StreamError::Overrun)));
    let sent = peer.sent();
    assert!(
        matches!(sent[..], [Frame::Reset { stream, code: Code::Overrun }] if stream.get() == 4),
        "{sent:?}"
    );
    assert_eq!(peer.machine.buffered(), 0, "what had arrived is dropped");
    assert!(peer.machine.failure(innocent).is_none());
    assert!(peer.machine.ended().is_none());
    peer.send(data(6, 10));
    assert!(matches!(peer.machine.read(innocent), Ok(Read::Data(_))));
}

#[test]
fn an_overrun_of_a_response_is_not_counted_as_a_question_that_was_never_answered() {
    let mut peer = Peer::connected_with(narrow());
    let target = Target::Registered(1);
    let (channel, _) = peer.machine.open(target, Kind::Calls).expect("may open");
    let key = peer.machine.call(channel, call("/m")).expect("may call");
    peer.sent();
    peer.send_all([response(3), data(3, 4096)]);
    assert!(matches!(peer.machine.failure(key), Some(StreamError::Overrun)));
    peer.sent();
    assert_eq!(peer.machine.tables().answers, 0);
}

#[test]
fn a_first_frame_that_overruns_is_cut_off_too() {
    let mut peer = Peer::connected_with(narrow());
    peer.send_all([open_kind(2, Kind::Bytes), data(2, 4096)]);
    let sent = peer.sent();
    assert!(matches!(sent[..], [Frame::Reset { code: Code::Overrun, .. }]));
    assert!(peer.machine.ended().is_none());
}

#[test]
fn frames_without_data_are_charged_and_run_out() {
    let mut peer = Peer::connected_with(narrow());
    peer.send_all([open(2), request(4, 2)]);
    let key = called(&mut peer);
    for _ in 0..4096 / 32 {
        peer.send(data(4, 0));
        assert!(peer.machine.failure(key).is_none());
    }
    peer.send(data(4, 0));
    assert!(matches!(peer.machine.failure(key), Some(StreamError::Overrun)));
}

#[test]
fn a_head_or_an_end_without_data_needs_no_credit() {
    let mut peer = Peer::connected_with(narrow());
    peer.send_all([open(2), request(4, 2)]);
    let key = called(&mut peer);
    peer.send_all([data(4, 4096 - 32), end(4)]);
    let (bytes, reached) = read(&mut peer.machine, key);
    assert_eq!(bytes.len(), 4096 - 32);
    assert!(matches!(reached, Reached::End(Some(_))));
}

#[test]
fn credit_comes_back_when_data_was_consumed_and_not_when_it_arrived() {
    let (mut pair, ours, theirs) = duplex(narrow());
    pair.host().write(ours, zeros(100_000)).expect("open");
    pair.settle();
    let arrived = pair.plugin().buffered();
    assert!(arrived > 3000 && arrived <= 4096, "{arrived}");
    assert!(pair.pass(At::Plugin).is_empty(), "nobody has read");
    let (bytes, _) = read(pair.plugin(), theirs);
    assert_eq!(bytes.len() as u64 + 32, arrived);
    assert_eq!(credits(&pair.pass(At::Plugin)), arrived);
}

#[test]
fn credit_that_waits_for_the_transport_waits_in_one_frame_however_much_is_read() {
    let limits = Limits {
        initial_window: 64 * 1024,
        max_window: 64 * 1024,
        frame_data: 8192,
        ..Limits::default()
    };
    let (mut pair, ours, theirs) = duplex(limits);
    pair.host().write(ours, zeros(40_000)).expect("open");
    pair.pass(At::Host);
    for _ in 0..5 {
        assert!(matches!(pair.plugin().read(theirs), Ok(Read::Data(_))));
    }
    assert_eq!(pair.counts()[1].backlog, 1);
    let frames = pair.pass(At::Plugin);
    assert_eq!((frames.len(), credits(&frames)), (1, 40_000 + 5 * 32));
}

#[test]
fn a_window_grows_while_it_is_used_up_and_no_further_than_the_pool_has() {
    let limits = Limits {
        initial_window: 1024,
        max_window: 1 << 20,
        shared_window: 5000,
        ..Limits::default()
    };
    let (mut pair, ours, theirs) = duplex(limits);
    for _ in 0..100 {
        pair.host().write(ours, zeros(20_000)).expect("open");
        pair.settle();
        assert!(pair.plugin().buffered() <= 1024 + 5000);
        read(pair.plugin(), theirs);
    }
    assert_eq!(pair.counts()[1].window_growth, 5000);
    assert_eq!(pair.counts()[0].window_growth, 0, "nothing came the other way");
}

#[test]
fn a_window_grows_no_further_than_its_maximum() {
    let limits = Limits { initial_window: 1024, max_window: 3000, ..Limits::default() };
    let (mut pair, ours, theirs) = duplex(limits);
    for _ in 0..100 {
        pair.host().write(ours, zeros(20_000)).expect("open");
        pair.settle();
        assert!(pair.plugin().buffered() <= 3000);
        read(pair.plugin(), theirs);
    }
    assert_eq!(pair.counts()[1].window_growth, 3000 - 1024);
}

#[test]
fn a_stream_returns_to_the_pool_what_it_took_when_it_is_let_go_of() {
    let (mut pair, ours, theirs) = duplex(Limits::default());
    for _ in 0..10 {
        pair.host().write(ours, zeros(100_000)).expect("open");
        pair.settle();
        read(pair.plugin(), theirs);
    }
    assert!(pair.counts()[1].window_growth > 0);
    pair.host().release(ours, Code::Cancelled);
    pair.settle();
    assert!(pair.counts()[1].window_growth > 0, "the application still holds it");
    pair.plugin().release(theirs, Code::Cancelled);
    pair.assert_nothing_left();
}

#[test]
fn no_stream_depends_on_what_others_hold_of_the_pool() {
    let limits = Limits { initial_window: 2048, shared_window: 10_000, ..Limits::default() };
    let (mut pair, greedy, greedy_there) = duplex(limits);
    for _ in 0..20 {
        pair.host().write(greedy, zeros(50_000)).expect("open");
        pair.settle();
        read(pair.plugin(), greedy_there);
    }
    assert_eq!(pair.counts()[1].window_growth, 10_000, "the pool is empty");
    let opened = pair.open(At::Host, Kind::Bytes);
    let (ours, theirs) = (opened.our_stream, opened.their_stream);
    let (ours, theirs) = (ours.expect("a stream"), theirs.expect("a stream"));
    pair.host().write(ours, zeros(50_000)).expect("open");
    let mut arrived = 0;
    while arrived < 50_000 {
        pair.settle();
        let (bytes, _) = read(pair.plugin(), theirs);
        assert!(!bytes.is_empty(), "stuck after {arrived}");
        arrived += bytes.len();
    }
}

#[test]
fn a_sender_is_told_when_there_is_room_again() {
    let (mut pair, ours, theirs) = duplex(Limits::default());
    assert!(pair.host().room(ours).expect("well") > 0);
    pair.host().write(ours, zeros(300_000)).expect("open");
    assert!(pair.host().room(ours).expect("well") == 0);
    pair.settle();
    assert!(pair.host().room(ours).expect("well") == 0, "nobody reads");
    assert!(pair.events(At::Host).is_empty());
    for turn in 0.. {
        read(pair.plugin(), theirs);
        pair.settle();
        if !pair.events(At::Host).is_empty() {
            break;
        }
        assert!(turn < 1000, "never told");
    }
    assert!(pair.host().room(ours).expect("well") > 0);
}

#[test]
fn what_waits_for_credit_stays_with_the_application() {
    let (mut pair, ours, theirs) = duplex(narrow());
    let mut given = 0;
    while pair.host().room(ours).expect("well") > 0 {
        pair.host().write(ours, zeros(100)).expect("open");
        given += 100;
        pair.settle();
    }
    assert!(given <= narrow().initial_window as usize, "{given}");
    read(pair.plugin(), theirs);
    pair.settle();
    assert_eq!(pair.events(At::Host).len(), 1, "told when there is credit");
    assert!(pair.host().room(ours).expect("well") > 0);
}

#[test]
fn a_writer_is_told_of_room_when_half_of_it_is_free_and_not_for_every_frame() {
    let limits = Limits { initial_window: 1 << 20, ..Limits::default() };
    let (mut pair, ours, _) = duplex(limits);
    while pair.host().room(ours).expect("well") > 0 {
        pair.host().write(ours, zeros(8192)).expect("open");
    }
    let full = pair.host().queued_on(ours);
    let mut left = full;
    while pair.events(At::Host).is_empty() {
        assert!(left * 2 > full, "half of it is free, and nobody was told");
        assert!(pair.transmit(At::Host), "told before all has left");
        left = pair.host().queued_on(ours);
    }
    assert!(left * 2 <= full, "told with {left} of {full} still to leave");
    assert!(pair.host().room(ours).expect("well") >= full / 2);
}

#[test]
fn what_all_streams_queue_is_bounded_and_writers_are_told_when_it_has_left() {
    let limits = Limits { initial_window: 1 << 20, ..Limits::default() };
    let mut pair = Pair::connected_with(limits);
    let mut waiting = Vec::new();
    let mut given = 0;
    let open = |pair: &mut Pair| pair.open(At::Host, Kind::Bytes).our_stream.expect("a stream");
    let streams: Vec<StreamKey> = (0..300).map(|_| open(&mut pair)).collect();
    for stream in streams {
        if pair.host().room(stream).expect("well") == 0 {
            waiting.push(stream);
        } else {
            pair.host().write(stream, zeros(100_000)).expect("open");
            given += 100_000;
        }
    }
    assert!(given < MAX_QUEUED + 100_000, "{given}");
    assert!(!waiting.is_empty());
    pair.events(At::Host);
    pair.settle();
    assert_eq!(pair.events(At::Host).len(), waiting.len());
    for stream in waiting {
        assert!(pair.host().room(stream).expect("well") > 0);
    }
}

#[test]
fn a_reader_is_told_once_until_it_has_looked() {
    let (mut pair, ours, theirs) = duplex(Limits::default());
    for _ in 0..5 {
        pair.host().write(ours, zeros(10)).expect("open");
        pair.settle();
    }
    assert!(matches!(
        pair.events(At::Plugin)[..],
        [Event::Changed(key)] if key == theirs
    ));
    pair.host().write(ours, zeros(10)).expect("open");
    pair.settle();
    assert_eq!(pair.events(At::Plugin).len(), 1);
}

#[test]
fn the_request_body_of_a_call_that_is_answered_and_let_go_of_holds_nothing_up() {
    let mut pair = Pair::connected_with(narrow());
    let opened = pair.open(At::Host, Kind::Calls);
    let (caller, callee) = pair.call(At::Host, opened.ours);
    let plugin = pair.plugin();
    plugin.respond(callee, ok()).expect("open");
    plugin.write(callee, zeros(10_000)).expect("open");
    plugin.finish(callee, Default::default()).expect("open");
    plugin.release(callee, Code::Failed);
    // The caller writes everything before it reads anything.
    pair.host().write(caller, zeros(100_000)).expect("open");
    pair.settle();
    assert!(pair.host().room(caller).expect("not stuck") > 0);
    assert_eq!(pair.plugin().buffered(), 0);
    let (arrived, reached) = pair.read_to_end(At::Host, caller);
    assert!(matches!(reached, Reached::End(Some(_))), "{reached:?}");
    assert_eq!(arrived, 10_000);
}
