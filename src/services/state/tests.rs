//! What holds for a plugin's state, over every store, from the plugin's end.

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
use crate::services::state::StoreError;
use crate::services::state::StoreFuture;
use crate::services::state::UPDATE_TRIES;
use crate::services::state::Version;
use crate::services::state::entry::Conflict;
use crate::services::state::entry::Entry;
use crate::services::state::entry::Page;
use crate::services::wire::state as wire;
use crate::services::wire::state::state_client::StateClient;

type Result<T = (), E = Box<dyn std::error::Error>> = std::result::Result<T, E>;

fn open(store: &Arc<dyn Store>, namespace: &str) -> State<StateService> {
    State::new(StateService::new(Arc::clone(store), namespace))
}

/// One of each store, empty. The contract holds for all of them.
async fn stores() -> Result<Vec<Arc<dyn Store>>> {
    Ok(vec![
        Arc::new(MemoryStore::new()),
        #[cfg(feature = "redb")]
        Arc::new(super::durable::tests::in_memory().await?),
    ])
}

#[tokio::test]
async fn a_value_is_read_as_it_was_written_until_it_is_deleted() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        assert_eq!(state.get("k").await?, None);
        let version = state.put("k", "v").await?;
        assert_eq!(
            state.get("k").await?,
            Some(Entry {
                value: "v".into(),
                version
            })
        );
        let empty = state.put("k", "").await?;
        assert!(empty > version);
        assert_eq!(
            state.get("k").await?,
            Some(Entry {
                value: Bytes::new(),
                version: empty
            })
        );
        assert_eq!(state.delete("k").await?, Some(empty));
        assert_eq!(state.get("k").await?, None);
        assert_eq!(state.delete("k").await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn of_two_writers_with_the_same_version_one_gets_a_conflict() -> Result {
    for store in stores().await? {
        let (a, b) = (open(&store, "p"), open(&store, "p"));
        let seen = a.put("k", "0").await?;
        let won = a.put_if("k", "a", seen).await?;
        let lost = b.put_if("k", "b", seen).await;
        assert!(matches!(lost, Err(StateError::Conflict { current }) if current == Some(won)));
        assert_eq!(b.get("k").await?.map(|entry| entry.value), Some("a".into()));
    }
    Ok(())
}

#[tokio::test]
async fn a_put_that_expects_absence_succeeds_once() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        let version = state.put_if("k", "1", Expected::Absent).await?;
        let again = state.put_if("k", "2", Expected::Absent).await;
        assert!(matches!(again, Err(StateError::Conflict { current }) if current == Some(version)));
    }
    Ok(())
}

#[tokio::test]
async fn a_put_that_expects_a_version_of_a_deleted_key_is_told_that_it_is_absent() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        let version = state.put("k", "1").await?;
        state.delete("k").await?;
        let put = state.put_if("k", "2", version).await;
        assert!(matches!(put, Err(StateError::Conflict { current: None })));
        assert_eq!(state.get("k").await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn a_delete_with_a_stale_version_is_a_conflict_and_deletes_nothing() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        let stale = state.put("k", "1").await?;
        let version = state.put("k", "2").await?;
        let deleted = state.delete_if("k", stale).await;
        assert!(
            matches!(deleted, Err(StateError::Conflict { current }) if current == Some(version))
        );
        assert_eq!(state.delete_if("k", version).await?, Some(version));
    }
    Ok(())
}

#[tokio::test]
async fn a_key_that_was_deleted_and_written_again_has_a_new_version() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        let before = state.put("k", "same").await?;
        state.delete("k").await?;
        let after = state.put("k", "same").await?;
        assert!(after > before);
        let stale = state.put_if("k", "other", before).await;
        assert!(matches!(stale, Err(StateError::Conflict { .. })));
    }
    Ok(())
}

