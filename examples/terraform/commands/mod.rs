//! The commands.

mod call;
mod change;
mod data;
mod import;
mod read;
mod schema;
mod validate;

use crate::options::Command;
use crate::report::Failed;
use crate::session::Session;

/// Runs a command. What went wrong is in the session's report.
pub async fn run(session: &mut Session<'_>, command: Command) -> Result<(), Failed> {
    match command {
        Command::Schema { of } => schema::run(session, of.as_ref()),
        Command::Validate { what } => validate::run(session, what).await,
        Command::Plan { resource, config, state, planning } => {
            change::plan(session, &resource, &config, state.as_deref(), planning).await
        }
        Command::Apply { resource, config, state, planning, approval } => {
            change::apply(session, &resource, &config, &state, planning, approval).await
        }
        Command::Destroy { resource, state, planning, approval } => {
            change::destroy(session, &resource, &state, planning, approval).await
        }
        Command::Read { resource, state } => read::run(session, &resource, &state).await,
        Command::Import { resource, id, state } => {
            import::run(session, &resource, &id, &state).await
        }
        Command::Data { resource, config } => data::run(session, &resource, &config).await,
        Command::Call { function, arguments, unknown } => {
            call::run(session, &function, &arguments, &unknown).await
        }
    }
}
