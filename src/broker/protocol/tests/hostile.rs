//! A peer that sends whatever has the shape of a frame, and a machine that
//! neither falls over nor holds more than its limits say.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::call;
use super::ok;
use super::peer::Peer;
use super::peer::id;
use super::peer::open_kind;
use super::peer::request_head;
use super::properties::cases;
use super::properties::limits;
use super::zeros;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::End;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Head;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::RequestHead;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::StreamFrame;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;

/// What the peer sends, or what the application at this end does meanwhile.
#[derive(Clone, Debug)]
enum Step {
    /// A frame as it is: most likely the end of the trunk.
    Wild(Frame),
    /// A frame for a channel or stream that there is or was.
    About {
        pick: usize,
        frame: Frame,
    },
    /// An open or a request with the next number that the peer may use.
    Open(Kind),
    Request {
        pick: usize,
        head: RequestHead,
        data: Bytes,
        end: bool,
    },
    OpenOurs(Kind),
    CallOurs,
    Serve {
        pick: usize,
        what: u8,
    },
    Take(u8),
}

/// A number that may be in use.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 1..16u64, 1 => 1..u64::MAX]
}

/// The frame, for another channel or stream.
fn about(number: u64, mut frame: Frame) -> Frame {
    match &mut frame {
        Frame::Stream(StreamFrame { stream: it, .. })
        | Frame::Credit { stream: it, .. }
        | Frame::Reset { stream: it, .. }
        | Frame::Close { channel: it, .. } => *it = id(number),
        _ => {}
    }
    frame
}

fn end() -> impl Strategy<Value = Option<End>> {
    prop_oneof![9 => Just(None), 1 => Just(Some(End::default()))]
}

fn code() -> impl Strategy<Value = Code> {
    prop_oneof![Just(Code::Cancelled), Just(Code::Limit), Just(Code::Failed)]
}

fn payload() -> impl Strategy<Value = Bytes> {
    prop_oneof![5 => Just(0), 20 => 1..1000usize, 1 => 1000..3100usize].prop_map(zeros)
}

