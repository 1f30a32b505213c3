//! Two machines and what must be true of them: every byte that was written is
//! known by its place, so that a reader notices what is lost, doubled or late.

use std::time::Duration;

use super::At;
use super::Pair;
use super::call;
use super::config;
use super::flow::Flow;
use super::flow::Half;
use super::properties::Operation;
use crate::broker::protocol::Call;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::Event;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::Role;
use crate::broker::protocol::StreamError;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;

#[derive(Debug)]
struct SubChannel {
    opener: At,
    kind: Kind,
    refused: bool,
    closed: bool,
    keys: [Option<ChannelKey>; 2],
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) pair: Pair,
    limits: Limits,
    channels: Vec<SubChannel>,
    pub(super) flows: Vec<Flow>,
    gone: [bool; 2],
    drained: [usize; 2],
    pings: u64,
}

fn picked(candidates: &[usize], pick: u8) -> Option<usize> {
    candidates.get(usize::from(pick) % candidates.len().max(1)).copied()
}

impl World {
    pub(super) fn new(limits: Limits) -> Self {
        let config = |role| {
            let mut config = config(role, limits.clone());
            config.keep_alive = Some((Duration::from_secs(10), Duration::from_secs(100_000)));
            config
        };
        let mut pair = Pair::new(config(Role::Host), config(Role::Plugin));
        pair.settle();
        let mut world = Self {
            pair,
            limits,
            channels: Vec::new(),
            flows: Vec::new(),
            gone: [false; 2],
            drained: [0; 2],
            pings: 0,
        };
        for at in At::BOTH {
            world.open(at, false, false);
            world.open(at, true, false);
        }
        world.pair.settle();
        world.take_events();
        world
    }

    pub(super) fn apply(&mut self, operation: &Operation) {
        match *operation {
            Operation::Open { at, bytes, refused } => self.open(at, bytes, refused),
            Operation::Close { at, pick } => self.close(at, pick),
            Operation::Call { at, pick, parent } => self.call(at, pick, parent),
            Operation::Respond { at, pick } => self.on_flow(at, pick, Self::respond),
            Operation::Write { at, pick, count } => {
                self.on_flow(at, pick, |world, at, flow| world.write(at, flow, count));
            }
            Operation::Finish { at, pick } => self.on_flow(at, pick, Self::finish),
            Operation::Read { at, pick, chunks } => self.on_flow(at, pick, |world, at, flow| {
                let _ = (0..chunks).all(|_| world.read(at, flow));
            }),
            Operation::Reset { at, pick } => self.on_flow(at, pick, Self::reset),
            Operation::Release { at, pick } => self.on_flow(at, pick, Self::release),
            Operation::Ping { at } => {
                self.pings += 1;
                let token = self.pings;
                self.pair.at(at).ping(token).expect("far from the limit");
            }
            Operation::GoAway { at } => {
                self.gone[at as usize] = true;
                self.pair.at(at).go_away("enough".to_owned());
            }
            Operation::Transmit { at, count } => {
                let _ = (0..count).all(|_| self.pair.transmit(at));
            }
            Operation::Deliver { at, count } => {
                for _ in 0..count {
                    self.pair.deliver(at);
                }
            }
            Operation::Advance { seconds } => {
                self.pair.now += Duration::from_secs(u64::from(seconds));
                let now = self.pair.now;
                for at in At::BOTH {
                    self.pair.at(at).handle_timeout(now);
                }
            }
        }
        self.take_events();
        self.check();
    }

    fn on_flow(&mut self, at: At, pick: u8, act: impl FnOnce(&mut Self, At, usize)) {
        let held = |index: &usize| self.flows[*index].keys[at as usize].is_some();
        let candidates: Vec<usize> = (0..self.flows.len()).filter(held).collect();
        if let Some(flow) = picked(&candidates, pick) {
            act(self, at, flow);
        }
    }

    /// What holds after every step.
    fn check(&mut self) {
        for at in At::BOTH {
            let machine = self.pair.at(at);
            assert!(machine.ended().is_none(), "{:?}", machine.ended());
            let streams = machine.counts().streams as u64;
            let bound = streams * u64::from(self.limits.initial_window) + self.limits.shared_window;
            assert!(machine.buffered() <= bound);
            assert!(machine.streams_of_peer() <= self.limits.streams);
        }
    }

    fn open(&mut self, at: At, bytes: bool, refused: bool) {
        let kind = if bytes { Kind::Bytes } else { Kind::Calls };
        let target = Target::Registered(self.channels.len() as u64);
        let (key, stream) = match self.pair.at(at).open(target, kind) {
            Ok(opened) => opened,
            Err(error) => return self.assert_refusal(&error),
        };
        let mut keys = [None; 2];
        keys[at as usize] = Some(key);
        self.channels.push(SubChannel { opener: at, kind, refused, closed: false, keys });
        if let Some(stream) = stream {
            self.add_flow(self.channels.len() - 1, stream);
        }
    }