#[tokio::test]
async fn namespaces_do_not_see_each_other() -> Result {
    for store in stores().await? {
        // Names and keys that would run together if one were put before the other.
        let (a, ab) = (open(&store, "a"), open(&store, "ab"));
        a.put("bc", "of a").await?;
        ab.put("c", "of ab").await?;
        assert_eq!(a.get("c").await?, None);
        assert_eq!(ab.get("bc").await?, None);
        assert_eq!(a.list("").try_collect::<Vec<_>>().await?.len(), 1);
        assert_eq!(ab.list("").try_collect::<Vec<_>>().await?.len(), 1);
        assert_eq!(a.delete("c").await?, None);
        assert_eq!(
            ab.get("c").await?.map(|entry| entry.value),
            Some("of ab".into())
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_list_of_2500_keys_comes_whole_and_in_order_over_several_pages() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        let names = (0..2500).map(|i| format!("k/{i:04}")).collect::<Vec<_>>();
        for name in names.iter().rev() {
            state.put(name, name.clone()).await?;
        }
        state.put("j", "before").await?;
        state.put("l", "after").await?;

        let items = state.list("k/").try_collect::<Vec<_>>().await?;
        assert!(
            items
                .iter()
                .map(|item| &item.key[..])
                .eq(names.iter().map(String::as_bytes))
        );
        assert!(items.iter().all(|item| item.key == item.value));
        let keys = state.keys("k/").try_collect::<Vec<_>>().await?;
        assert!(
            keys.into_iter()
                .eq(items.into_iter().map(|item| (item.key, item.version)))
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_prefix_ends_where_it_ends_also_at_the_last_byte_and_within_a_character() -> Result {
    for store in stores().await? {
        let state = open(&store, "p");
        let keys: [&[u8]; 8] = [
            b"\xfe\xff",
            b"\xff",
            b"\xff\xff",
            b"\xff\xff\xff",
            "é".as_bytes(),
            "éa".as_bytes(),
            "ê".as_bytes(),
            b"\x00",
        ];
        for key in keys {
            state.put(key, "").await?;
        }
        let count = async |prefix: &[u8]| -> Result<usize> {
            Ok(state.keys(prefix).try_collect::<Vec<_>>().await?.len())
        };
        assert_eq!(count(b"\xff").await?, 3);
        assert_eq!(count(b"\xff\xff").await?, 2);
        assert_eq!(count(b"\xfe").await?, 1);
        assert_eq!(count("é".as_bytes()).await?, 2);
        // The first byte that é and ê share.
        assert_eq!(count(&"é".as_bytes()[..1]).await?, 3);
        assert_eq!(count(b"\x00").await?, 1);
        assert_eq!(count(b"").await?, 8);
        assert_eq!(count(b"\xff\xff\xff\xff").await?, 0);
    }
    Ok(())
}

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
            store
                .put("p", key.as_bytes(), vec![0; 10].into(), Expected::Any)
                .await??;
        }
        let list = async |query| -> Result<(Vec<Bytes>, bool)> {
            let page = store.list("p", query).await?;
            Ok((
                page.items.into_iter().map(|item| item.key).collect(),
                page.more,
            ))
        };
        assert_eq!(
            list(query(None, 3, 100)).await?,
            (vec!["k1".into(), "k2".into(), "k3".into()], false)
        );
        assert_eq!(
            list(query(None, 2, 100)).await?,
            (vec!["k1".into(), "k2".into()], true)
        );
        assert_eq!(
            list(query(None, 9, 24)).await?,
            (vec!["k1".into(), "k2".into()], true)
        );
        assert_eq!(list(query(None, 9, 23)).await?, (vec!["k1".into()], true));
        // One item is given although it is over the limit.
        assert_eq!(
            list(query(Some("k2"), 9, 1)).await?,
            (vec!["k3".into()], false)
        );
        // After a key that is not there, before the prefix, behind it.
        assert_eq!(
            list(query(Some("k22"), 9, 100)).await?,
            (vec!["k3".into()], false)
        );
        assert_eq!(
            list(query(Some("a"), 1, 100)).await?,
            (vec!["k1".into()], true)
        );
        assert_eq!(list(query(Some("z"), 9, 100)).await?, (vec![], false));
    }
    Ok(())
}

#[tokio::test]
async fn a_plugin_that_asks_for_more_than_a_page_gets_a_page() -> Result {
    let mut limits = StateLimits::default();
    limits.page_items = 2;
    let store = Arc::new(MemoryStore::new());
    let service = StateService::with_limits(store, "p", limits);
    let state = State::new(service.clone());
    for key in ["a", "b", "c"] {
        state.put(key, "").await?;
    }
    for limit in [0, 3, u32::MAX] {
        let request = wire::ListRequest {
            limit,
            ..Default::default()
        };
        let page = StateClient::new(service.clone())
            .list(request)
            .await?
            .into_inner();
        assert_eq!((page.items.len(), page.more), (2, true));
    }
    let request = wire::ListRequest {
        limit: 1,
        ..Default::default()
    };
    let page = StateClient::new(service).list(request).await?.into_inner();
    assert_eq!((page.items.len(), page.more), (1, true));
    Ok(())
}

#[tokio::test]
async fn a_list_gets_past_values_that_are_larger_than_a_page() -> Result {
    let mut limits = StateLimits::default();
    limits.page_bytes = 10;
    let state = State::new(StateService::with_limits(
        Arc::new(MemoryStore::new()),
        "p",
        limits,
    ));
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
    let is_too_long = |error| {
        matches!(
            error,
            StateError::KeyTooLong {
                length: 1025,
                limit: 1024
            }
        )
    };
    assert!(state.get(&long).await.is_err_and(is_too_long));
    assert!(state.put(&long, "").await.is_err_and(is_too_long));
    assert!(state.delete(&long).await.is_err_and(is_too_long));
    assert!(state.list(&long).try_next().await.is_err_and(is_too_long));

    let large = [&largest[..], b"0"].concat();
    let put = state.put("k", large).await;
    assert!(matches!(
        put,
        Err(StateError::ValueTooLarge {
            length: 1_048_577,
            limit: Some(1_048_576)
        })
    ));
    assert_eq!(state.get("k").await?, None);
    Ok(())
}

#[tokio::test]
async fn a_value_that_the_host_refuses_unread_is_too_large_too() -> Result {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let put = open(&store, "p").put("k", vec![0; 8 * 1024 * 1024]).await;
    assert!(matches!(
        put,
        Err(StateError::ValueTooLarge {
            length: 8_388_608,
            limit: None
        })
    ));
    Ok(())
}

#[tokio::test]
async fn an_empty_key_is_a_typed_error() -> Result {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let state = open(&store, "p");
    assert!(matches!(state.get("").await, Err(StateError::EmptyKey)));
    assert!(matches!(
        state.put("", "v").await,
        Err(StateError::EmptyKey)
    ));
    assert!(matches!(state.delete("").await, Err(StateError::EmptyKey)));
    Ok(())
}

#[tokio::test]
async fn a_host_that_raises_its_limit_needs_no_change_in_the_plugin() -> Result {
    let mut limits = StateLimits::default();
    limits.value_bytes = 6 * 1024 * 1024;
    let state = State::new(StateService::with_limits(
        Arc::new(MemoryStore::new()),
        "p",
        limits,
    ));
    state.put("k", vec![0; limits.value_bytes]).await?;
    let entry = state.get("k").await?.ok_or("written")?;
    assert_eq!(entry.value.len(), limits.value_bytes);
    Ok(())
}

#[tokio::test]
async fn a_write_without_a_precondition_on_the_wire_is_refused() -> Result {
    let service = StateService::new(Arc::new(MemoryStore::new()), "p");
    let request = wire::PutRequest {
        key: "k".into(),
        value: "v".into(),
        expected: None,
    };
    let put = StateClient::new(service.clone()).put(request).await;
    assert_eq!(
        put.map_err(|status| status.code()).err(),
        Some(Code::InvalidArgument)
    );
    assert_eq!(State::new(service).get("k").await?, None);
    Ok(())
}

#[tokio::test]
async fn updates_by_many_writers_lose_nothing() -> Result {
    for store in stores().await? {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..UPDATE_TRIES {
            let state = open(&store, "p");
            tasks.spawn(async move {
                state
                    .update("n", |old| [old.unwrap_or_default(), b"x"].concat())
                    .await
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let entry = open(&store, "p").get("n").await?.ok_or("written")?;
        assert_eq!(entry.value.len(), UPDATE_TRIES as usize);
    }
    Ok(())
}

/// A store that somebody else writes to between every read and write.
#[derive(Debug)]
struct Busy(MemoryStore);

impl Store for Busy {
    fn get<'a>(&'a self, namespace: &'a str, key: &'a [u8]) -> StoreFuture<'a, Option<Entry>> {
        Box::pin(async move {
            let entry = self.0.get(namespace, key).await;
            let other = self
                .0
                .put(namespace, key, "theirs".into(), Expected::Any)
                .await?;
            assert!(other.is_ok());
            entry
        })
    }

    fn put<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        value: Bytes,
        expected: Expected,
    ) -> StoreFuture<'a, Result<Version, Conflict>> {
        self.0.put(namespace, key, value, expected)
    }

    fn delete<'a>(
        &'a self,
        namespace: &'a str,
        key: &'a [u8],
        expected: Expected,
    ) -> StoreFuture<'a, Result<Option<Version>, Conflict>> {
        self.0.delete(namespace, key, expected)
    }

    fn list<'a>(&'a self, namespace: &'a str, query: Query) -> StoreFuture<'a, Page> {
        self.0.list(namespace, query)
    }
}

