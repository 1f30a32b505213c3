//! What a host of this library offers by name, over go-plugin's wire: it reaches plugins of
//! this library on the connection that is there for that.

use std::sync::Arc;

use trunkline::host::PluginHandle;
use trunkline::services::state::MemoryStore;

use crate::bin;
use crate::contract::kv;
use crate::contract::kv::kv_client::KvClient;
use crate::rust_host::Mode;
use crate::rust_host::host;
use crate::rust_host::wire;
use crate::support::system::within;

async fn remembered(plugin: &PluginHandle) -> Result<Vec<u8>, tonic::Status> {
    let mut client = KvClient::new(plugin.open("proto.KV").expect("open"));
    let put = kv::PutRequest { key: "hello".into(), value: b"world".into() };
    within(client.put(put)).await?;
    let get = kv::GetRequest { key: "hello".into() };
    Ok(within(client.get(get)).await?.into_inner().value)
}

#[tokio::test]
async fn our_plugin_reaches_what_it_was_granted_by_name_and_nothing_else() {
    for mode in Mode::ALL {
        let host = host().state(Arc::new(MemoryStore::new()));
        let launch = || host.launch("kv", bin::plugin("remembering")).go_plugin(wire(mode));
        let plugin = within(launch().grant_state().start()).await.expect("launched");
        assert_eq!(remembered(&plugin).await.expect("granted"), b"world", "{}", mode.name);
        within(plugin.stop()).await;

        let plugin = within(launch().start()).await.expect("launched");
        remembered(&plugin).await.expect_err("not granted");
        within(plugin.stop()).await;
    }
}
