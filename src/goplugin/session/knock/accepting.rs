//! The accepting side: answers knocks and says whose an inbound stream is.

use std::collections::HashSet;
use std::time::Instant;

use super::MAX_ACCEPTED;
use super::STREAM_LIMIT;

/// What a side has beside its accepted ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A main server, to which streams without a knock go.
    Plugin,
    /// Nothing.
    Host,
}

/// What to answer to a knock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The error of the acknowledgement; empty is yes.
    pub(crate) error: String,
    /// An id whose stream has not come and is not waited for any longer, for the log.
    pub(crate) dropped: Option<u32>,
}

/// Where an inbound stream belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// To who accepts the id. It is registered.
    Id(u32),
    /// To the main server.
    Main,
    /// To nobody: reset it. With the id whose knock it answers, if that was unregistered
    /// since or came too late.
    Nobody(Option<u32>),
}

/// Too many ids are accepted at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_ACCEPTED} ids are accepted at the same time; close some first")]
pub(crate) struct TooManyIds;

/// The accepted ids of one side and the knock whose stream is awaited.
///
/// At most one is: dialers in Go hold a lock from the knock until the stream is announced,
/// and the announcement is on the wire before the next knock. So when a knock comes, an
/// earlier one without a stream is dead (its dialer had given up waiting), and a second one
/// for the same id is the same. This needs inbound streams to be told here as soon as their
/// frames are read, in the session's callback.
#[derive(Debug)]
pub(crate) struct Accepting {
    place: Place,
    registered: HashSet<u32>,
    awaited: Option<(u32, Instant)>,
}

impl Accepting {
    pub(crate) fn new(place: Place) -> Self {
        Self { place, registered: HashSet::new(), awaited: None }
    }

    /// From now on, knocks for the id are accepted, any number of them. False if it is
    /// registered already.
    ///
    /// # Errors
    ///
    /// At [`MAX_ACCEPTED`] ids.
    pub(crate) fn register(&mut self, id: u32) -> Result<bool, TooManyIds> {
        if self.registered.len() >= MAX_ACCEPTED && !self.registered.contains(&id) {
            return Err(TooManyIds);
        }
        Ok(self.registered.insert(id))
    }

    /// Knocks for the id are refused from now on. A stream whose knock was accepted is
    /// still awaited, and reset when it comes.
    pub(crate) fn unregister(&mut self, id: u32) {
        self.registered.remove(&id);
    }

    /// A knock: what to acknowledge. An unknown id is refused at once, because a late
    /// acknowledgement is what confuses dialers; they knock again by themselves.
    pub(crate) fn on_knock(&mut self, id: u32, now: Instant) -> Answer {
        if !self.registered.contains(&id) {
            return Answer { error: format!("no listener for id {id}"), dropped: None };
        }
        // Before the acknowledgement is sent: the stream may come right after it.
        let earlier = self.awaited.replace((id, now));
        let dropped = earlier.map(|(earlier, _)| earlier).filter(|earlier| *earlier != id);
        Answer { error: String::new(), dropped }
    }

    /// An inbound stream: whose it is.
    pub(crate) fn on_stream(&mut self, now: Instant) -> Inbound {
        match self.awaited.take() {
            Some((id, since)) if now.duration_since(since) > STREAM_LIMIT => match self.place {
                Place::Plugin => Inbound::Main,
                Place::Host => Inbound::Nobody(Some(id)),
            },
            Some((id, _)) if self.registered.contains(&id) => Inbound::Id(id),
            Some((id, _)) => Inbound::Nobody(Some(id)),
            None if self.place == Place::Plugin => Inbound::Main,
            None => Inbound::Nobody(None),
        }
    }
}
