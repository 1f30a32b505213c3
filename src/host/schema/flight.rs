//! One fetch, and all who wait for it.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::future::Shared;
use futures::future::WeakShared;

/// What a plugin has answered, and who may have it.
#[derive(Clone, Debug)]
pub struct Fetched<S> {
    pub(super) schema: S,
    pub(super) is_shared: bool,
}

impl<S> Fetched<S> {
    /// An answer that every instance of the same program would give, and that none of them
    /// needs to be asked for: Terraform's `get_provider_schema_optional`.
    pub fn shared(schema: S) -> Self {
        Self { schema, is_shared: true }
    }

    /// An answer that is good for the instance that gave it only: because it depends on how
    /// that one is configured, or because each must be asked before it works.
    pub fn of_instance(schema: S) -> Self {
        Self { schema, is_shared: false }
    }
}

/// Which instance of a plugin has asked. Never used twice by one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InstanceId(pub(super) u64);

/// Which fetch it is. Never used twice by one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FlightId(pub(super) u64);

/// The end of a fetch.
#[derive(Debug)]
pub(super) struct Landed<S> {
    pub(super) schema: Arc<S>,
    pub(super) is_shared: bool,
    pub(super) by: InstanceId,
}

// Not derived, for that would ask the same of `S`.
impl<S> Clone for Landed<S> {
    fn clone(&self) -> Self {
        Self { schema: self.schema.clone(), is_shared: self.is_shared, by: self.by }
    }
}

impl<S> Landed<S> {
    /// The schema, if this instance may have it.
    pub(super) fn for_instance(self, instance: InstanceId) -> Option<Arc<S>> {
        (self.is_shared || self.by == instance).then_some(self.schema)
    }
}

/// A fetch that runs for as long as somebody waits for it. Whoever of them is there polls
/// it, so that one who gives up takes nothing from the others.
pub(super) type Flight<S, E> = Shared<BoxFuture<'static, Result<Landed<S>, E>>>;

/// A flight that others wait for, or did.
pub(super) type WeakFlight<S, E> = WeakShared<BoxFuture<'static, Result<Landed<S>, E>>>;
