//! Our plugin under hosts of go-plugin, beyond the matrix; and by hand, to the byte.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::Child;
use std::process::Output;
use std::process::Stdio;

use serde_json::Value;

use crate::bin;
use crate::go_host::GoHost;
use crate::peers::Peers;
use crate::peers::Version;
use crate::peers::peers;
use crate::rust_host::Mode;

fn each() -> impl Iterator<Item = Peers> {
    Version::ALL.into_iter().filter_map(peers)
}

async fn holds(peers: &Peers, mode: Mode, scenario: &str) -> Value {
    let run = GoHost::new(peers, "subject", mode, scenario).run().await;
    run.unwrap_or_else(|error| panic!("{scenario}, {}: {error}", mode.name))
}

macro_rules! scenarios {
    ($($name:ident: $scenario:literal;)*) => {
        $(#[tokio::test]
        async fn $name() {
            for peers in each() {
                for mode in [Mode::PLAIN, Mode::MTLS] {
                    holds(&peers, mode, $scenario).await;
                }
            }
        })*
    };
}

scenarios! {
    hosts_of_go_plugin_can_ping_our_plugin: "ping";
    hosts_of_go_plugin_see_the_services_of_our_plugin_by_reflection: "reflection";
    our_plugin_survives_interrupts: "sigint";
    what_our_plugin_says_arrives_at_hosts_of_go_plugin: "stdio";
    events_of_our_plugin_are_lines_of_hclog: "logs";
}

#[tokio::test]
async fn our_plugin_takes_the_highest_common_version() {
    for peers in each() {
        for (offered, expected) in [("1", 1), ("2", 2), ("1,2", 2), ("2,1,9", 2)] {
            let host = GoHost::new(&peers, "subject", Mode::PLAIN, "versions");
            let details = host.option("-versions", offered).run().await.expect("it held");
            assert_eq!(details["version"], expected, "{offered}");
        }
        let host = GoHost::new(&peers, "subject", Mode::PLAIN, "versions");
        let error = host.option("-versions", "7,8").run().await.expect_err("no common version");
        // As go-plugin's own plugins: the host refuses the lowest.
        let expected = "ncompatible API version with plugin. Plugin version: 1";
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_crash_of_our_plugin_is_seen_as_it_was() {
    for peers in each() {
        for how in ["exit:3", "kill"] {
            let host = GoHost::new(&peers, "subject", Mode::PLAIN, "crash");
            host.option("-how", how).run().await.expect(how);
        }
    }
}

#[tokio::test]
async fn a_panic_of_our_plugin_is_seen_as_one_by_hosts_that_look_for_it() {
    let Some(peers) = peers(Version::V1_8_0) else { return };
    let host = GoHost::new(&peers, "subject", Mode::PLAIN, "crash");
    host.option("-how", "panic").run().await.expect("the panic is in the host's log");
}

#[tokio::test]
async fn our_plugin_leaves_no_socket_behind() {
    for peers in each() {
        for mode in Mode::ALL {
            if mode.mux && !peers.multiplexes() {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            let host = GoHost::new(&peers, "subject", mode, "kill");
            let host = host.env("PLUGIN_UNIX_SOCKET_DIR", folder.path());
            let details = host.run().await.expect("it held");
            assert_eq!(details["socket_left"], false, "{}", mode.name);
            let left: Vec<_> = fs::read_dir(folder.path()).expect("a folder").collect();
            assert!(left.is_empty(), "{}: {left:?}", mode.name);
        }
    }
}

/// Our plugin, as a host would start it, with these variables.
fn started(variables: &[(&str, &str)]) -> Child {
    let mut command = bin::by_hand("subject");
    command.envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it starts")
}

/// The fields of its handshake line. It is killed then.
fn line(variables: &[(&str, &str)]) -> Vec<String> {
    // It is killed, so its socket is left.
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().to_str().expect("text");
    let cookie = [("TRUNKLINE_INTEROP", "bread"), ("PLUGIN_UNIX_SOCKET_DIR", directory)];
    let mut child = started(&[&cookie, variables].concat());
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    child.kill().expect("it runs");
    child.wait().expect("waited for");
    line.strip_suffix('\n').expect("a whole line").split('|').map(str::to_owned).collect()
}

fn ended(variables: &[(&str, &str)]) -> Output {
    started(variables).wait_with_output().expect("it ends")
}

#[test]
fn without_the_cookie_our_plugin_refuses_in_go_plugins_words() {
    let expected = "This binary is a plugin. These are not meant to be executed directly.\n\
        Please execute the program that consumes these plugins, which will\n\
        load any plugins automatically\n";
    let cases: [&[(&str, &str)]; 2] = [&[], &[("TRUNKLINE_INTEROP", "butter")]];
    for variables in cases {
        let output = ended(variables);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
    }
}

#[test]
fn a_plugin_whose_author_has_given_no_cookie_says_so_in_go_plugins_words() {
    let mut command = bin::by_hand("cookieless");
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let expected = "Misconfigured ServeConfig given to serve this plugin: no magic cookie\n\
        key or value was set. Please notify the plugin author and report\n\
        this as a bug.\n";
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), expected);
}

#[test]
fn the_line_has_six_fields_and_the_socket_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().to_str().expect("text");
    let cookie = [("TRUNKLINE_INTEROP", "bread"), ("PLUGIN_UNIX_SOCKET_DIR", directory)];
    let mut child = started(&cookie);
    let mut said = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut said).expect("a line");
    let fields: Vec<&str> = said.trim_end_matches('\n').split('|').collect();
    let ["1", "1", "unix", address, "grpc", ""] = fields[..] else {
        panic!("{said:?}");
    };
    let address = Path::new(address);
    assert!(address.starts_with(folder.path()), "{address:?}");
    assert!(fs::metadata(address).expect("it is there").file_type().is_socket());
    child.kill().expect("it runs");
    child.wait().expect("waited for");
}

#[test]
fn the_certificate_and_the_seventh_field_come_only_if_they_were_asked_for() {
    let plain = line(&[("PLUGIN_PROTOCOL_VERSIONS", "2,1")]);
    assert_eq!(plain.len(), 6, "{plain:?}");
    assert_eq!((&*plain[1], &*plain[5]), ("2", ""), "{plain:?}");
    let mux = line(&[("PLUGIN_MULTIPLEX_GRPC", "true")]);
    assert_eq!(mux.get(6).map(String::as_str), Some("true"), "{mux:?}");
}

#[test]
fn versions_that_are_none_are_passed_over() {
    for (offered, expected) in [("", "1"), ("x,2,-1,1", "2"), ("9,8", "1")] {
        assert_eq!(line(&[("PLUGIN_PROTOCOL_VERSIONS", offered)])[1], expected, "{offered:?}");
    }
}

#[test]
fn a_folder_of_sockets_that_is_too_deep_is_complained_about() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = folder.path().join("deep".repeat(40));
    fs::create_dir(&deep).expect("a folder");
    let deep = deep.to_str().expect("text");
    let output = ended(&[("TRUNKLINE_INTEROP", "bread"), ("PLUGIN_UNIX_SOCKET_DIR", deep)]);
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(deep), "{output:?}");
}
