//! Dials against models of the three accepters, with delays everywhere: nobody ever gets a
//! stream that the accepter gave to another id, and nothing takes longer than it may.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    GoPlugin,
    GoHost,
    Ours,
}

/// How an id is accepted, in milliseconds from the beginning.
#[derive(Clone, Copy, Debug)]
struct Listener {
    /// Never, if `None`.
    from: Option<u64>,
    /// Acknowledges once and takes no stream: a listener that was just closed (Go's host).
    deaf: bool,
}

#[derive(Clone, Copy, Debug)]
struct Plan {
    kind: Kind,
    seed: u64,
    /// The longest time in milliseconds that a goroutine waits before it runs on.
    pause: u64,
    /// The longest way of a knock.
    knock: u64,
}

#[derive(Clone, Debug)]
enum Event {
    Dial(u32),
    Cancel(RequestId),
    /// Messages that have arrived.
    Knock(u32),
    Ack(u32, String),
    Syn(StreamId),
    Taken(StreamId),
    /// What the peer's goroutines do.
    Accept(u32),
    Open(u32),
    SendAck(u32),
    Listen(u32),
    TakeNext,
}

/// The goroutine in Go that answers the knocks for an id.
#[derive(Debug, Default)]
struct Answerer {
    accepts: bool,
    busy: bool,
    /// One knock is kept, more are dropped.
    buffered: bool,
}

#[derive(Debug)]
struct World {
    plan: Plan,
    random: fastrand::Rng,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    now: u64,
    start: Instant,
    dialing: Dialing,
    dials: BTreeMap<RequestId, (u32, u64)>,
    given: usize,
    /// When the last message arrives, of knocks, acknowledgements and streams.
    arrivals: [u64; 3],

    listeners: Vec<Listener>,
    answerers: BTreeMap<u32, Answerer>,
    backlog: VecDeque<StreamId>,
    /// Whom the peer gave a stream; `None` is its main server.
    assigned: BTreeMap<StreamId, Option<u32>>,
    /// Go's plugin: the queue of one, and who waits for room in it.
    queued: Option<u32>,
    pushing: VecDeque<u32>,
    /// Go's host: listeners that were woken, that wait to be, and that take streams.
    woken: BTreeSet<u32>,
    waking: VecDeque<u32>,
    taking: Vec<u32>,
    ours: Accepting,
}

impl World {
    fn new(plan: Plan, listeners: Vec<Listener>) -> Self {
        let mut world = Self {
            plan,
            random: fastrand::Rng::with_seed(plan.seed),
            events: BTreeMap::new(),
            sequence: 0,
            now: 0,
            start: crate::broker::now(),
            dialing: Dialing::default(),
            dials: BTreeMap::new(),
            given: 0,
            arrivals: [0; 3],
            answerers: BTreeMap::new(),
            backlog: VecDeque::new(),
            assigned: BTreeMap::new(),
            queued: None,
            pushing: VecDeque::new(),
            woken: BTreeSet::new(),
            waking: VecDeque::new(),
            taking: Vec::new(),
            ours: Accepting::new(Place::Plugin),
            listeners,
        };
        for id in 0..world.listeners.len() {
            if let Some(from) = world.listeners[id].from {
                world.at(from, Event::Accept(id as u32));
            }
        }
        world
    }

    fn at(&mut self, time: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((time, self.sequence), event);
    }

    fn within(&mut self, longest: u64, event: Event) {
        let delay = self.random.u64(0..=longest);
        self.at(self.now + delay, event);
    }

    /// As `within`, and behind all that went the same way before.
    fn send(&mut self, way: usize, longest: u64, event: Event) {
        let arrival = self.now + self.random.u64(0..=longest);
        self.arrivals[way] = self.arrivals[way].max(arrival);
        self.at(self.arrivals[way], event);
    }

    fn clock(&self) -> Instant {
        self.start + Duration::from_millis(self.now)
    }

