//! What the schema cache knows a plugin by: the program that its process executes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use tempfile::TempDir;
use tonic::Status;
use trunkline::host::Fetched;
use trunkline::host::PluginCommand;
use trunkline::host::PluginHandle;
use trunkline::host::SchemaCache;
use trunkline::host::Sha256Pin;

use crate::bin;
use crate::harness::host;
use crate::harness::stop;
use crate::harness::within;

type Schema = Result<Fetched<String>, Status>;

async fn launched(command: PluginCommand) -> PluginHandle {
    within(host().launch("good", command).start()).await.expect("launched")
}

/// Asks the plugin for its process id, which tells who was asked.
fn fetch(plugin: &PluginHandle) -> impl FnOnce() -> futures::future::Ready<Schema> + use<> {
    let pid = plugin.pid().to_string();
    move || futures::future::ready(Ok(Fetched::shared(pid)))
}

fn this_program() -> PathBuf {
    std::env::current_exe().expect("this test")
}

/// This program as another file, whose bytes are others, too, and which does the same.
fn copy_to(path: &Path, more: &[u8]) -> Sha256Pin {
    let mut program = fs::read(this_program()).expect("readable");
    program.extend_from_slice(more);
    let aside = path.with_extension("new");
    fs::write(&aside, program).expect("there is room");
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::rename(&aside, path).expect("it is ours");
    Sha256Pin::of_file(path).expect("readable")
}

#[tokio::test]
async fn instances_of_one_program_share_what_one_of_them_has_said() {
    let cache = SchemaCache::new();
    let first = launched(bin::plugin("good")).await;
    let second = launched(bin::plugin("good")).await;
    let of_first = cache.of(&first, "tests/good").await;
    let of_second = cache.of(&second, "tests/good").await;
    let pin = Sha256Pin::of_file(this_program()).expect("readable");
    assert_eq!((of_first.program(), of_second.program()), (Some(pin), Some(pin)));

    let asked = first.pid().to_string();
    assert_eq!(*of_first.get(fetch(&first)).await.expect("answered"), asked);
    assert_eq!(*of_second.get(fetch(&second)).await.expect("known"), asked);
    assert_eq!((cache.stats().fetches, cache.stats().hits), (1, 1));
    stop(first).await;
    stop(second).await;
}

#[tokio::test]
async fn a_plugin_is_known_by_what_it_runs_although_its_file_was_replaced() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("plugin");
    let cache = SchemaCache::new();
    let old = copy_to(&path, b"");
    let before = launched(bin::plugin_of(&path, "good")).await;
    let new = copy_to(&path, b"of the next version");
    assert_ne!(old, new);
    let after = launched(bin::plugin_of(&path, "good")).await;
    let of_before = cache.of(&before, "tests/good").await;
    let of_after = cache.of(&after, "tests/good").await;
    assert_eq!((of_before.program(), of_after.program()), (Some(old), Some(new)));

    assert!(of_before.get(fetch(&before)).await.is_ok());
    let said = of_after.get(fetch(&after)).await.expect("answered");
    assert_eq!(*said, after.pid().to_string(), "it is asked itself");
    assert_eq!((cache.stats().fetches, cache.stats().replaced), (2, 1));
    stop(before).await;
    stop(after).await;
}

#[tokio::test]
async fn a_script_and_a_plugin_that_has_ended_have_their_schema_for_themselves() {
    let folder = TempDir::new().expect("a folder");
    let script = folder.path().join("plugin");
    let text = format!("#!/bin/sh\nexec '{}' \"$@\"\n", this_program().display());
    fs::write(&script, text).expect("there is room");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let cache = SchemaCache::new();

    let plugin = launched(bin::plugin_of(&script, "good")).await;
    let schemas = cache.of(&plugin, "tests/script").await;
    assert_eq!(schemas.program(), None);
    assert!(schemas.get(fetch(&plugin)).await.is_ok());
    assert!(cache.is_empty());
    stop(plugin).await;

    let plugin = launched(bin::plugin("good")).await;
    within(plugin.stop()).await;
    assert_eq!(cache.of(&plugin, "tests/ended").await.program(), None);
}
