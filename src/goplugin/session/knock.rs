//! Knocking: how a stream of a yamux session gets to whoever accepts an id. Pure: no I/O,
//! no clock.
//!
//! The dialing side knocks for an id, the accepting side acknowledges the knock, and the
//! dialing side opens a stream. Nothing on the stream says whose it is: it is the *next*
//! stream after the acknowledgement. Go has two kinds of accepters, and both differ from
//! what is here, so [`Dialing`] must be safe with three:
//!
//! * **A plugin in Go** queues the id (one at most; a further knock is not acknowledged
//!   until a stream has come for it) and gives the next stream to it. Each acknowledgement
//!   must be followed by one stream, even if nobody wants it any more; a stream too few
//!   gives the id the next dial's stream, one too many goes to the plugin's main server.
//! * **A host in Go** wakes the listener of the id, which then takes *any* next stream: two
//!   listeners that are awake at the same time can take each other's.
//! * **[`Accepting`]** keeps one id, the last that was knocked for.
//!
//! A knock for an id that nobody accepts yet stays unanswered in Go, and is acknowledged
//! whenever somebody does, even after its dialer has given up. So two acknowledgements can
//! be underway although knocks are sent one by one.
//!
//! # What keeps streams apart
//!
//! A stream's being *taken* (acknowledged in yamux: in Go when `Accept` returned it; a
//! stream that was reset before is never acknowledged) is what ends a dial. Nothing is
//! written on a stream before, so all streams are alike until then.
//!
//! 1. For each acknowledgement of a knock there is one stream, at once, wanted or not.
//!    It stays open until it was taken; only then is it used, or reset.
//! 2. The acknowledged knocks whose streams are not taken yet are a *round*. No knock is
//!    sent during a round. If it has more than one, any of its streams may be with any of
//!    the ids: all are reset when taken, and their dials knock again when the round is
//!    over. So it is with two knocks for one id, of which [`Accepting`] makes one.
//! 3. While another knock is unanswered, its listener may be awake already and its
//!    acknowledgement still on the way. So each stream of the round is held for
//!    [`PROBATION`] after it was taken, and the round lasts as long, even if it has two
//!    already: a third one may have taken the stream of one of them.
//! 4. An acknowledged knock whose stream is not taken in [`TAKE_LIMIT`] is dead: its
//!    listener was closed in between. Its stream is still the first in the peer's backlog,
//!    where the next listener would take it and leave its own. It was never used: it *is*
//!    the stream of the next acknowledgement, for which none is opened.
//!
//! Why an acknowledgement of A that comes between the knock and the acknowledgement of B
//! must make a round of both: a plugin in Go has queued A alone, and its stream would be
//! A's. But a host in Go can wake B before that stream comes, and [`Accepting`] can have
//! replaced A by B; in both cases B's acknowledgement is underway, which is rule 3. Between
//! B's acknowledgement and its stream's being taken, the host's listeners race; the plugin
//! in Go cannot be there, because it queues A only when B's stream was taken.
//!
//! # What cannot be kept apart
//!
//! A host in Go whose listener A is woken, takes the stream of B, and whose acknowledgement
//! of A then needs longer than [`PROBATION`]: in Go these are two adjacent statements of
//! one goroutine (`AcceptKnock` and `Send`), so it has to be kept from running so long in
//! between, and while it holds up the control stream alone. And a listener that was woken,
//! took nothing for [`TAKE_LIMIT`], and takes the next stream then.
//!
//! Streams that are opened without a knock, as a second connection to a plugin's main
//! server, are not seen here. A plugin in Go gives them to the id that it has queued. So
//! the main connection is opened before all knocks and never a second time.
//!
//! # How long a dial takes
//!
//! [`KNOCK_LIMIT`] for each knock, [`TAKE_LIMIT`] for each acknowledgement, and
//! [`DIAL_LIMIT`] for everything, with the time in the queue and all repetitions; one
//! [`PROBATION`] more if the stream was taken just before.

mod accepting;
mod dialing;

use std::time::Duration;

pub(crate) use accepting::Accepting;
#[cfg(test)]
pub(crate) use accepting::Answer;
pub(crate) use accepting::Inbound;
pub(crate) use accepting::Place;
#[cfg(test)]
pub(crate) use accepting::TooManyIds;
pub(crate) use dialing::Action;
pub(crate) use dialing::DialError;
pub(crate) use dialing::Dialing;
pub(crate) use dialing::Odd;
pub(crate) use dialing::RequestId;
pub(crate) use dialing::StreamId;

/// How long a knock may stay unanswered, as in Go.
pub(crate) const KNOCK_LIMIT: Duration = Duration::from_secs(5);

/// How long a knock that is not answered keeps the next one from being sent. An accepter
/// that is there answers within a round trip, far below a millisecond on one machine; this
/// is for a machine that is busy. Shorter would only mean more rounds of two.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// How long a stream may stay untaken after the acknowledgement of its knock. Go takes it
/// at once or never; as long as for a knock.
pub(crate) const TAKE_LIMIT: Duration = Duration::from_secs(5);

/// How long a taken stream is held while another knock is unanswered. Go writes the
/// acknowledgement right after it has woken the listener; this is for a machine that is
/// busy. Only dials pay it that come while another one is dead.
pub(crate) const PROBATION: Duration = Duration::from_millis(50);

/// How long a dial may take in all. Three knocks that use up their time.
pub(crate) const DIAL_LIMIT: Duration = Duration::from_secs(15);

/// How many dials may be under way. They go one by one, a round trip each, so this many
/// need a good part of a second; more would time out behind the first dead one.
pub(crate) const MAX_DIALS: usize = 1024;

/// How many ids are remembered whose knocks were never answered: an accepter may still do
/// it, at any time. Each was a dial of [`KNOCK_LIMIT`] that failed.
pub(crate) const MAX_SILENT: usize = 1024;

/// How many ids may be accepted at the same time: as many as streams can be open.
pub(crate) const MAX_ACCEPTED: usize = 8192;

/// How long after its acknowledgement a knock's stream may come. Dialers in Go open it at
/// once; what comes later is the stream of somebody else.
pub(crate) const STREAM_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
