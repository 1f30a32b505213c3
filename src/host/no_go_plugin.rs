//! In place of `go_plugin` where that is not built: every plugin speaks Trunkline's own
//! dialect.

use crate::host::output::Hooks;
use crate::services::log::LogService;

/// A plugin is told nothing, and does not answer.
pub(super) struct Announced;

/// What a plugin says that speaks another dialect: none does.
pub(super) enum Line {}

impl Announced {
    pub(super) fn hooks(&mut self, _: LogService) -> Hooks {
        Hooks::default()
    }

    pub(super) async fn line(&mut self) -> Line {
        std::future::pending().await
    }
}
