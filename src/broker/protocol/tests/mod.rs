//! Tests of the machine: two of them, a virtual clock, no task and no sleep.

mod bytes;
mod channels;
mod end;
mod flow;
mod go_away;
mod handshake;
mod honest;
mod hostile;
mod ids;
mod limits;
mod loops;
mod model;
mod peer;
mod properties;
mod scheduling;
mod timers;
mod unary;
mod violations;
mod windows;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use ::bytes::Bytes;

use crate::broker::protocol::Call;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Config;
use crate::broker::protocol::Connection;
use crate::broker::protocol::Counts;
use crate::broker::protocol::End;
use crate::broker::protocol::Event;
use crate::broker::protocol::Frame;
use crate::broker::protocol::Hello;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Read;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::Role;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;
use crate::broker::protocol::VERSION;

pub(super) const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the virtual clock starts.
#[expect(
    clippy::disallowed_methods,
    reason = "an Instant cannot be made from nothing; all that tests compare are offsets from it"
)]
pub(super) fn base() -> Instant {
    Instant::now()
}

pub(super) fn config(role: Role, limits: Limits) -> Config {
    Config {
        hello: Hello {
            versions: (VERSION, VERSION),
            features: Vec::new(),
            role,
            limits: limits.announced(),
            run: None,
            name: "test".to_owned(),
            version: "1".to_owned(),
            application_version: None,
            services: Vec::new(),
        },
        limits,
        hello_timeout: HELLO_TIMEOUT,
        keep_alive: None,
    }
}

/// One end of a [`Pair`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Host,
    Plugin,
}

impl At {
    pub(super) const BOTH: [Self; 2] = [Self::Host, Self::Plugin];

    pub(super) fn other(self) -> Self {
        match self {
            Self::Host => Self::Plugin,
            Self::Plugin => Self::Host,
        }
    }
}

/// Two machines with a wire from each to the other.
#[derive(Debug)]
pub(super) struct Pair {
    machines: [Connection; 2],
    /// Frames under way, by their sender, each with when it arrives.
    wires: [VecDeque<(Instant, Frame)>; 2],
    pub(super) now: Instant,
    /// How long a frame is under way, by its sender.
    pub(super) delay: [Duration; 2],
}

/// A sub-channel at both ends; with its stream at both ends if it carries bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    pub(super) ours: ChannelKey,
    pub(super) theirs: ChannelKey,
    pub(super) our_stream: Option<StreamKey>,
    pub(super) their_stream: Option<StreamKey>,
}

/// How far reading a stream came.
#[derive(Debug)]
pub(super) enum Reached {
    /// More may come.
    Pause,
    End(Option<End>),
    Failure(StreamError),
}

impl Pair {
    pub(super) fn new(host: Config, plugin: Config) -> Self {
        let now = base();
        Self {
            machines: [Connection::new(host, now), Connection::new(plugin, now)],
            wires: [VecDeque::new(), VecDeque::new()],
            now,
            delay: [Duration::ZERO; 2],
        }
    }

    /// Both with `limits`, and the hellos behind them.
    pub(super) fn connected_with(limits: Limits) -> Self {
        let host = config(Role::Host, limits.clone());
        let mut pair = Self::new(host, config(Role::Plugin, limits));
        pair.settle();
        for at in At::BOTH {
            assert!(matches!(pair.events(at)[..], [Event::Connected]));
        }
        pair
    }

    pub(super) fn connected() -> Self {
        Self::connected_with(Limits::default())
    }

    pub(super) fn at(&mut self, at: At) -> &mut Connection {
        &mut self.machines[at as usize]
    }

    pub(super) fn host(&mut self) -> &mut Connection {
        self.at(At::Host)
    }

    pub(super) fn plugin(&mut self) -> &mut Connection {
        self.at(At::Plugin)
    }

    /// Takes one frame from `from` and puts it on the wire.
    pub(super) fn transmit(&mut self, from: At) -> bool {
        let Some(frame) = self.at(from).poll_transmit() else {
            return false;
        };
        let arrives = self.now + self.delay[from as usize];
        self.wires[from as usize].push_back((arrives, frame));
        true
    }

    /// Lets the oldest frame of `from` arrive, whenever it was to.
    pub(super) fn deliver(&mut self, from: At) -> Option<Frame> {
        let (arrives, frame) = self.wires[from as usize].pop_front()?;
        self.now = self.now.max(arrives);
        let now = self.now;
        self.at(from.other()).handle_frame(frame.clone(), now);
        Some(frame)
    }

    /// Moves one frame, or jumps to the next arrival or timer and does what is
    /// due. Returns whether anything was left to do.
    pub(super) fn step(&mut self) -> bool {
        self.move_frame() || self.jump()
    }