    fn run(&mut self) {
        loop {
            let event = self.events.keys().next().map(|(time, _)| *time);
            let since = |timeout: Instant| timeout.duration_since(self.start).as_millis() as u64;
            let timeout = self.dialing.next_timeout().map(since);
            let Some(next) = event.into_iter().chain(timeout).min() else {
                break;
            };
            self.now = self.now.max(next);
            let clock = self.clock();
            if timeout == Some(next) {
                self.dialing.on_time(clock);
            } else if let Some((_, event)) = self.events.pop_first() {
                self.happen(event, clock);
            }
            while let Some(action) = self.dialing.next_action() {
                self.act(action);
            }
        }
        assert!(self.dialing.is_idle(), "{:?}", self.dialing);
        assert!(self.dials.is_empty(), "{:?}", self.dials);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Knock(id) => self.send(0, self.plan.knock, Event::Knock(id)),
            Action::Open(stream) => self.send(2, self.plan.pause, Event::Syn(stream)),
            Action::Reset(stream) => assert!(self.assigned.contains_key(&stream)),
            Action::Report(odd) => assert!(!matches!(odd, Odd::Unrequested { .. }), "{odd:?}"),
            Action::Fail(request, _) => drop(self.ended(request)),
            Action::Give(stream, request) => {
                let id = self.ended(request);
                assert_eq!(self.assigned.get(&stream), Some(&Some(id)), "misrouted");
                self.given += 1;
            }
        }
    }

    fn ended(&mut self, request: RequestId) -> u32 {
        let (id, asked) = self.dials.remove(&request).expect("a dial ends once");
        assert!(self.now - asked <= (DIAL_LIMIT + PROBATION).as_millis() as u64);
        id
    }

    fn happen(&mut self, event: Event, clock: Instant) {
        match event {
            Event::Dial(id) => {
                let request = self.dialing.dial(id, clock).unwrap();
                self.dials.insert(request, (id, self.now));
                if self.random.u8(0..8) == 0 {
                    self.within(6000, Event::Cancel(request));
                }
            }
            Event::Cancel(request) => {
                self.dialing.cancel(request, clock);
                self.dials.remove(&request);
            }
            Event::Ack(id, error) => self.dialing.on_ack(id, &error, clock),
            Event::Taken(stream) => self.dialing.on_taken(stream, clock),
            Event::Accept(id) if self.plan.kind == Kind::Ours => {
                self.ours.register(id).unwrap();
            }
            Event::Knock(id) if self.plan.kind == Kind::Ours => {
                let answer = self.ours.on_knock(id, clock);
                self.send(1, 40, Event::Ack(id, answer.error));
            }
            Event::Syn(stream) if self.plan.kind == Kind::Ours => {
                let id = match self.ours.on_stream(clock) {
                    Inbound::Id(id) => Some(id),
                    Inbound::Main | Inbound::Nobody(_) => None,
                };
                self.take(stream, id);
            }
            Event::Accept(id) => {
                self.answerers.entry(id).or_default().accepts = true;
                self.answer(id);
            }
            Event::Knock(id) => {
                self.answerers.entry(id).or_default().buffered = true;
                self.answer(id);
            }
            Event::Open(id) if self.plan.kind == Kind::GoPlugin => {
                self.pushing.push_back(id);
                self.push();
            }
            Event::Open(id) => {
                self.waking.push_back(id);
                self.wake();
            }
            Event::SendAck(id) => {
                self.send(1, 20, Event::Ack(id, String::new()));
                self.answerers.entry(id).or_default().busy = false;
                self.answer(id);
            }
            Event::Syn(stream) => {
                self.backlog.push_back(stream);
                self.within(self.plan.pause, Event::TakeNext);
            }
            Event::Listen(id) => {
                self.woken.remove(&id);
                self.taking.push(id);
                self.wake();
                self.take_next();
            }
            Event::TakeNext => self.take_next(),
        }
    }

    fn answer(&mut self, id: u32) {
        let answerer = self.answerers.entry(id).or_default();
        if answerer.accepts && answerer.buffered && !answerer.busy {
            answerer.buffered = false;
            answerer.busy = true;
            self.within(self.plan.pause, Event::Open(id));
        }
    }

    /// Go's plugin: a place in the queue of one, then the acknowledgement.
    fn push(&mut self) {
        if self.queued.is_none()
            && let Some(id) = self.pushing.pop_front()
        {
            self.queued = Some(id);
            self.within(self.plan.pause, Event::SendAck(id));
        }
    }

    /// Go's host: the listener of the id is woken, then comes the acknowledgement.
    fn wake(&mut self) {
        let ready = self.waking.iter().position(|id| !self.woken.contains(id));
        if let Some(id) = ready.and_then(|at| self.waking.remove(at)) {
            self.woken.insert(id);
            self.within(20, Event::SendAck(id));
            if !self.listeners[id as usize].deaf && !self.taking.contains(&id) {
                self.within(self.plan.pause, Event::Listen(id));
            }
        }
    }

    fn take_next(&mut self) {
        if self.plan.kind == Kind::GoPlugin {
            if let Some(stream) = self.backlog.pop_front() {
                let id = self.queued.take();
                assert!(id.is_some(), "a stream that was not knocked for");
                self.take(stream, id);
                self.push();
            }
        } else if !self.taking.is_empty()
            && let Some(stream) = self.backlog.pop_front()
        {
            let id = self.taking.swap_remove(self.random.usize(0..self.taking.len()));
            self.take(stream, Some(id));
            if self.woken.contains(&id) {
                self.within(self.plan.pause, Event::Listen(id));
            }
        }
    }

    fn take(&mut self, stream: StreamId, id: Option<u32>) {
        assert!(self.assigned.insert(stream, id).is_none());
        self.within(self.plan.pause, Event::Taken(stream));
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![Just(Kind::GoPlugin), Just(Kind::GoHost), Just(Kind::Ours)];
    let pause = prop_oneof![Just(0_u64), Just(3), Just(60), Just(400)];
    let knock = prop_oneof![Just(0_u64), Just(300), Just(1200)];
    (kind, any::<u64>(), pause, knock).prop_map(|(kind, seed, pause, knock)| Plan {
        kind,
        seed,
        pause,
        knock,
    })
}