#[tokio::test]
async fn an_update_gives_up_after_its_tries() -> Result {
    let state = State::new(StateService::new(Arc::new(Busy(MemoryStore::new())), "p"));
    let mut calls = 0;
    let updated = state
        .update("k", |_| {
            calls += 1;
            "mine"
        })
        .await;
    assert!(matches!(
        updated,
        Err(StateError::Contended {
            tries: UPDATE_TRIES
        })
    ));
    assert_eq!(calls, UPDATE_TRIES);
    Ok(())
}

#[tokio::test]
async fn a_full_store_is_a_typed_error_and_deleting_makes_room() -> Result {
    let state = State::new(StateService::new(
        Arc::new(MemoryStore::with_limit(1000)),
        "p",
    ));
    state.put("a", vec![0; 800]).await?;
    assert!(matches!(
        state.put("b", vec![0; 800]).await,
        Err(StateError::Full(_))
    ));
    assert_eq!(state.get("b").await?, None);
    // In its own place there is room for it.
    state.put("a", vec![1; 800]).await?;
    state.delete("a").await?;
    state.put("b", vec![0; 800]).await?;
    Ok(())
}

/// A store in which every operation fails.
#[derive(Debug)]
struct Broken(fn() -> StoreError);

impl Store for Broken {
    fn get<'a>(&'a self, _: &'a str, _: &'a [u8]) -> StoreFuture<'a, Option<Entry>> {
        Box::pin(async { Err((self.0)()) })
    }

    fn put<'a>(
        &'a self,
        _: &'a str,
        _: &'a [u8],
        _: Bytes,
        _: Expected,
    ) -> StoreFuture<'a, Result<Version, Conflict>> {
        Box::pin(async { Err((self.0)()) })
    }

    fn delete<'a>(
        &'a self,
        _: &'a str,
        _: &'a [u8],
        _: Expected,
    ) -> StoreFuture<'a, Result<Option<Version>, Conflict>> {
        Box::pin(async { Err((self.0)()) })
    }

    fn list<'a>(&'a self, _: &'a str, _: Query) -> StoreFuture<'a, Page> {
        Box::pin(async { Err((self.0)()) })
    }
}