    fn move_frame(&mut self) -> bool {
        let now = self.now;
        for at in At::BOTH {
            let due = self.wires[at as usize].front();
            if due.is_some_and(|(arrives, _)| *arrives <= now) {
                return self.deliver(at).is_some();
            }
        }
        self.transmit(At::Host) || self.transmit(At::Plugin)
    }

    fn jump(&mut self) -> bool {
        let arrivals = self.wires.iter().filter_map(|wire| wire.front());
        let arrival = arrivals.map(|(arrives, _)| *arrives).min();
        let timer = self.machines.iter().filter_map(Connection::poll_timeout).min();
        let Some(next) = arrival.into_iter().chain(timer).min() else {
            return false;
        };
        self.now = self.now.max(next);
        for at in At::BOTH {
            let now = self.now;
            self.at(at).handle_timeout(now);
        }
        true
    }

    /// Moves frames until none is left; fires no timer that is not due by then.
    pub(super) fn settle(&mut self) {
        while self.move_frame() || self.wires.iter().any(|wire| !wire.is_empty()) && self.jump() {}
    }

    /// Moves what `from` has to say now, and returns it.
    pub(super) fn pass(&mut self, from: At) -> Vec<Frame> {
        while self.transmit(from) {}
        std::iter::from_fn(|| self.deliver(from)).collect()
    }

    pub(super) fn events(&mut self, at: At) -> Vec<Event> {
        let machine = self.at(at);
        std::iter::from_fn(|| machine.poll_event()).collect()
    }

    pub(super) fn counts(&self) -> [Counts; 2] {
        [self.machines[0].counts(), self.machines[1].counts()]
    }

    /// Opens a sub-channel and lets the peer hear of it.
    pub(super) fn open(&mut self, from: At, kind: Kind) -> Opened {
        let target = Target::Service("service".to_owned());
        let (ours, our_stream) = self.at(from).open(target, kind).expect("may open");
        self.settle();
        let opened = |event| match event {
            Event::Opened { channel, stream, .. } => Some((channel, stream)),
            _ => None,
        };
        let events = self.events(from.other()).into_iter();
        let last = events.filter_map(opened).last();
        let (theirs, their_stream) = last.expect("the peer hears of it");
        Opened { ours, theirs, our_stream, their_stream }
    }

    /// Starts a call, lets it arrive, and returns the stream at the caller and
    /// at the callee.
    pub(super) fn call(&mut self, from: At, channel: ChannelKey) -> (StreamKey, StreamKey) {
        let caller = self.at(from).call(channel, call("/m")).expect("may call");
        self.settle();
        (caller, self.called(from.other()))
    }

    /// The call that has arrived last.
    pub(super) fn called(&mut self, at: At) -> StreamKey {
        let called = |event| match event {
            Event::Called { stream, .. } => Some(stream),
            _ => None,
        };
        let events = self.events(at).into_iter();
        events.filter_map(called).last().expect("a call arrived")
    }

    /// Reads a stream to its end or failure, moving what there is to move
    /// whenever it pauses. Returns how many bytes there were.
    pub(super) fn read_to_end(&mut self, at: At, key: StreamKey) -> (usize, Reached) {
        let mut count = 0;
        loop {
            let (bytes, reached) = read(self.at(at), key);
            count += bytes.len();
            match reached {
                Reached::Pause => {
                    let moved = self.step();
                    assert!(moved || !bytes.is_empty(), "stuck after {count} bytes");
                    self.settle();
                }
                reached => return (count, reached),
            }
        }
    }

    /// What has been let go of has left nothing at either end.
    pub(super) fn assert_nothing_left(&mut self) {
        self.settle();
        assert_eq!(self.counts(), [Counts::default(); 2]);
        for machine in &self.machines {
            assert_eq!(machine.tables().entries, 0, "{:?}", machine.tables());
        }
    }
}

pub(super) fn call(path: &str) -> Call {
    Call { path: path.to_owned(), ..Call::default() }
}

pub(super) fn ok() -> ResponseHead {
    ResponseHead::default()
}

pub(super) fn zeros(count: usize) -> Bytes {
    Bytes::from(vec![0; count])
}

/// Reads what has arrived.
pub(super) fn read(machine: &mut Connection, key: StreamKey) -> (Vec<u8>, Reached) {
    let mut bytes = Vec::new();
    loop {
        match machine.read(key) {
            Ok(Read::Data(data)) => bytes.extend_from_slice(&data),
            Ok(Read::End(end)) => return (bytes, Reached::End(end)),
            Ok(Read::Pending) => return (bytes, Reached::Pause),
            Err(error) => return (bytes, Reached::Failure(error)),
        }
    }
}
