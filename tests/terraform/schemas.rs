//! The schema cache with real providers.

use futures::future::join_all;
use trunkline::host::Dialect;
use trunkline::host::GoPlugin;
use trunkline::host::PluginHandle;
use trunkline::host::SchemaCache;
use trunkline::host::Schemas;

use crate::peers::Provider;
use crate::support::system::within;
use crate::wire;
use crate::wire::Schema;
use crate::wire::clients;
use crate::wire::handshake;
use crate::wire::launched;
use crate::wire::launched_by;

/// Calls that the provider has been asked for, its schema among them.
fn calls(plugin: &PluginHandle) -> u64 {
    plugin.broker().totals().calls
}

async fn get(plugin: &PluginHandle, schemas: &Schemas<Schema>) -> std::sync::Arc<Schema> {
    let client = clients().of(plugin).expect("a client of its version");
    within(schemas.get(move || client.fetch())).await.expect("a schema")
}

#[tokio::test]
async fn fifty_requests_for_a_providers_schema_cause_one_fetch() {
    for provider in [Provider::Time, Provider::Time6, Provider::Simple6, Provider::Null] {
        let Some(program) = provider.program() else { return };
        let plugin = launched(program).await;
        let cache = SchemaCache::new();
        let schemas = cache.of(&plugin, provider.name()).await;
        assert!(schemas.program().is_some());
        let before = calls(&plugin);
        let answers = join_all((0..50).map(|_| get(&plugin, &schemas))).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert!(!answers[0].resources.is_empty());
        let stats = cache.stats();
        assert_eq!((stats.fetches, stats.joined + stats.hits), (1, 49), "{provider:?}");
        assert_eq!(calls(&plugin) - before, 1, "{provider:?}");
        within(plugin.stop()).await;
    }
}

#[tokio::test]
async fn instances_share_a_schema_if_the_provider_allows_it() {
    let cases = [(Provider::Time, true), (Provider::Time6, true), (Provider::Null, false)];
    for (provider, is_shared) in cases {
        let Some(program) = provider.program() else { return };
        let cache = SchemaCache::new();
        let mut plugins = Vec::new();
        for _ in 0..3 {
            let plugin = launched(&program).await;
            let schemas = cache.of(&plugin, provider.name()).await;
            plugins.push((plugin, schemas));
        }
        let asked = plugins.iter().flat_map(|(plugin, schemas)| {
            // Several of each, all at once.
            (0..10).map(move |_| get(plugin, schemas))
        });
        let answers = join_all(asked).await;
        assert!(answers.iter().all(|answer| answer.is_optional == is_shared), "{answers:?}");
        assert_eq!(cache.stats().fetches, if is_shared { 1 } else { 3 }, "{provider:?}");

        // One that comes later.
        let plugin = launched(&program).await;
        let before = calls(&plugin);
        get(&plugin, &cache.of(&plugin, provider.name()).await).await;
        assert_eq!(calls(&plugin) - before, u64::from(!is_shared), "{provider:?}");
        within(plugin.stop()).await;
        for (plugin, _) in plugins {
            within(plugin.stop()).await;
        }
    }
}

#[tokio::test]
async fn a_provider_speaks_its_version_with_and_without_auto_mtls() {
    let all = [
        Provider::Null,
        Provider::Local,
        Provider::Random,
        Provider::Random6,
        Provider::Time,
        Provider::Time6,
        Provider::Simple6,
    ];
    for provider in all {
        let Some(program) = provider.program() else { return };
        for tls in [true, false] {
            let plugin = launched_by(&program, GoPlugin::new(handshake()).auto_mtls(tls)).await;
            assert_eq!(plugin.version(), Some(provider.protocol()), "{provider:?}");
            assert_eq!(plugin.dialect(), Dialect::GoPlugin { multiplexed: false, tls });
            let client = clients().of(&plugin).expect("a client of its version");
            let is_5 = matches!(client, wire::Provider::V5(_));
            assert_eq!(is_5, provider.protocol() == 5);
            let schema = within(client.schema()).await.expect("a schema");
            assert!(!schema.resources.is_empty());
            assert!(schema.resources.iter().all(|name| name.starts_with(provider.name())));
            let end = within(plugin.stop()).await;
            assert!(end.exit.is_some_and(|exit| exit.success()), "{provider:?} {end:?}");
        }
    }
}
