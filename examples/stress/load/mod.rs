//! The load: callers, in a closed loop or by a schedule.

mod caller;
mod schedule;

use std::sync::Arc;

use tokio::task::JoinSet;

pub use caller::caller_of;
pub use schedule::Counts;
pub use schedule::Schedule;

use crate::stage::Stage;

/// Begins calls until the run is over, and waits for those that are under way.
pub async fn run(stage: &Arc<Stage>) {
    let mut callers: JoinSet<()> =
        (0..stage.options.callers).map(|number| caller::run(stage.clone(), number)).collect();
    let pace = stage.schedule.as_ref().map(|schedule| {
        let (stage, schedule) = (stage.clone(), schedule.clone());
        tokio::task::spawn_blocking(move || schedule.pace(|| stage.is_over()))
    });
    while callers.join_next().await.is_some() {}
    if let Some(pace) = pace {
        pace.await.expect("no panic");
    }
}
