//! What a plugin in Go writes and logs arrives as tracing events.

use tracing::Level;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;

use crate::contract::interop::LogRequest;
use crate::contract::interop::SayRequest;
use crate::contract::interop::say_request::Output;
use crate::peers::Version;
use crate::peers::peers;
use crate::rust_host::Mode;
use crate::rust_host::launch;
use crate::rust_host::subject;
use crate::support::capture::Capture;
use crate::support::capture::Captured;
use crate::support::system::eventually;
use crate::support::system::within;

async fn started(version: Version) -> Option<(Capture, PluginHandle)> {
    let peers = peers(version)?;
    let capture = Capture::start();
    let command = PluginCommand::new(peers.plugin);
    Some((capture, launch(command, Mode::PLAIN).await.expect("launched")))
}

async fn event(capture: &Capture, text: &str) -> Captured {
    eventually(&format!("an event says {text:?}"), || {
        capture.all().into_iter().find(|event| event.message().contains(text))
    })
    .await
}

#[tokio::test]
async fn lines_of_hclog_arrive_with_their_level_and_their_fields() {
    for version in Version::ALL {
        let Some((capture, plugin)) = started(version).await else { return };
        let levels = [("info", Level::INFO), ("warn", Level::WARN), ("error", Level::ERROR)];
        for (name, level) in levels {
            let message = format!("a line at {name}");
            let values = [("fruit".to_owned(), format!("apple {name}"))].into();
            let line = LogRequest { level: name.into(), message: message.clone(), values };
            within(subject(&plugin).expect("open").log_line(line)).await.expect("logged");
            let event = event(&capture, &message).await;
            assert_eq!(event.level, level);
            assert_eq!(event.message(), message);
            let fields = format!("{:?}", event.fields);
            assert!(fields.contains(&format!("apple {name}")), "{fields}");
        }
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn what_is_said_on_any_output_arrives() {
    for version in Version::ALL {
        let Some((capture, plugin)) = started(version).await else { return };
        for output in [Output::Stdout, Output::Stderr, Output::Fd1, Output::Fd2] {
            let text = format!("said on {output:?}");
            let data = format!("{text}\n").into_bytes();
            let say = SayRequest { output: output.into(), data };
            within(subject(&plugin).expect("open").say(say)).await.expect("said");
            event(&capture, &text).await;
        }
        within(plugin.stop()).await;
    }
}