fn listener() -> impl Strategy<Value = Listener> {
    let from = prop_oneof![
        4 => Just(Some(0)),
        3 => (0..8000_u64).prop_map(Some),
        1 => Just(None),
    ];
    (from, prop::bool::weighted(0.1)).prop_map(|(from, deaf)| Listener { from, deaf })
}

fn dials() -> impl Strategy<Value = Vec<(u64, u32)>> {
    let burst = (0..10_000_u64, prop::collection::vec(0..5_u32, 1..6));
    let bursts = prop::collection::vec(burst, 1..8);
    bursts.prop_map(|bursts| {
        let each = |(time, ids): (u64, Vec<u32>)| ids.into_iter().map(move |id| (time, id));
        bursts.into_iter().flat_map(each).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_dial_gets_the_stream_of_another_id(
        plan in plan(),
        listeners in prop::collection::vec(listener(), 5),
        dials in dials(),
    ) {
        let mut world = World::new(plan, listeners);
        for (time, id) in dials {
            world.at(time, Event::Dial(id));
        }
        world.run();
    }

    #[test]
    fn every_dial_of_an_accepted_id_succeeds(
        kind in prop_oneof![Just(Kind::GoPlugin), Just(Kind::GoHost), Just(Kind::Ours)],
        seed in any::<u64>(),
        ids in prop::collection::vec(0..5_u32, 1..40),
    ) {
        let plan = Plan { kind, seed, pause: 3, knock: 3 };
        let mut world = World::new(plan, vec![Listener { from: Some(0), deaf: false }; 5]);
        let count = ids.len();
        for id in ids {
            let request = world.dialing.dial(id, world.start).unwrap();
            world.dials.insert(request, (id, 0));
        }
        world.at(0, Event::TakeNext);
        world.run();
        prop_assert_eq!(world.given, count);
    }
}
