//! Activating each plugin once, however many ask for it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::future::Either;
use futures::future::Ready;
use futures::future::Shared;
use futures::future::WeakShared;
use futures::future::ready;
use parking_lot::Mutex;
use tokio::task::spawn_blocking;

use crate::docker::client::Client;
use crate::docker::client::RetryPolicy;
use crate::docker::discovery::Location;
use crate::docker::registry::GetError;
use crate::docker::registry::Plugin;
use crate::docker::tls::TlsError;

type MakeClient = dyn Fn(&Location) -> Result<Client, TlsError> + Send + Sync;
type Handler = Arc<dyn Fn(&Plugin) + Send + Sync>;
type Loaded = Result<Plugin, GetError>;
type Loading = BoxFuture<'static, Loaded>;

/// A plugin that is there, or will be.
type Known = Either<Shared<Loading>, Ready<Loaded>>;

/// The plugins that are active, those that are becoming so, and who wants to know of it.
pub(super) struct Loader {
    client: Box<MakeClient>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    handlers: Vec<(String, Handler)>,
    /// How many activations there were: their numbers.
    count: u64,
}

enum Entry {
    /// Held by those who wait: when all have given up, so has the activation.
    Loading {
        number: u64,
        loading: WeakShared<Loading>,
    },
    Active(Plugin),
}

impl State {
    /// The handlers for a plugin, from the one of this number on.
    fn handlers_for(&self, plugin: &Plugin, from: usize) -> Vec<Handler> {
        let new = self.handlers.iter().skip(from);
        let for_it = new.filter(|(interface, _)| plugin.implements(interface));
        for_it.map(|(_, handler)| handler.clone()).collect()
    }

    fn known(&self, name: &str) -> Option<Known> {
        match self.entries.get(name)? {
            Entry::Active(plugin) => Some(Either::Right(ready(Ok(plugin.clone())))),
            Entry::Loading { loading, .. } => loading.upgrade().map(Either::Left),
        }
    }

    /// Whether this activation is the present one: the plugin may have been forgotten since.
    fn is_present(&self, name: &str, activation: u64) -> bool {
        let entry = self.entries.get(name);
        matches!(entry, Some(Entry::Loading { number, .. }) if *number == activation)
    }
}

impl Loader {
    pub(super) fn new(
        client: impl Fn(&Location) -> Result<Client, TlsError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { client: Box::new(client), state: Mutex::default() })
    }

    /// The plugin if it is active, or its activation if that is under way.
    pub(super) fn known(&self, name: &str) -> Option<Known> {
        self.state.lock().known(name)
    }

    /// Activates a plugin, unless somebody else does, or has.
    pub(super) fn activate(self: &Arc<Self>, location: Location, retry: &RetryPolicy) -> Known {
        let mut state = self.state.lock();
        if let Some(known) = state.known(location.name()) {
            return known;
        }
        state.count += 1;
        let (number, name) = (state.count, location.name().to_owned());
        let loading = self.clone().load(location, retry.clone(), number).boxed().shared();
        // It has not ended, and so can be.
        if let Some(loading) = loading.downgrade() {
            state.entries.insert(name, Entry::Loading { number, loading });
        }
        Either::Left(loading)
    }

    async fn load(self: Arc<Self>, location: Location, retry: RetryPolicy, number: u64) -> Loaded {
        let name = location.name().to_owned();
        let loaded = self.clone().connect_and_ask(location, retry).await;
        match &loaded {
            Ok(plugin) => self.introduce(plugin, number),
            Err(_) => self.give_up(&name, number),
        }
        loaded
    }

    async fn connect_and_ask(self: Arc<Self>, location: Location, retry: RetryPolicy) -> Loaded {
        let location = Arc::new(location);
        let name = || location.name().to_owned();
        let made = {
            let location = location.clone();
            // It may read files.
            spawn_blocking(move || (self.client)(&location)).await
        };
        let made = made.unwrap_or_else(|error| Err(TlsError::Aborted(error)));
        let client =
            made.map_err(|source| GetError::Tls { name: name(), source: Arc::new(source) })?;
        let manifest = client.clone().with_retry(retry).activate().await;
        let manifest = manifest
            .map_err(|source| GetError::Activate { name: name(), source: Arc::new(source) })?;
        Ok(Plugin::new(location.clone(), manifest, client))
    }

    pub(super) fn handle(&self, interface: &str, handler: Handler) {
        let mut state = self.state.lock();
        state.handlers.push((interface.to_owned(), handler.clone()));
        let active = state.entries.values().filter_map(|entry| match entry {
            Entry::Active(plugin) if plugin.implements(interface) => Some(plugin.clone()),
            // It is seen to when that is active.
            _ => None,
        });
        let active: Vec<_> = active.collect();
        drop(state);
        active.iter().for_each(|plugin| handler(plugin));
    }

    pub(super) fn forget(&self, name: &str) {
        self.state.lock().entries.remove(name);
    }

    /// Calls all handlers with a new plugin, also those that are added meanwhile, and then
    /// makes it known.
    fn introduce(&self, plugin: &Plugin, number: u64) {
        let mut called = 0;
        loop {
            let mut state = self.state.lock();
            let handlers = state.handlers_for(plugin, called);
            called = state.handlers.len();
            if handlers.is_empty() {
                if state.is_present(plugin.name(), number) {
                    state.entries.insert(plugin.name().to_owned(), Entry::Active(plugin.clone()));
                }
                return;
            }
            drop(state);
            handlers.iter().for_each(|handler| handler(plugin));
        }
    }

    fn give_up(&self, name: &str, number: u64) {
        let mut state = self.state.lock();
        if state.is_present(name, number) {
            state.entries.remove(name);
        }
    }
}

impl fmt::Debug for Loader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        f.debug_struct("Loader")
            .field("plugins", &state.entries.keys().collect::<Vec<_>>())
            .field("handlers", &state.handlers.len())
            .finish_non_exhaustive()
    }
}
