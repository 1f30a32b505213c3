//! Two connected machines, and unary calls from the host's to the plugin's.

use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;

use crate::broker::protocol::Call;
use crate::broker::protocol::ChannelKey;
use crate::broker::protocol::Code;
use crate::broker::protocol::Config;
use crate::broker::protocol::Connection;
use crate::broker::protocol::Counts;
use crate::broker::protocol::End;
use crate::broker::protocol::Event;
use crate::broker::protocol::Hello;
use crate::broker::protocol::Kind;
use crate::broker::protocol::Limits;
use crate::broker::protocol::ResponseHead;
use crate::broker::protocol::Role;
use crate::broker::protocol::StreamKey;
use crate::broker::protocol::Target;
use crate::broker::protocol::VERSION;

const REQUEST: &[u8] = &[1; 64];
const RESPONSE: &[u8] = &[2; 64];

/// Two machines with the default limits, and a clock that stands still.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) host: Connection,
    pub(crate) plugin: Connection,
    now: Instant,
    /// Calls that were answered.
    answered: u64,
}

/// A sub-channel, with its stream at both ends if it carries bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    pub(crate) ours: ChannelKey,
    pub(crate) our_stream: Option<StreamKey>,
    pub(crate) their_stream: Option<StreamKey>,
}

impl Pair {
    /// Two machines that have exchanged their hellos.
    pub(crate) fn connected() -> Self {
        let now = start();
        let host = Connection::new(config(Role::Host), now);
        let plugin = Connection::new(config(Role::Plugin), now);
        let mut pair = Self { host, plugin, now, answered: 0 };
        pair.deliver_to_plugin();
        pair.deliver_to_host();
        for machine in [&mut pair.host, &mut pair.plugin] {
            assert!(matches!(machine.poll_event(), Some(Event::Connected)));
        }
        pair
    }

    /// Hands over all frames of the host.
    pub(crate) fn deliver_to_plugin(&mut self) {
        while self.deliver_one_to_plugin() {}
    }

    /// Hands over one frame of the host. Returns whether there was one.
    pub(crate) fn deliver_one_to_plugin(&mut self) -> bool {
        let frame = self.host.poll_transmit();
        let there_was = frame.is_some();
        frame.into_iter().for_each(|frame| self.plugin.handle_frame(frame, self.now));
        there_was
    }

    /// Hands over all frames of the plugin.
    pub(crate) fn deliver_to_host(&mut self) {
        while let Some(frame) = self.plugin.poll_transmit() {
            self.host.handle_frame(frame, self.now);
        }
    }

    /// Takes what both machines have to tell, for who knows it already.
    pub(crate) fn skip_events(&mut self) {
        for machine in [&mut self.host, &mut self.plugin] {
            while machine.poll_event().is_some() {}
        }
    }

    /// Opens a sub-channel from the host, of which the plugin hears.
    pub(crate) fn open(&mut self, kind: Kind) -> Opened {
        let target = Target::Registered(1);
        let (ours, our_stream) = self.host.open(target, kind).expect("within the limits");
        self.deliver_to_plugin();
        let Some(Event::Opened { stream: their_stream, .. }) = self.plugin.poll_event() else {
            panic!("the plugin hears of a sub-channel that the host opens");
        };
        Opened { ours, our_stream, their_stream }
    }

    /// Closes a sub-channel of the host, of which the plugin hears.
    pub(crate) fn close(&mut self, channel: ChannelKey) {
        self.host.close(channel, Code::Done);
        self.deliver_to_plugin();
        assert!(matches!(self.plugin.poll_event(), Some(Event::Closed { .. })));
    }

    /// Makes `count` calls at once and brings all of them to their end.
    pub(crate) fn unary_calls(&mut self, channel: ChannelKey, count: usize) {
        for _ in 0..count {
            self.ask(channel);
        }
        self.deliver_to_plugin();
        assert_eq!(self.serve(), count, "all of them arrived");
        self.deliver_to_host();
        assert_eq!(self.take_answers(), count, "all of them were answered");
    }

    /// Starts a call, its message and end included.
    pub(crate) fn ask(&mut self, channel: ChannelKey) {
        let call = Call { path: "/service/Method".to_owned(), ..Call::default() };
        let key = self.host.call(channel, call).expect("within the limits");
        self.host.write(key, Bytes::from_static(REQUEST)).expect("open");
        self.host.finish(key, End::default()).expect("open");
    }

    /// Answers the calls that have arrived at the plugin. Returns how many there were.
    pub(crate) fn serve(&mut self) -> usize {
        let mut served = 0;
        while let Some(event) = self.plugin.poll_event() {
            let Event::Called { stream, .. } = event else {
                continue;
            };
            let request = self.plugin.read_whole(stream).expect("a unary call is one frame");
            assert_eq!(request.data, REQUEST);
            self.plugin.respond(stream, ResponseHead::default()).expect("open");
            self.plugin.write(stream, Bytes::from_static(RESPONSE)).expect("open");
            self.plugin.finish(stream, End::default()).expect("open");
            self.plugin.release(stream, Code::Failed);
            served += 1;
        }
        served
    }

    /// Takes the answers that have arrived at the host. Returns how many there were.
    pub(crate) fn take_answers(&mut self) -> usize {
        let mut taken = 0;
        while let Some(event) = self.host.poll_event() {
            let Event::Changed(stream) = event else {
                continue;
            };
            if self.host.read_head(stream).expect("it goes well").is_none() {
                continue; // A byte stream that has room again.
            }
            let response = self.host.read_whole(stream).expect("a unary answer is one frame");
            assert_eq!(response.data, RESPONSE);
            self.host.release(stream, Code::Cancelled);
            taken += 1;
        }
        self.answered += taken as u64;
        taken
    }

    /// All calls were answered, nothing failed, and nothing is open any more.
    pub(crate) fn assert_nothing_left(&mut self) {
        self.deliver_to_plugin();
        self.deliver_to_host();
        for machine in [&self.host, &self.plugin] {
            assert!(machine.ended().is_none());
            assert_eq!(machine.totals().calls, self.answered);
            assert_eq!(machine.counts(), Counts::default());
        }
    }
}

/// Where the clock stands.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made from nothing")]
fn start() -> Instant {
    Instant::now()
}

fn config(role: Role) -> Config {
    let limits = Limits::default();
    Config {
        hello: Hello {
            versions: (VERSION, VERSION),
            features: Vec::new(),
            role,
            limits: limits.announced(),
            run: None,
            name: "bench".to_owned(),
            version: "1".to_owned(),
            application_version: None,
            services: Vec::new(),
        },
        limits,
        hello_timeout: Duration::from_secs(10),
        keep_alive: None,
    }
}