    fn add_flow(&mut self, channel: usize, key: StreamKey) {
        let SubChannel { opener, kind, closed, .. } = self.channels[channel];
        let mut keys = [None; 2];
        keys[opener as usize] = Some(key);
        let half = Half { cut: closed, ..Half::default() };
        self.flows.push(Flow {
            channel,
            opener,
            kind,
            responded: kind == Kind::Bytes,
            keys,
            parked_read: [false; 2],
            parked_room: [false; 2],
            halves: [half; 2],
        });
    }

    fn close(&mut self, at: At, pick: u8) {
        let open = |index: &usize| self.channels[*index].keys[at as usize].is_some();
        let candidates: Vec<usize> = (0..self.channels.len()).filter(open).collect();
        if let Some(channel) = picked(&candidates, pick) {
            self.close_channel(at, channel);
        }
    }

    fn close_channel(&mut self, at: At, channel: usize) {
        if let Some(key) = self.channels[channel].keys[at as usize].take() {
            self.pair.at(at).close(key, Code::Closed);
            self.channels[channel].closed = true;
            let on_it = |flow: &&mut Flow| flow.channel == channel;
            for flow in self.flows.iter_mut().filter(on_it) {
                flow.halves.iter_mut().for_each(|half| half.cut = true);
            }
        }
    }

    fn call(&mut self, at: At, pick: u8, parent: Option<u8>) {
        let callable = |index: &usize| {
            let channel = &self.channels[*index];
            let ours = channel.opener == at && channel.kind == Kind::Calls;
            ours && channel.keys[at as usize].is_some()
        };
        let candidates: Vec<usize> = (0..self.channels.len()).filter(callable).collect();
        let Some(channel) = picked(&candidates, pick) else {
            return;
        };
        let served: Vec<usize> =
            (0..self.flows.len()).filter(|flow| self.flows[*flow].opener != at).collect();
        let parent = parent.and_then(|pick| picked(&served, pick));
        let start = Call {
            parent: parent.and_then(|flow| self.flows[flow].keys[at as usize]),
            ..call(&self.flows.len().to_string())
        };
        let key = self.channels[channel].keys[at as usize].expect("callable");
        match self.pair.at(at).call(key, start) {
            Ok(stream) => self.add_flow(channel, stream),
            Err(_) if self.channels[channel].closed => {}
            Err(error) => self.assert_refusal(&error),
        }
    }

    /// Nothing but a limit and going away keeps anything from beginning.
    pub(super) fn assert_refusal(&self, error: &StreamError) {
        let (StreamError::Local(code) | StreamError::Peer(code)) = error else {
            panic!("{error:?}");
        };
        let leaving = *code == Code::GoingAway && self.gone != [false; 2];
        assert!(*code == Code::Limit || leaving, "{error:?}");
    }

    pub(super) fn take_events(&mut self) {
        for at in At::BOTH {
            for event in self.pair.events(at) {
                self.on_event(at, event);
            }
        }
    }

    fn on_event(&mut self, at: At, event: Event) {
        let side = at as usize;
        match event {
            Event::Opened { channel, target: Target::Registered(number), stream, .. } => {
                let number = number as usize;
                self.channels[number].keys[side] = Some(channel);
                let flow = self.flows.iter().position(|it| it.channel == number);
                if let (Some(stream), Some(flow)) = (stream, flow) {
                    self.flows[flow].keys[side] = Some(stream);
                }
                if self.channels[number].refused {
                    self.close_channel(at, number);
                }
            }
            Event::Called { stream, head, .. } => {
                let flow: usize = head.path.parse().expect("a number");
                self.flows[flow].keys[side] = Some(stream);
            }
            Event::Changed(key) => {
                let is_it = |flow: &&mut Flow| flow.keys[side] == Some(key);
                if let Some(flow) = self.flows.iter_mut().find(is_it) {
                    flow.parked_read[side] = false;
                    flow.parked_room[side] = false;
                }
            }
            Event::Drained => self.drained[side] += 1,
            Event::Ended | Event::Opened { .. } => panic!("{event:?}"),
            Event::Connected | Event::Closed { .. } | Event::Pong(_) | Event::GoingAway => {}
        }
    }

    /// Lets go of everything. Nothing is left then, and if either went away both
    /// were told so, once.
    pub(super) fn wind_up(mut self) {
        self.pair.settle();
        self.take_events();
        for at in At::BOTH {
            for flow in 0..self.flows.len() {
                if self.flows[flow].keys[at as usize].is_some() {
                    self.release(at, flow);
                }
            }
            for channel in 0..self.channels.len() {
                self.close_channel(at, channel);
            }
        }
        self.pair.settle();
        self.take_events();
        self.check();
        self.pair.assert_nothing_left();
        let gone = usize::from(self.gone.contains(&true));
        assert_eq!(self.drained, [gone; 2]);
    }
}
