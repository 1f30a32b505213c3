//! The dialing side: which knock is sent when, and whose a taken stream is.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::time::Instant;

use super::DIAL_LIMIT;
use super::KNOCK_LIMIT;
use super::MAX_DIALS;
use super::MAX_SILENT;
use super::PATIENCE;
use super::PROBATION;
use super::TAKE_LIMIT;

/// One dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RequestId(u64);

/// One stream that an action has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(u64);

/// Why a dial has failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialError {
    /// The peer's answer. Nobody there accepts the id, or not yet: worth another try.
    #[error("the peer refused to connect id {id}: {text}")]
    Refused { id: u32, text: String },
    /// Nobody there accepts the id, or the peer is stopped or busy.
    #[error("the peer did not answer the knock for id {id} in {KNOCK_LIMIT:?}")]
    NoAnswer { id: u32 },
    /// Whoever accepted the id at the peer has closed it meanwhile.
    #[error("the peer agreed to connect id {id} and did not take the stream in {TAKE_LIMIT:?}")]
    NotTaken { id: u32 },
    /// Dials go one by one, and those before this one took too long.
    #[error("the dial of id {id} did not get its turn in {DIAL_LIMIT:?}")]
    NoTurn { id: u32 },
    /// This side dials too much at the same time.
    #[error("more than {MAX_DIALS} dials are under way")]
    TooMany,
    /// There is nothing left to dial on.
    #[error("the session with the peer has ended")]
    SessionEnded,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send a knock for the id.
    Knock(u32),
    /// Open a stream, write nothing on it, and report when the peer has taken it.
    Open(StreamId),
    /// Hand a taken stream to its dial, which is over.
    Give(StreamId, RequestId),
    /// Reset a taken stream.
    Reset(StreamId),
    /// Fail a dial, which is over.
    Fail(RequestId, DialError),
    /// Tell the log.
    Report(Odd),
}

/// What is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Odd {
    /// An acknowledgement of a knock that was not sent: the peer's mistake, ignored.
    Unrequested { id: u32 },
    /// A knock was acknowledged while another one's stream was underway: both dials
    /// knock again.
    Mixed { id: u32 },
    /// The peer did not take the stream of an acknowledged knock.
    NotTaken { id: u32 },
    /// Too many ids were dialled and never answered; this one's acknowledgement would be
    /// ignored from now on.
    Forgotten { id: u32 },
}

#[derive(Debug)]
struct Dial {
    request: RequestId,
    id: u32,
    /// When it fails, whatever it waits for.
    give_up: Instant,
}

/// What was sent for one id and is not answered.
#[derive(Debug)]
struct Knock {
    /// How many acknowledgements can come. More than one if a dial has knocked again after
    /// another had given up; Go drops some of such knocks, so it may be fewer.
    unanswered: u32,
    sent: Instant,
    /// Who wants the stream; nobody any more if it has failed or was cancelled.
    dial: Option<Dial>,
}

/// A knock that was acknowledged and whose stream is not taken.
#[derive(Debug)]
struct Acked {
    id: u32,
    at: Instant,
    dial: Option<Dial>,
}

/// A taken stream on probation.
#[derive(Debug)]
struct Held {
    stream: StreamId,
    until: Instant,
    dial: Dial,
}

/// Whose streams are underway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Round {
    /// Nobody's: a knock may be sent.
    #[default]
    Over,
    /// That of one acknowledged knock.
    One,
    /// Those of several, and nobody knows which is whose.
    Mixed,
}

/// All dials of one session. After each call that takes a time, take the
/// [actions](Self::next_action), and call [`on_time`](Self::on_time) at the
/// [`next_timeout`](Self::next_timeout).
#[derive(Debug, Default)]
pub(crate) struct Dialing {
    /// In the order of their turns.
    queue: Vec<Dial>,
    knocks: BTreeMap<u32, Knock>,
    acked: Vec<Acked>,
    held: Vec<Held>,
    round: Round,
    /// When the round's probation is over, if another id may have taken a stream of it.
    probation: Option<Instant>,
    /// Streams that were opened and are not taken.
    untaken: usize,
    last_request: u64,
    last_stream: u64,
    ended: bool,
    actions: VecDeque<Action>,
}

