//! A state that only one run works on.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::fs::TryLockError;
use std::io;
use std::io::Write;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use crate::state::Kept;
use crate::state::StateError;
use crate::state::StateFile;

/// How often a lock is tried whose file goes away meanwhile. That happens when another run
/// ends in that very moment, and not so many end.
const ATTEMPTS: usize = 16;

/// A state that may be written, for no other run can. The lock is on a file beside it, which
/// ends in `.lock`; the system gives it up with the process, however that ends. Dropping it
/// removes the file.
#[derive(Debug)]
pub struct LockedState {
    file: StateFile,
    lock: PathBuf,
    /// Closing it gives up the lock.
    _held: File,
}

impl StateFile {
    /// Takes the state for this run. Does not wait: an error if another run has it, or if it
    /// shows already that it cannot be written.
    pub fn lock(self) -> Result<LockedState, StateError> {
        self.check_writable()?;
        let mut lock = self.path().as_os_str().to_owned();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        for _ in 0..ATTEMPTS {
            match attempt(&lock) {
                Ok(Some(held)) => return Ok(LockedState { file: self, lock, _held: held }),
                // Whoever had it has removed the file, and another run may lock a new one.
                Ok(None) => {}
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Error(source)) => return Err(StateError::Lock { lock, source }),
            }
        }
        Err(StateError::InUse { path: self.path().to_owned(), lock })
    }
}

/// A lock on the file. `None` if that is not the one that others find under its name.
fn attempt(path: &Path) -> Result<Option<File>, TryLockError> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(TryLockError::Error)?;
    file.try_lock()?;
    let is_found = is_at(&file, path).map_err(TryLockError::Error)?;
    Ok(is_found.then_some(file))
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let held = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(found) => Ok((held.dev(), held.ino()) == (found.dev(), found.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

impl LockedState {
    /// Replaces the file. After an error it is as it was.
    pub fn write(&self, kept: &Kept) -> Result<(), StateError> {
        let write = || -> io::Result<()> {
            let mut file = self.file.beside()?;
            serde_json::to_writer_pretty(&mut file, kept)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            file.persist(self.path())?;
            File::open(self.file.folder())?.sync_all()
        };
        write().map_err(|source| StateError::Write { path: self.path().to_owned(), source })
    }

    /// Removes the file, if there is one.
    pub fn remove(&self) -> Result<(), StateError> {
        match fs::remove_file(self.path()) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(StateError::Remove { path: self.path().to_owned(), source })
            }
            _ => Ok(()),
        }
    }
}

impl Deref for LockedState {
    type Target = StateFile;

    fn deref(&self) -> &StateFile {
        &self.file
    }
}

impl Drop for LockedState {
    fn drop(&mut self) {
        // While it is held: who opens the file before that finds out that it is gone. One
        // that stays does no harm.
        let _ = fs::remove_file(&self.lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_runs_on_one_state_the_second_is_refused_until_the_first_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let first = StateFile::new(&path).lock().unwrap();
        let error = StateFile::new(&path).lock().unwrap_err();
        assert!(matches!(error, StateError::InUse { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("state.json.lock") && said.contains("wait"), "{said}");
        assert_eq!(StateFile::new(&path).load().unwrap(), None, "who only looks is not refused");
        drop(first);
        let second = StateFile::new(&path).lock().unwrap();
        drop(second);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_link_to_a_state_has_the_lock_of_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let _first = StateFile::new(&link).lock().unwrap();
        assert!(matches!(StateFile::new(&target).lock(), Err(StateError::InUse { .. })));
    }

    #[test]
    fn a_lock_that_a_killed_run_has_left_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        File::create(folder.path().join("state.json.lock")).unwrap();
        StateFile::new(&path).lock().unwrap();
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json.lock");
        let old = File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&old, &path).unwrap());
        let new = attempt(&path).unwrap().unwrap();
        assert!(!is_at(&old, &path).unwrap() && is_at(&new, &path).unwrap());
    }
}
