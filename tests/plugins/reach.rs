//! What a plugin can reach in its host, and what it cannot.

use std::sync::Arc;

use tonic::Code;
use tonic::Request;
use tonic::Response;
use tonic::Status;
use trunkline::host::Host;
use trunkline::host::Launch;
use trunkline::host::PluginHandle;
use trunkline::services::state::MemoryStore;
use trunkline::services::state::RedbStore;

use crate::bin;
use crate::harness::assert_works;
use crate::harness::host;
use crate::harness::stop;
use crate::harness::tell;
use crate::support::demo::NestRequest;
use crate::support::demo::Word;
use crate::support::demo::dictionary_server::Dictionary;
use crate::support::demo::dictionary_server::DictionaryServer;
use crate::support::echo::Echo;

/// The host's own service.
#[derive(Clone)]
struct Shouting;

#[tonic::async_trait]
impl Dictionary for Shouting {
    async fn translate(&self, word: Request<Word>) -> Result<Response<Word>, Status> {
        Ok(Response::new(Word { text: word.into_inner().text.to_uppercase() }))
    }
}

fn offering() -> Host {
    host().offer(DictionaryServer::new(Shouting)).state(Arc::new(MemoryStore::new()))
}

async fn start(launch: Launch) -> PluginHandle {
    launch.start().await.expect("launched")
}

fn launch(host: &Host, name: &str) -> Launch {
    host.launch(name, bin::plugin("good"))
}

/// What the plugin told of the failure of its own call, by its status.
async fn refusal(plugin: &PluginHandle, line: &str) -> Code {
    tell(plugin, line).await.expect_err("it is refused").code()
}

#[tokio::test]
async fn a_service_that_is_granted_can_be_called() {
    let plugin = start(launch(&offering(), "granted").grant("demo.v1.Dictionary")).await;
    assert_eq!(tell(&plugin, "translate hello").await.expect("called"), "HELLO");
    stop(plugin).await;
}

#[tokio::test]
async fn what_is_not_granted_is_denied_and_what_is_not_there_is_unknown() {
    let plugin = start(launch(&offering(), "denied")).await;
    // The plugin's own call fails with the broker's error, of which it tells the
    // reason; and hands its status on.
    let why = tell(&plugin, "why demo.v1.Dictionary").await.expect("told");
    assert_eq!(why, "Denied Peer");
    assert_eq!(refusal(&plugin, "open demo.v1.Dictionary").await, Code::PermissionDenied);
    let why = tell(&plugin, "why no.such.Service").await.expect("told");
    assert_eq!(why, "Unknown Peer");
    assert_eq!(refusal(&plugin, "open no.such.Service").await, Code::Unimplemented);
    assert_works(&plugin).await;
    stop(plugin).await;
}

#[tokio::test]
async fn by_default_nothing_is_granted_but_the_log() {
    let plugin = start(launch(&offering(), "default")).await;
    for service in ["demo.v1.Dictionary", "trunkline.state.v1.State"] {
        let why = tell(&plugin, format!("why {service}")).await.expect("told");
        assert_eq!(why, "Denied Peer", "{service}");
    }
    // It exists and is granted; it only has no such method.
    assert_eq!(refusal(&plugin, "open trunkline.log.v1.Log").await, Code::Unimplemented);
    let why = tell(&plugin, "why trunkline.log.v1.Log").await.expect("told");
    assert_eq!(why, "none");
    stop(plugin).await;
}

#[tokio::test]
async fn without_any_grant_not_even_the_log_is_there_and_the_plugin_works() {
    let plugin = start(launch(&offering(), "nothing").grant_nothing()).await;
    let why = tell(&plugin, "why trunkline.log.v1.Log").await.expect("told");
    assert_eq!(why, "Denied Peer");
    tell(&plugin, "log 10").await.expect("logging never fails");
    assert_eq!(plugin.log().stats().records, 0);
    stop(plugin).await;
}

#[tokio::test]
async fn a_grant_of_what_the_host_does_not_offer_gives_nothing() {
    let plugin = start(launch(&host(), "hopeful").grant("demo.v1.Dictionary")).await;
    let why = tell(&plugin, "why demo.v1.Dictionary").await.expect("told");
    assert_eq!(why, "Unknown Peer");
    stop(plugin).await;
}

#[tokio::test]
async fn calls_go_back_and_forth_between_the_processes() {
    let plugin = start(launch(&host(), "nesting")).await;
    tell(&plugin, "connect").await.expect("connected");
    let own = Echo::default();
    own.set_broker(plugin.broker());
    let registered = plugin.broker().register(own.server());
    let nest = NestRequest { depth: 30, callback: registered.id().get(), ..NestRequest::default() };
    let reply = crate::harness::echo(&plugin).nest(nest).await.expect("nested").into_inner();
    assert_eq!(reply.reached, 30);
    drop(registered);
    stop(plugin).await;
}

#[tokio::test]
async fn an_id_is_worth_nothing_on_the_trunk_of_another_plugin() {
    let host = host();
    let (one, two) = (start(launch(&host, "one")).await, start(launch(&host, "two")).await);
    tell(&two, "connect").await.expect("connected");
    let registered = one.broker().register(Echo::default().server());
    let nest = NestRequest { depth: 1, callback: registered.id().get(), ..NestRequest::default() };
    let status = crate::harness::echo(&two).nest(nest).await.expect_err("it is not for two");
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    drop(registered);
    stop(one).await;
    stop(two).await;
}

#[tokio::test]
async fn two_plugins_do_not_see_each_others_keys() {
    let host = offering();
    let one = start(launch(&host, "one").grant_state()).await;
    let two = start(launch(&host, "two").grant_state()).await;
    tell(&one, "put key of-one").await.expect("written");
    assert_eq!(tell(&two, "get key").await.expect("read"), "None");
    tell(&two, "put key of-two").await.expect("written");
    assert_eq!(tell(&one, "get key").await.expect("read"), "Some(\"of-one\")");
    stop(one).await;
    stop(two).await;
    let again = start(launch(&host, "one").grant_state()).await;
    assert_eq!(tell(&again, "get key").await.expect("read"), "Some(\"of-one\")");
    stop(again).await;
}

#[tokio::test]
async fn a_store_on_disk_outlives_its_plugins_and_its_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("state.redb");
    let open = async || Arc::new(RedbStore::open(&file).await.expect("a store"));
    let one = start(launch(&host().state(open().await), "one").grant_state()).await;
    tell(&one, "put key kept").await.expect("written");
    stop(one).await;
    let one = start(launch(&host().state(open().await), "one").grant_state()).await;
    assert_eq!(tell(&one, "get key").await.expect("read"), "Some(\"kept\")");
    stop(one).await;
}