impl Dialing {
    /// A new dial of an id.
    ///
    /// # Errors
    ///
    /// At [`MAX_DIALS`], and after the end of the session.
    pub(crate) fn dial(&mut self, id: u32, now: Instant) -> Result<RequestId, DialError> {
        if self.ended {
            return Err(DialError::SessionEnded);
        }
        if self.dials() >= MAX_DIALS {
            return Err(DialError::TooMany);
        }
        self.last_request += 1;
        let request = RequestId(self.last_request);
        self.queue.push(Dial { request, id, give_up: now + DIAL_LIMIT });
        self.send_next(now);
        Ok(request)
    }

    /// Nobody waits for a dial any more. Without effect if it is over.
    pub(crate) fn cancel(&mut self, request: RequestId, now: Instant) {
        let is_it = |dial: &mut Dial| dial.request == request;
        self.queue.retain(|dial| dial.request != request);
        for knock in self.knocks.values_mut() {
            knock.dial.take_if(is_it);
        }
        for acked in &mut self.acked {
            acked.dial.take_if(is_it);
        }
        for held in self.held.extract_if(.., |held| held.dial.request == request) {
            self.actions.push_back(Action::Reset(held.stream));
        }
        self.forget_oldest();
        self.send_next(now);
    }

    /// The answer to a knock, with the peer's error; empty is yes.
    pub(crate) fn on_ack(&mut self, id: u32, error: &str, now: Instant) {
        let Some(knock) = self.knocks.get_mut(&id) else {
            self.actions.push_back(Action::Report(Odd::Unrequested { id }));
            return;
        };
        let dial = knock.dial.take();
        knock.unanswered -= 1;
        if knock.unanswered == 0 {
            self.knocks.remove(&id);
        }
        if error.is_empty() {
            self.add_to_round(Acked { id, at: now, dial });
        } else {
            let queued = self.queue.extract_if(.., |dial| dial.id == id);
            for dial in dial.into_iter().chain(queued) {
                let error = DialError::Refused { id, text: error.to_owned() };
                self.actions.push_back(Action::Fail(dial.request, error));
            }
        }
        self.send_next(now);
    }

    fn add_to_round(&mut self, acked: Acked) {
        let id = acked.id;
        if self.round == Round::Over {
            self.round = Round::One;
        } else if self.round == Round::One {
            self.round = Round::Mixed;
            self.actions.push_back(Action::Report(Odd::Mixed { id }));
            for held in self.held.drain(..).rev() {
                self.actions.push_back(Action::Reset(held.stream));
                self.queue.insert(0, held.dial);
            }
        }
        self.acked.push(acked);
        // One that an earlier listener has left is the first that will be taken.
        if self.untaken < self.acked.len() {
            self.untaken += 1;
            self.last_stream += 1;
            self.actions.push_back(Action::Open(StreamId(self.last_stream)));
        }
    }

    /// The peer has taken a stream.
    pub(crate) fn on_taken(&mut self, stream: StreamId, now: Instant) {
        self.untaken = self.untaken.saturating_sub(1);
        let acked = (!self.acked.is_empty()).then(|| self.acked.remove(0));
        let until = now + PROBATION;
        // Or it is an earlier round's, whose listener was thought to be closed.
        let may_be_anothers = self.round != Round::Over && !self.knocks.is_empty();
        if may_be_anothers {
            self.probation = Some(until);
        }
        match acked.and_then(|acked| acked.dial) {
            None => self.actions.push_back(Action::Reset(stream)),
            Some(dial) if self.round == Round::Mixed => {
                self.queue.insert(0, dial);
                self.actions.push_back(Action::Reset(stream));
            }
            Some(dial) if may_be_anothers => self.held.push(Held { stream, until, dial }),
            Some(dial) => self.actions.push_back(Action::Give(stream, dial.request)),
        }
        self.send_next(now);
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: Instant) {
        for dial in self.queue.extract_if(.., |dial| dial.give_up <= now) {
            let error = DialError::NoTurn { id: dial.id };
            self.actions.push_back(Action::Fail(dial.request, error));
        }
        for (id, knock) in &mut self.knocks {
            let is_over = knock.sent + KNOCK_LIMIT <= now;
            if let Some(dial) = knock.dial.take_if(|dial| is_over || dial.give_up <= now) {
                let error = DialError::NoAnswer { id: *id };
                self.actions.push_back(Action::Fail(dial.request, error));
            }
        }
        self.forget_oldest();
        for acked in &mut self.acked {
            let is_over = acked.at + TAKE_LIMIT <= now;
            if let Some(dial) = acked.dial.take_if(|dial| is_over || dial.give_up <= now) {
                let error = DialError::NotTaken { id: acked.id };
                self.actions.push_back(Action::Fail(dial.request, error));
            }
        }
        for acked in self.acked.extract_if(.., |acked| acked.at + TAKE_LIMIT <= now) {
            self.actions.push_back(Action::Report(Odd::NotTaken { id: acked.id }));
        }
        for held in self.held.extract_if(.., |held| held.until <= now) {
            self.actions.push_back(Action::Give(held.stream, held.dial.request));
        }
        self.probation.take_if(|over| *over <= now);
        self.send_next(now);
    }

