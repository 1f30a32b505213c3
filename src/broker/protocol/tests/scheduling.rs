//! Whose turn it is: control first, then sub-channels in turn, then the streams
//! of each in turn.

use super::At;
use super::Pair;
use super::call;
use super::read;
use super::zeros;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::StreamKey;

/// Wide windows and short frames, so that only turns matter.
fn wide() -> Limits {
    Limits { initial_window: 1 << 20, max_window: 1 << 20, frame_data: 1024, ..Limits::default() }
}

fn bulk(pair: &mut Pair, channel: ChannelKey) -> StreamKey {
    let host = pair.host();
    let key = host.call(channel, call("/bulk")).expect("may call");
    host.write(key, zeros(50_000)).expect("open");
    key
}

/// The streams of the next `count` frames.
fn turns(pair: &mut Pair, count: usize) -> Vec<u64> {
    let turn = |frame| match frame {
        Some(Frame::Stream(frame)) => frame.stream.get(),
        other => panic!("{other:?}"),
    };
    (0..count).map(|_| turn(pair.host().poll_transmit())).collect()
}

#[test]
fn control_frames_go_before_data() {
    let mut pair = Pair::connected_with(wide());
    let opened = pair.open(At::Host, Kind::Calls);
    bulk(&mut pair, opened.ours);
    turns(&mut pair, 3);
    pair.host().ping(7).expect("alive");
    assert_eq!(pair.host().poll_transmit(), Some(Frame::Ping(7)));
    turns(&mut pair, 1);
}

#[test]
fn streams_of_one_channel_take_turns() {
    let mut pair = Pair::connected_with(wide());
    let opened = pair.open(At::Host, Kind::Calls);
    for _ in 0..3 {
        bulk(&mut pair, opened.ours);
    }
    let turns = turns(&mut pair, 9);
    assert_eq!(turns[..3], turns[3..6]);
    assert_eq!(turns[..3], turns[6..]);
    assert!(turns[0] != turns[1] && turns[1] != turns[2] && turns[0] != turns[2]);
}

#[test]
fn channels_take_turns_however_many_streams_each_has() {
    let mut pair = Pair::connected_with(wide());
    let crowded = pair.open(At::Host, Kind::Calls);
    let quiet = pair.open(At::Host, Kind::Calls);
    for _ in 0..5 {
        bulk(&mut pair, crowded.ours);
    }
    bulk(&mut pair, quiet.ours);
    let turns = turns(&mut pair, 20);
    let alone = turns[1];
    let share = turns.iter().filter(|turn| **turn == alone).count();
    assert_eq!(share, 10, "half of the turns: {turns:?}");
}

#[test]
fn a_small_call_passes_a_bulk_one_of_its_channel_within_one_round() {
    let mut pair = Pair::connected_with(wide());
    let opened = pair.open(At::Host, Kind::Calls);
    bulk(&mut pair, opened.ours);
    turns(&mut pair, 10);
    let small = pair.host().call(opened.ours, call("/small"));
    let small = small.expect("may call");
    pair.host().write(small, zeros(100)).expect("open");
    pair.host().finish(small, End::default()).expect("open");
    let whole = |frame: Frame| matches!(frame, Frame::Stream(frame) if frame.head.is_some() && frame.end.is_some());
    let mut next = || pair.host().poll_transmit().expect("a frame");
    assert!(!whole(next()), "the bulk one had its place already");
    assert!(whole(next()));
}

#[test]
fn a_small_call_passes_a_bulk_one_of_another_channel_within_one_round() {
    let mut pair = Pair::connected_with(wide());
    let crowded = pair.open(At::Host, Kind::Calls);
    let other = pair.open(At::Host, Kind::Calls);
    for _ in 0..8 {
        bulk(&mut pair, crowded.ours);
    }
    turns(&mut pair, 10);
    let small = pair.host().call(other.ours, call("/small"));
    pair.host().finish(small.expect("may call"), End::default()).expect("open");
    let turns = turns(&mut pair, 2);
    assert!(turns[1] > turns[0], "the newest is second: {turns:?}");
}

#[test]
fn a_stream_that_waits_for_credit_takes_no_turns_and_stalls_nobody() {
    let limits =
        Limits { initial_window: 4096, max_window: 4096, frame_data: 1024, ..Limits::default() };
    let mut pair = Pair::connected_with(limits);
    let opened = pair.open(At::Host, Kind::Calls);
    let stalled = bulk(&mut pair, opened.ours);
    pair.settle();
    assert!(!pair.host().wants_transmit(), "nothing of it is in line without credit");
    let (going, there) = pair.call(At::Host, opened.ours);
    for _ in 0..20 {
        pair.host().write(going, zeros(1000)).expect("open");
        let frames = pair.pass(At::Host);
        let of_going = |frame: &Frame| matches!(frame, Frame::Stream(it) if it.data.len() == 1000);
        assert!(frames.len() == 1 && of_going(&frames[0]), "{frames:?}");
        read(pair.plugin(), there);
        pair.pass(At::Plugin);
    }
    assert!(pair.host().failure(stalled).is_none());
}

#[test]
fn a_call_that_is_cut_off_gives_its_turn_to_the_next() {
    let mut pair = Pair::connected_with(wide());
    let opened = pair.open(At::Host, Kind::Calls);
    let first = bulk(&mut pair, opened.ours);
    bulk(&mut pair, opened.ours);
    let both = turns(&mut pair, 2);
    pair.host().release(first, Code::Cancelled);
    assert!(matches!(
        pair.host().poll_transmit(),
        Some(Frame::Reset { stream, .. }) if stream.get() == both[0]
    ));
    assert_eq!(turns(&mut pair, 3), [both[1]; 3]);
}
