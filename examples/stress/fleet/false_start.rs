//! Launches that must fail, or are given up half-way: nothing may be left of them.

use std::time::Duration;

use fastrand::Rng;
use trunkline::host::Host;
use trunkline::host::LaunchError;
use trunkline::host::PluginCommand;

use crate::proof::Problem;
use crate::stage::Stage;

/// Does one, if the seed says so.
pub async fn perhaps(stage: &Stage, rng: &mut Rng) {
    let (which, patience) = (rng.u32(..12), Duration::from_micros(1 << rng.u32(4..15)));
    let program = std::env::current_exe().unwrap_or_default();
    let command = match which {
        0 => PluginCommand::new("/there/is/no/such/program"),
        // It complains about its arguments and exits.
        1 => PluginCommand::new(program).args(["plugin", "--nonsense"]),
        // It says nothing.
        2 => PluginCommand::new("sleep").arg("60"),
        // The future is dropped while it starts.
        3 => PluginCommand::new("sleep").arg("60"),
        _ => return,
    };
    stage.tally.event("false starts");
    let launch = Host::new("stress", "false start").launch("false", command);
    let start = launch.start_timeout(Duration::from_millis(100)).start();
    let result = if which == 3 {
        match tokio::time::timeout(patience, start).await {
            Ok(result) => result,
            Err(_) => return,
        }
    } else {
        start.await
    };
    let expected = match (&result, which) {
        (Err(LaunchError::NotFound { .. }), 0) => true,
        (Err(LaunchError::ExitedBeforeHello { exit, .. }), 1) => exit.code == Some(2),
        (Err(LaunchError::TimedOut { .. }), 2 | 3) => true,
        _ => false,
    };
    if !expected {
        let what = format!("false start {which} came to {result:?}");
        stage.tally.problem(Problem::Process, what);
    }
}
