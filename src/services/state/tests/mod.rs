//! What holds for a plugin's state, over every store, from the plugin's end.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;

use crate::services::state::Entry;
use crate::services::state::Expected;
use crate::services::state::MemoryStore;
use crate::services::state::State;
use crate::services::state::StateError;
use crate::services::state::StateService;
use crate::services::state::Store;
use crate::services::state::UPDATE_TRIES;

mod failures;
mod limits;

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
        assert_eq!(state.get("k").await?, Some(Entry { value: "v".into(), version }));
        let empty = state.put("k", "").await?;
        assert!(empty > version);
        assert_eq!(state.get("k").await?, Some(Entry { value: Bytes::new(), version: empty }));
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
        assert_eq!(ab.get("c").await?.map(|entry| entry.value), Some("of ab".into()));
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
        assert!(items.iter().map(|item| &item.key[..]).eq(names.iter().map(String::as_bytes)));
        assert!(items.iter().all(|item| item.key == item.value));
        let keys = state.keys("k/").try_collect::<Vec<_>>().await?;
        assert!(keys.into_iter().eq(items.into_iter().map(|item| (item.key, item.version))));
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
async fn updates_by_many_writers_lose_nothing() -> Result {
    for store in stores().await? {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..UPDATE_TRIES {
            let state = open(&store, "p");
            tasks.spawn(async move {
                state.update("n", |old| [old.unwrap_or_default(), b"x"].concat()).await
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
