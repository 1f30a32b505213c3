//! A plugin that is active.

use std::sync::Arc;

use crate::docker::client::Client;
use crate::docker::discovery::Location;
use crate::docker::wire::Manifest;

/// A plugin that has said what it implements. A clone is cheap.
#[derive(Clone, Debug)]
pub struct Plugin {
    location: Arc<Location>,
    manifest: Arc<Manifest>,
    client: Client,
}

impl Plugin {
    pub(super) fn new(location: Arc<Location>, manifest: Manifest, client: Client) -> Self {
        Self { location, manifest: Arc::new(manifest), client }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.location.name()
    }

    /// Where it was found.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// What calls it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The interfaces that it implements, as it has named them.
    #[must_use]
    pub fn interfaces(&self) -> &[String] {
        &self.manifest.implements
    }

    /// Whether it implements this interface.
    #[must_use]
    pub fn implements(&self, interface: &str) -> bool {
        self.manifest.has(interface)
    }
}
