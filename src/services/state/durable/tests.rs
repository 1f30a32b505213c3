//! What holds for a store in a file.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Waker;

use redb::StorageBackend;
use redb::backends::InMemoryBackend;

use super::tables::prepare;
use super::*;

type Result<T = (), E = Box<dyn Error>> = std::result::Result<T, E>;

/// The store without a disk under it, for what is not about disks.
pub(crate) async fn in_memory() -> Result<RedbStore, StoreError> {
    let open = || {
        let database = redb::Builder::new().create_with_backend(InMemoryBackend::new())?;
        prepare(database)
    };
    RedbStore::open_with(Box::new(open)).await
}

#[tokio::test]
async fn values_and_versions_go_on_after_the_file_is_opened_again() -> Result {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state");
    let store = RedbStore::open(&path).await?;
    let kept = store.put("p", b"kept", "1".into(), Expected::Any).await??;
    let last = store.put("p", b"gone", "2".into(), Expected::Any).await??;
    store.delete("p", b"gone", Expected::Any).await??;
    drop(store);

    let store = RedbStore::open(&path).await?;
    let entry = store.get("p", b"kept").await?;
    assert_eq!(entry, Some(Entry { value: "1".into(), version: kept }));
    assert_eq!(store.get("p", b"gone").await?, None);
    let next = store.put("p", b"gone", "2".into(), Expected::Absent).await??;
    assert!(next > last);
    Ok(())
}

#[tokio::test]
async fn only_the_owner_can_read_a_new_file() -> Result {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state");
    let _store = RedbStore::open(&path).await?;
    let mode = std::fs::metadata(&path)?.permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_something_else_is_refused_and_left_as_it_is() -> Result {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("letter");
    for content in ["Dear Sir, ".repeat(1000), "x".to_owned()] {
        std::fs::write(&path, &content)?;
        let opened = RedbStore::open(&path).await;
        assert!(matches!(opened, Err(StoreError::NotAStore(_))), "{opened:?}");
        assert_eq!(std::fs::read_to_string(&path)?, content);
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_was_cut_short_is_an_error_and_not_a_panic() -> Result {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state");
    let store = RedbStore::open(&path).await?;
    store.put("p", b"k", vec![7; 100_000].into(), Expected::Any).await??;
    drop(store);
    let length = std::fs::metadata(&path)?.len();
    for length in [length / 2, 4096, 700, 100] {
        std::fs::OpenOptions::new().write(true).open(&path)?.set_len(length)?;
        assert!(RedbStore::open(&path).await.is_err(), "cut to {length}");
    }
    Ok(())
}

#[tokio::test]
async fn a_store_that_was_overwritten_is_an_error_and_not_a_panic() -> Result {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state");
    let store = RedbStore::open(&path).await?;
    store.put("p", b"k", vec![7; 100_000].into(), Expected::Any).await??;
    drop(store);
    // All but the header.
    let mut content = std::fs::read(&path)?;
    content[4096..].fill(0xaa);
    std::fs::write(&path, content)?;
    let opened = RedbStore::open(&path).await;
    assert!(matches!(opened, Err(StoreError::Corrupt(_) | StoreError::Internal(_))), "{opened:?}");
    Ok(())
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_an_error_with_its_cause() -> Result {
    let folder = tempfile::tempdir()?;
    let opened = RedbStore::open(folder.path().join("none/state")).await;
    let error = opened.err().ok_or("there is no folder")?;
    assert!(matches!(error, StoreError::Io(_)));
    assert!(error.source().is_some());
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_open_already_is_in_use() -> Result {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("state");
    let _first = RedbStore::open(&path).await?;
    let second = RedbStore::open(&path).await;
    assert!(matches!(second, Err(StoreError::InUse(_))), "{second:?}");
    Ok(())
}

#[tokio::test]
async fn a_put_whose_future_was_dropped_is_done_wholly_or_not_at_all() -> Result {
    let store = in_memory().await?;
    let (mut before, mut done) = (None, 0);
    for i in 0..50_u8 {
        let mut put = store.put("p", b"k", vec![i; 1000].into(), Expected::Any);
        // Begins it.
        let _ = put.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        drop(put);
        // Waits for its turn behind the write that goes on.
        store.delete("p", b"other", Expected::Any).await??;
        let value = store.get("p", b"k").await?.map(|entry| entry.value);
        let whole = value == Some(vec![i; 1000].into());
        assert!(whole || value == before);
        done += usize::from(whole);
        before = value;
    }
    assert!(done > 0);
    Ok(())
}

/// A disk that can be full.
#[derive(Debug, Default)]
struct Disk {
    content: InMemoryBackend,
    full: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct SharedDisk(Arc<Disk>);

impl SharedDisk {
    fn check(&self) -> std::result::Result<(), io::Error> {
        if self.0.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for SharedDisk {
    fn len(&self) -> io::Result<u64> {
        self.0.content.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.content.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.content.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.content.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.content.write(offset, data)
    }
}

#[tokio::test]
async fn a_full_disk_is_a_typed_error_and_works_again_when_there_is_room() -> Result {
    let disk = SharedDisk::default();
    let opened = disk.clone();
    let open = move || {
        let database = redb::Builder::new().create_with_backend(opened.clone())?;
        prepare(database)
    };
    let store = RedbStore::open_with(Box::new(open)).await?;
    let before = store.put("p", b"k", "before".into(), Expected::Any).await??;

    disk.0.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        let put = store.put("p", b"k", "during".into(), Expected::Any).await;
        assert!(matches!(put, Err(StoreError::Full(_))), "{put:?}");
    }

    disk.0.full.store(false, Ordering::SeqCst);
    let entry = store.get("p", b"k").await?;
    assert_eq!(entry, Some(Entry { value: "before".into(), version: before }));
    store.put("p", b"k", "after".into(), before.into()).await??;
    Ok(())
}