#[tokio::test]
async fn the_kind_of_a_stores_failure_reaches_the_plugin_and_its_cause_does_not() -> Result {
    let of = |make| State::new(StateService::new(Arc::new(Broken(make)), "p"));
    let corrupt = of(|| StoreError::Corrupt("/secret/path".into()));
    let error = corrupt.get("k").await.err().ok_or("fails")?;
    assert!(
        matches!(&error, StateError::Corrupt(status) if !format!("{status:?}").contains("secret"))
    );
    assert!(!error.is_retryable());

    let io = of(|| StoreError::Io("/secret/path".into()));
    let error = io.put("k", "v").await.err().ok_or("fails")?;
    assert!(
        matches!(&error, StateError::Store(status) if !format!("{status:?}").contains("secret"))
    );
    assert!(error.is_retryable());
    assert!(matches!(io.delete("k").await, Err(StateError::Store(_))));

    let mut list = io.list("");
    assert!(matches!(list.try_next().await, Err(StateError::Store(_))));
    assert!(matches!(list.try_next().await, Ok(None)));
    Ok(())
}

#[tokio::test]
async fn a_host_that_does_not_offer_state_is_told_apart_from_one_that_is_gone() -> Result {
    type Answer = fn() -> tonic::Status;
    let state = |answer: Answer| {
        State::new(tower::service_fn(
            move |_: http::Request<tonic::body::Body>| async move {
                Ok::<_, std::convert::Infallible>(answer().into_http::<tonic::body::Body>())
            },
        ))
    };
    let without = state(|| tonic::Status::unimplemented("")).get("k").await;
    assert!(matches!(without, Err(StateError::NotOffered(_))));
    let gone = state(|| tonic::Status::unavailable("")).get("k").await;
    assert!(matches!(gone, Err(StateError::Unavailable(_))));
    // Somebody between the two is out of room, not the store.
    let busy = state(|| tonic::Status::resource_exhausted(""))
        .get("k")
        .await;
    assert!(matches!(busy, Err(StateError::Unavailable(_))));
    Ok(())
}
