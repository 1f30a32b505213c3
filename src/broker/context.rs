//! What a call that is being served passes on to the calls that it makes.

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

use tokio::task_local;

use super::protocol::StreamKey;
use super::transport::Link;
use super::transport::now;

task_local! {
    static CURRENT: CallContext;
}

/// The call that the current task serves.
///
/// While a handler runs, and while the body of its response is read, every call
/// that it makes on any sub-channel inherits this context: it ends no later than
/// the outer call's deadline, it counts as nested one deeper, and while the trunk
/// is going away it is still let through. If the outer call is cancelled the
/// handler is dropped, and what it was calling with it.
///
/// Set a deadline with tonic's `Request::set_timeout`; what is left of it is
/// [`remaining`](Self::remaining).
///
/// A task that the handler spawns does not inherit it by itself; pass it on:
///
/// ```
/// # fn handler(work: impl Future<Output = ()> + Send + 'static) {
/// let work = match trunkline::CallContext::current() {
///     Some(context) => tokio::spawn(context.scope(work)),
///     None => tokio::spawn(work),
/// };
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct CallContext {
    pub(super) deadline: Option<Instant>,
    pub(super) depth: u32,
    pub(super) origin: Origin,
}

/// What a call came on.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// A stream of a trunk.
    Trunk(Link, StreamKey),
    /// A session of another dialect, by its number.
    #[cfg(feature = "goplugin")]
    Foreign(u64),
}

impl CallContext {
    /// The context of the call that this task serves, if it serves one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// What is left until the deadline of the call; `None` if it has none.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(now()))
    }

    /// How many calls are above this one, across processes.
    pub fn depth(&self) -> u32 {
        self.depth
    }

    /// The deadline of a call that is made on behalf of this one: its own or this one's,
    /// whichever is sooner.
    pub(super) fn bounds(&self, own: Option<Instant>) -> Option<Instant> {
        match (own, self.deadline) {
            (Some(own), Some(outer)) => Some(own.min(outer)),
            (own, outer) => own.or(outer),
        }
    }

    /// The stream of this trunk that the call came on, if it is this one.
    pub(super) fn stream_on(&self, link: &Link) -> Option<StreamKey> {
        match &self.origin {
            Origin::Trunk(own, stream) => own.is_same(link).then_some(*stream),
            #[cfg(feature = "goplugin")]
            Origin::Foreign(_) => None,
        }
    }

    /// Runs a future as a part of this call.
    ///
    /// # Cancel safety
    ///
    /// As the future's own.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// Does something as a part of this call.
    pub(super) fn enter<T>(self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(self, work)
    }
}