fn stream_frame() -> impl Strategy<Value = Frame> {
    let head = prop_oneof![
        60 => Just(None),
        10 => Just(Some(Head::Response(ResponseHead::default()))),
        1 => number().prop_map(|channel| Some(Head::Request(request_head(channel)))),
    ];
    (number(), head, payload(), end()).prop_map(|(number, head, data, end)| {
        Frame::Stream(StreamFrame { stream: id(number), head, data, end })
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        12 => stream_frame(),
        3 => (number(), prop_oneof![60 => 0..5000u32, 1 => any::<u32>()])
            .prop_map(|(number, bytes)| Frame::Credit { stream: id(number), bytes }),
        2 => (number(), code()).prop_map(|(number, code)| Frame::Reset { stream: id(number), code }),
        1 => (number(), code()).prop_map(|(number, code)| Frame::Close { channel: id(number), code }),
        1 => any::<u64>().prop_map(Frame::Ping),
        1 => any::<u64>().prop_map(Frame::Pong),
        1 => Just(Frame::GoAway { code: Code::GoingAway, message: String::new() }),
    ]
}

fn request() -> impl Strategy<Value = Step> {
    let parent = proptest::option::of(number().prop_map(id));
    (any::<usize>(), parent, 0..80u32, payload(), any::<bool>()).prop_map(
        |(pick, parent, depth, data, end)| Step::Request {
            pick,
            head: RequestHead { parent, depth, ..request_head(2) },
            data,
            end,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let kind = || prop_oneof![3 => Just(Kind::Calls), 1 => Just(Kind::Bytes)];
    prop_oneof![
        1 => proptest::option::weighted(0.1, frame())
            .prop_map(|frame| frame.map_or(Step::Take(1), Step::Wild)),
        24 => (any::<usize>(), frame()).prop_map(|(pick, frame)| Step::About { pick, frame }),
        4 => kind().prop_map(Step::Open),
        8 => request(),
        2 => kind().prop_map(Step::OpenOurs),
        3 => Just(Step::CallOurs),
        16 => (any::<usize>(), any::<u8>()).prop_map(|(pick, what)| Step::Serve { pick, what }),
        6 => (1..6u8).prop_map(Step::Take),
    ]
}

struct Siege {
    peer: Peer,
    limits: Limits,
    next: u64,
    /// Numbers of channels that the peer opened, and of all streams.
    callable: Vec<u64>,
    used: Vec<u64>,
    channels: Vec<ChannelKey>,
    held: Vec<StreamKey>,
    ended: usize,
}

impl Siege {
    fn new(limits: Limits) -> Self {
        Self {
            peer: Peer::connected_with(limits.clone()),
            limits,
            next: 2,
            callable: Vec::new(),
            used: Vec::new(),
            channels: Vec::new(),
            held: Vec::new(),
            ended: 0,
        }
    }

    fn take_number(&mut self) -> u64 {
        self.next += 2;
        self.next - 2
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Wild(frame) => self.peer.send(frame),
            Step::About { pick, frame } => {
                let numbers = match &frame {
                    Frame::Close { .. } => &self.callable,
                    _ => &self.used,
                };
                if let Some(number) = numbers.get(pick % numbers.len().max(1)) {
                    self.peer.send(about(*number, frame));
                }
            }
            Step::Open(kind) => {
                let number = self.take_number();
                match kind {
                    Kind::Calls => self.callable.push(number),
                    Kind::Bytes => self.used.push(number),
                }
                self.peer.send(open_kind(number, kind));
            }
            Step::Request { pick, mut head, data, end } => {
                let Some(channel) = self.callable.get(pick % self.callable.len().max(1)) else {
                    return;
                };
                head.channel = id(*channel);
                let number = self.take_number();
                self.used.push(number);
                self.peer.send(Frame::Stream(StreamFrame {
                    stream: id(number),
                    head: Some(Head::Request(head)),
                    data,
                    end: end.then(End::default),
                }));
            }
            Step::OpenOurs(kind) => {
                let opened = self.peer.machine.open(Target::Registered(1), kind);
                if let Ok((channel, stream)) = opened {
                    self.channels.push(channel);
                    self.held.extend(stream);
                }
            }
            Step::CallOurs => {
                let Some(channel) = self.channels.last() else {
                    return;
                };
                self.held.extend(self.peer.machine.call(*channel, call("/m")).ok());
            }
            Step::Serve { pick, what } => self.serve(pick, what),
            Step::Take(count) => {
                for _ in 0..count {
                    if let Some(Frame::Stream(frame)) = self.peer.machine.poll_transmit()
                        && let Some(Head::Request(_)) = frame.head
                    {
                        self.used.push(frame.stream.get());
                    }
                }
            }
        }
        self.take_events();
        self.check();
    }

    /// What an application may do with a stream: its results are its affair.
    fn serve(&mut self, pick: usize, what: u8) {
        if self.held.is_empty() {
            return;
        }
        let index = pick % self.held.len();
        let key = self.held[index];
        let machine = &mut self.peer.machine;
        let _ = match what % 8 {
            0 => machine.respond(key, ok()).and_then(|()| machine.finish(key, End::default())),
            1 => match machine.respond(key, ok()).and_then(|()| machine.room(key)) {
                Ok(1..) => machine.write(key, zeros(2000)),
                _ => Ok(()),
            },
            2 => machine.read_head(key).map(|_| ()),
            3..6 => machine.read(key).map(|_| ()),
            6 => {
                machine.reset(key, Code::Cancelled);
                Ok(())
            }
            _ => {
                machine.release(self.held.swap_remove(index), Code::Cancelled);
                Ok(())
            }
        };
    }

    fn take_events(&mut self) {
        for event in self.peer.events() {
            match event {
                Event::Opened { stream, .. } => self.held.extend(stream),
                Event::Called { stream, .. } => self.held.push(stream),
                Event::Ended => self.ended += 1,
                _ => {}
            }
        }
    }

    fn check(&self) {
        let machine = &self.peer.machine;
        let counts = machine.counts();
        let streams = counts.streams as u64;
        let windows = streams * u64::from(self.limits.initial_window) + self.limits.shared_window;
        assert!(machine.buffered() <= windows);
        assert!(counts.window_growth <= self.limits.shared_window);
        assert!(machine.streams_of_peer() <= self.limits.streams);
        let ours = self.channels.len();
        assert!(counts.channels <= self.limits.channels as usize + ours);
        assert_eq!(self.ended, usize::from(machine.ended().is_some()));
    }

    fn wind_up(mut self) {
        for key in std::mem::take(&mut self.held) {
            self.peer.machine.release(key, Code::Cancelled);
        }
        self.peer.machine.shut();
        self.take_events();
        self.peer.sent();
        assert_eq!(self.peer.machine.buffered(), 0);
        assert_eq!(self.peer.machine.tables().entries, 0);
        self.check();
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn whatever_a_peer_sends_the_machine_stands_and_keeps_to_its_limits(
        limits in limits(),
        steps in vec(step(), 0..200),
    ) {
        let mut siege = Siege::new(limits);
        steps.into_iter().for_each(|step| siege.apply(step));
        siege.wind_up();
    }
}
