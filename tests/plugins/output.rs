//! What plugins write to standard output and error, and the environment they run in.

use std::path::Path;

use tracing::Level;
use trunkline::host::Environment;
use trunkline::host::PluginHandle;

use crate::bin;
use crate::harness::Capture;
use crate::harness::assert_works;
use crate::harness::good;
use crate::harness::host;
use crate::harness::stop;
use crate::harness::tell;
use crate::harness::within;

#[tokio::test]
async fn output_becomes_events_in_the_span_of_the_plugin() {
    let capture = Capture::start();
    let plugin = host().launch("chatty", bin::plugin("good")).start().await.expect("launched");
    tell(&plugin, "print the last").await.expect("printed");
    let (pid, run) = (plugin.pid().to_string(), plugin.run().to_string());
    stop(plugin).await;
    for (pipe, last) in [("stdout", "the last out"), ("stderr", "the last err")] {
        let lines = capture.lines(pipe);
        let line = lines.iter().find(|line| line.message() == last).expect("it came");
        assert_eq!(line.level, Level::INFO);
        let [(name, fields)] = &line.spans[..] else { panic!("{:?}", line.spans) };
        assert_eq!(name, "plugin");
        assert_eq!((&*fields["name"], &fields["pid"], &fields["run"]), ("chatty", &pid, &run));
    }
}

#[tokio::test]
async fn a_megabyte_without_a_line_end_and_binary_output_disturb_nothing() {
    let capture = Capture::start();
    let (plugin, other) = (good().await, good().await);
    let printing = tell(&plugin, "print done");
    let working = Box::pin(async {
        for _ in 0..20 {
            assert_works(&other).await;
        }
    });
    let (printed, ()) = within(async { tokio::join!(printing, working) }).await;
    printed.expect("nobody waits for ever on a pipe");
    assert_works(&plugin).await;
    stop(plugin).await;
    for pipe in ["stdout", "stderr"] {
        let lines = capture.lines(pipe);
        let long: usize = lines.iter().map(|line| line.message().matches('m').count()).sum();
        assert!(long >= 1 << 20, "{pipe}: {long} bytes of the long line came");
        let longest = lines.iter().map(|line| line.message().len()).max();
        assert!(longest <= Some(64 * 1024), "{pipe}: an event of {longest:?} bytes");
        let control = lines.iter().find(|line| line.message().contains(['\u{1b}', '\0']));
        assert!(control.is_none(), "{pipe}: {control:?}");
        assert!(lines.iter().any(|line| line.message().starts_with("done")), "{pipe}");
    }
    stop(other).await;
}

/// The names of the variables that a plugin sees, launched so.
async fn variables(policy: Environment) -> Vec<String> {
    let command = bin::plugin("good").environment(policy).env("SET_FOR_IT", "1");
    let plugin = host().launch("environment", command).start().await.expect("launched");
    let names = tell(&plugin, "env").await.expect("told");
    stop(plugin).await;
    names.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn a_plugin_sees_what_the_environment_policy_lets_through() {
    const OWN: [&str; 2] = ["SET_FOR_IT", "TEST_PROGRAM"];
    let announced = |name: &String| name.starts_with("TRUNKLINE_");
    let inherited = variables(Environment::Inherit).await;
    assert!(inherited.contains(&"PATH".to_owned()), "{inherited:?}");
    let mut cleared = variables(Environment::Clear).await;
    assert!(cleared.iter().any(announced), "the host has announced itself: {cleared:?}");
    cleared.retain(|name| !announced(name));
    assert_eq!(cleared, OWN);
    let mut allowed = variables(Environment::Allow(vec!["PATH".into()])).await;
    allowed.retain(|name| !announced(name));
    assert_eq!(allowed, ["PATH", OWN[0], OWN[1]]);
}

#[tokio::test]
async fn a_plugin_runs_in_the_working_directory_that_the_host_gives() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = bin::plugin("good").current_dir(folder.path());
    let plugin = host().launch("elsewhere", command).start().await.expect("launched");
    let told = tell(&plugin, "directory").await.expect("told");
    assert_eq!(Path::new(&told), folder.path().canonicalize().expect("it is there"));
    stop(plugin).await;
}

#[tokio::test]
async fn the_standard_input_of_a_plugins_children_is_dev_null() {
    let plugin: PluginHandle = good().await;
    let told = tell(&plugin, "stdin-of-a-child").await.expect("told");
    assert_eq!(told, "/dev/null");
    stop(plugin).await;
}
