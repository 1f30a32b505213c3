//! What a plugin sees when the host, its store or other writers are in the way.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use crate::services::state::Conflict;
use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::MemoryStore;
use crate::services::state::Page;
use crate::services::state::Query;
use crate::services::state::State;
use crate::services::state::StateError;
use crate::services::state::StateService;
use crate::services::state::Store;
use crate::services::state::StoreError;
use crate::services::state::StoreFuture;
use crate::services::state::UPDATE_TRIES;
use crate::services::state::Version;
use crate::services::state::tests::Result;

/// A store that somebody else writes to between every read and write.
#[derive(Debug)]
struct Busy(MemoryStore);

impl Store for Busy {
    fn get<'a>(&'a self, namespace: &'a str, key: &'a [u8]) -> StoreFuture<'a, Option<Entry>> {
        Box::pin(async move {
            let entry = self.0.get(namespace, key).await;
            let other = self.0.put(namespace, key, "theirs".into(), Expected::Any).await?;
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
    assert!(matches!(updated, Err(StateError::Contended { tries: UPDATE_TRIES })));
    assert_eq!(calls, UPDATE_TRIES);
    Ok(())
}

#[tokio::test]
async fn a_full_store_is_a_typed_error_and_deleting_makes_room() -> Result {
    let state = State::new(StateService::new(Arc::new(MemoryStore::with_limit(1000)), "p"));
    state.put("a", vec![0; 800]).await?;
    assert!(matches!(state.put("b", vec![0; 800]).await, Err(StateError::Full(_))));
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
        State::new(tower::service_fn(move |_: http::Request<tonic::body::Body>| async move {
            Ok::<_, std::convert::Infallible>(answer().into_http::<tonic::body::Body>())
        }))
    };
    let without = state(|| tonic::Status::unimplemented("")).get("k").await;
    assert!(matches!(without, Err(StateError::NotOffered(_))));
    let gone = state(|| tonic::Status::unavailable("")).get("k").await;
    assert!(matches!(gone, Err(StateError::Unavailable(_))));
    // Somebody between the two is out of room, not the store.
    let busy = state(|| tonic::Status::resource_exhausted("")).get("k").await;
    assert!(matches!(busy, Err(StateError::Unavailable(_))));
    Ok(())
}