    /// The session has ended, and with it every dial.
    pub(crate) fn on_session_end(&mut self) {
        let knocking = std::mem::take(&mut self.knocks).into_values().map(|knock| knock.dial);
        let acked = self.acked.drain(..).map(|acked| acked.dial);
        let held = self.held.drain(..).map(|held| Some(held.dial));
        let queued = self.queue.drain(..).map(Some);
        for dial in knocking.chain(acked).chain(held).chain(queued).flatten() {
            self.actions.push_back(Action::Fail(dial.request, DialError::SessionEnded));
        }
        self.untaken = 0;
        self.probation = None;
        self.ended = true;
    }

    /// The next thing to do, if any.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`on_time`](Self::on_time) wants to be called; `None` is not at all.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let queued = self.queue.iter().map(|dial| dial.give_up);
        let knocks = self.knocks.values();
        let dormant = knocks.clone().map(|knock| knock.sent + PATIENCE);
        // Only if it holds somebody up; and once it is past, it has done so.
        let held_up = self.round == Round::Over && self.next_in_queue().is_some();
        let turn = dormant.max().filter(|_| held_up);
        let unanswered = knocks.filter_map(|knock| {
            knock.dial.as_ref().map(|dial| dial.give_up.min(knock.sent + KNOCK_LIMIT))
        });
        let untaken = self.acked.iter().map(|acked| {
            let over = acked.at + TAKE_LIMIT;
            acked.dial.as_ref().map_or(over, |dial| dial.give_up.min(over))
        });
        let held = self.held.iter().map(|held| held.until);
        let probation = held.chain(self.probation);
        queued.chain(turn).chain(unanswered).chain(untaken).chain(probation).min()
    }

    /// The first dial whose id no other dial knocks for.
    fn next_in_queue(&self) -> Option<usize> {
        let is_free = |id| self.knocks.get(id).is_none_or(|knock| knock.dial.is_none());
        self.queue.iter().position(|dial| is_free(&dial.id))
    }

    fn send_next(&mut self, now: Instant) {
        if !self.acked.is_empty() || self.probation.is_some() {
            return;
        }
        self.round = Round::Over;
        if self.knocks.values().any(|knock| now < knock.sent + PATIENCE) {
            return;
        }
        let Some(next) = self.next_in_queue() else {
            return;
        };
        let dial = self.queue.remove(next);
        let unsent = Knock { unanswered: 0, sent: now, dial: None };
        let knock = self.knocks.entry(dial.id).or_insert(unsent);
        knock.unanswered = knock.unanswered.saturating_add(1);
        knock.sent = now;
        self.actions.push_back(Action::Knock(dial.id));
        knock.dial = Some(dial);
    }

    fn dials(&self) -> usize {
        let knocking = self.knocks.values().filter(|knock| knock.dial.is_some()).count();
        let acked = self.acked.iter().filter(|acked| acked.dial.is_some()).count();
        self.queue.len() + knocking + acked + self.held.len()
    }

    fn forget_oldest(&mut self) {
        loop {
            let silent = self.knocks.iter().filter(|(_, knock)| knock.dial.is_none());
            if silent.clone().count() <= MAX_SILENT {
                return;
            }
            let Some((&id, _)) = silent.min_by_key(|(_, knock)| knock.sent) else {
                return;
            };
            self.knocks.remove(&id);
            self.actions.push_back(Action::Report(Odd::Forgotten { id }));
        }
    }

    /// That no dial and no stream is remembered; knocks that were never answered may be.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.dials() == 0
            && self.acked.is_empty()
            && self.probation.is_none()
            && self.actions.is_empty()
    }
}
