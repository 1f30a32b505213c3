//! What is too large, too long or too much.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use tonic::Code;

use crate::services::state::Expected;
use crate::services::state::MemoryStore;
use crate::services::state::Query;
use crate::services::state::State;
use crate::services::state::StateError;
use crate::services::state::StateLimits;
use crate::services::state::StateService;
use crate::services::state::Store;
use crate::services::state::tests::Result;
use crate::services::state::tests::open;
use crate::services::state::tests::stores;
use crate::services::wire::state as wire;
use crate::services::wire::state::state_client::StateClient;

#[tokio::test]
async fn a_page_goes_by_its_limits_and_says_whether_there_is_more() -> Result {
    let query = |after: Option<&'static str>, items, bytes| Query {
        prefix: "k".into(),
        after: after.map(Bytes::from),
        items,
        bytes,
        keys_only: false,
    };
    for store in stores().await? {
        for key in ["j", "k1", "k2", "k3", "l"] {
            store.put("p", key.as_bytes(), vec![0; 10].into(), Expected::Any).await??;
        }
        let list = async |query| -> Result<(Vec<Bytes>, bool)> {
            let page = store.list("p", query).await?;
            Ok((page.items.into_iter().map(|item| item.key).collect(), page.more))
        };
        assert_eq!(
            list(query(None, 3, 100)).await?,
            (vec!["k1".into(), "k2".into(), "k3".into()], false)
        );
        assert_eq!(list(query(None, 2, 100)).await?, (vec!["k1".into(), "k2".into()], true));
        assert_eq!(list(query(None, 9, 24)).await?, (vec!["k1".into(), "k2".into()], true));
        assert_eq!(list(query(None, 9, 23)).await?, (vec!["k1".into()], true));
        // One item is given although it is over the limit.
        assert_eq!(list(query(Some("k2"), 9, 1)).await?, (vec!["k3".into()], false));
        // After a key that is not there, before the prefix, behind it.
        assert_eq!(list(query(Some("k22"), 9, 100)).await?, (vec!["k3".into()], false));
        assert_eq!(list(query(Some("a"), 1, 100)).await?, (vec!["k1".into()], true));
        assert_eq!(list(query(Some("z"), 9, 100)).await?, (vec![], false));
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_asks_for_more_than_a_page_gets_a_page() -> Result {
    let limits = StateLimits { page_items: 2, ..StateLimits::default() };
    let store = Arc::new(MemoryStore::new());
    let service = StateService::with_limits(store, "p", limits);
    let state = State::new(service.clone());
    for key in ["a", "b", "c"] {
        state.put(key, "").await?;
    }
    for limit in [0, 3, u32::MAX] {
        let request = wire::ListRequest { limit, ..Default::default() };
        let page = StateClient::new(service.clone()).list(request).await?.into_inner();
        assert_eq!((page.items.len(), page.more), (2, true));
    }
    let request = wire::ListRequest { limit: 1, ..Default::default() };
    let page = StateClient::new(service).list(request).await?.into_inner();
    assert_eq!((page.items.len(), page.more), (1, true));
    Ok(())
}

#[tokio::test]
async fn a_list_gets_past_values_that_are_larger_than_a_page() -> Result {
    let limits = StateLimits { page_bytes: 10, ..StateLimits::default() };
    let state = State::new(StateService::with_limits(Arc::new(MemoryStore::new()), "p", limits));
    for key in ["a", "b", "c"] {
        state.put(key, vec![7; 100]).await?;
    }
    assert_eq!(state.list("").try_collect::<Vec<_>>().await?.len(), 3);
    Ok(())
}

#[tokio::test]
async fn keys_and_values_at_the_limit_pass_and_one_byte_more_is_a_typed_error() -> Result {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let state = open(&store, "p");
    let longest = vec![b'k'; 1024];
    let largest = vec![0; 1024 * 1024];
    state.put(&longest, largest.clone()).await?;
    let entry = state.get(&longest).await?.ok_or("written")?;
    assert_eq!(entry.value.len(), largest.len());

    let long = [&longest[..], b"k"].concat();
    let is_too_long = |error| matches!(error, StateError::KeyTooLong { length: 1025, limit: 1024 });
    assert!(state.get(&long).await.is_err_and(is_too_long));
    assert!(state.put(&long, "").await.is_err_and(is_too_long));
    assert!(state.delete(&long).await.is_err_and(is_too_long));
    assert!(state.list(&long).try_next().await.is_err_and(is_too_long));

    let large = [&largest[..], b"0"].concat();
    let put = state.put("k", large).await;
    assert!(matches!(
        put,
        Err(StateError::ValueTooLarge { length: 1_048_577, limit: Some(1_048_576) })
    ));
    assert_eq!(state.get("k").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_value_that_the_host_refuses_unread_is_too_large_too() -> Result {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let put = open(&store, "p").put("k", vec![0; 8 * 1024 * 1024]).await;
    assert!(matches!(put, Err(StateError::ValueTooLarge { length: 8_388_608, limit: None })));
    Ok(())
}

#[tokio::test]
async fn an_empty_key_is_a_typed_error() -> Result {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let state = open(&store, "p");
    assert!(matches!(state.get("").await, Err(StateError::EmptyKey)));
    assert!(matches!(state.put("", "v").await, Err(StateError::EmptyKey)));
    assert!(matches!(state.delete("").await, Err(StateError::EmptyKey)));
    Ok(())
}

#[tokio::test]
async fn a_host_that_raises_its_limit_needs_no_change_in_the_plugin() -> Result {
    let limits = StateLimits { value_bytes: 6 * 1024 * 1024, ..StateLimits::default() };
    let state = State::new(StateService::with_limits(Arc::new(MemoryStore::new()), "p", limits));
    state.put("k", vec![0; limits.value_bytes]).await?;
    let entry = state.get("k").await?.ok_or("written")?;
    assert_eq!(entry.value.len(), limits.value_bytes);
    Ok(())
}

#[tokio::test]
async fn a_write_without_a_precondition_on_the_wire_is_refused() -> Result {
    let service = StateService::new(Arc::new(MemoryStore::new()), "p");
    let request = wire::PutRequest { key: "k".into(), value: "v".into(), expected: None };
    let put = StateClient::new(service.clone()).put(request).await;
    assert_eq!(put.map_err(|status| status.code()).err(), Some(Code::InvalidArgument));
    assert_eq!(State::new(service).get("k").await?, None);
    Ok(())
}
