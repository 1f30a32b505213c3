//! Which program a plugin's process executes, by the hash of its bytes.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::sync::watch;

use crate::host::handle::PluginEnd;
use crate::host::pin::Sha256Pin;

/// How many files' hashes are remembered. An application has fewer plugins at a time, and
/// what is forgotten is read again.
const REMEMBERED: usize = 128;

/// A plugin's process, to find its program by.
#[derive(Clone, Debug)]
pub(crate) struct Executes {
    pub(crate) pid: u32,
    /// The file that was launched. `None` if this host has not launched it.
    pub(crate) file: Option<PathBuf>,
    /// Once it has ended, its number may be another's.
    pub(crate) ended: watch::Receiver<Option<PluginEnd>>,
}

/// Hashes of programs, each read once.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// The oldest first.
    known: Mutex<VecDeque<(FileId, Arc<OnceCell<Sha256Pin>>)>>,
}

/// A file, and what changes when its content does. Most kernels let nobody write to a file
/// that a process executes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Why a process does not show what it executes.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoProgram {
    #[error("the process has ended")]
    Ended,
    #[error("the plugin is a script, whose interpreter may run anything")]
    Script,
    #[error("the program of the process cannot be read")]
    Read(#[source] io::Error),
    #[cfg(not(target_os = "linux"))]
    #[error("this platform does not show what a process executes")]
    Platform,
}

impl Programs {
    /// The hash of what the process executes.
    ///
    /// # Cancel safety
    ///
    /// Safe. A file that is being read is read to its end, for nobody.
    pub(super) async fn sha256(&self, plugin: Executes) -> Result<Sha256Pin, NoProgram> {
        let (file, id) = blocking(move || open(&plugin)).await?;
        let hash = self.remembered(id);
        let read = || blocking(move || Sha256Pin::of_reader(file).map_err(NoProgram::Read));
        hash.get_or_try_init(read).await.copied()
    }

    /// The hash of a file, or the place for it.
    fn remembered(&self, id: FileId) -> Arc<OnceCell<Sha256Pin>> {
        let mut known = self.known.lock();
        if let Some((_, hash)) = known.iter().find(|(known, _)| *known == id) {
            return hash.clone();
        }
        if known.len() == REMEMBERED {
            known.pop_front();
        }
        let hash = Arc::default();
        known.push_back((id, Arc::clone(&hash)));
        hash
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NoProgram> + Send + 'static,
) -> Result<T, NoProgram> {
    let done = tokio::task::spawn_blocking(work).await;
    // The runtime is shutting down.
    done.unwrap_or_else(|error| Err(NoProgram::Read(io::Error::other(error))))
}

#[cfg(target_os = "linux")]
fn open(plugin: &Executes) -> Result<(File, FileId), NoProgram> {
    let program = File::open(format!("/proc/{}/exe", plugin.pid)).map_err(NoProgram::Read)?;
    // Looked at last. Between the end of a process and the news of it there is a moment in
    // which its number may be given to another; numbers come round after thousands of
    // processes.
    if plugin.ended.borrow().is_some() {
        return Err(NoProgram::Ended);
    }
    let id = FileId::of(&program.metadata().map_err(NoProgram::Read)?);
    if let Some(launched) = &plugin.file
        && std::fs::metadata(launched).is_ok_and(|launched| FileId::of(&launched) != id)
        && is_script(launched).map_err(NoProgram::Read)?
    {
        return Err(NoProgram::Script);
    }
    Ok((program, id))
}

#[cfg(not(target_os = "linux"))]
fn open(_: &Executes) -> Result<(File, FileId), NoProgram> {
    Err(NoProgram::Platform)
}

#[cfg(target_os = "linux")]
fn is_script(path: &std::path::Path) -> io::Result<bool> {
    if !std::fs::metadata(path)?.is_file() {
        // It was replaced by what cannot be launched.
        return Ok(false);
    }
    let mut start = [0; 2];
    let read = File::open(path)?.read(&mut start)?;
    Ok(start[..read] == *b"#!")
}

impl FileId {
    fn of(file: &std::fs::Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64) -> FileId {
        FileId { device: 1, inode, size: 1, modified: (1, 0), changed: (1, 0) }
    }

    #[test]
    fn the_hash_of_a_file_is_remembered_until_its_content_may_have_changed() {
        let programs = Programs::default();
        let first = programs.remembered(file(1));
        assert!(Arc::ptr_eq(&first, &programs.remembered(file(1))));
        for other in [
            file(2),
            FileId { size: 2, ..file(1) },
            FileId { modified: (1, 1), ..file(1) },
            FileId { changed: (2, 0), ..file(1) },
        ] {
            assert!(!Arc::ptr_eq(&first, &programs.remembered(other)), "{other:?}");
        }
    }

    #[test]
    fn only_so_many_files_are_remembered_and_the_oldest_goes_first() {
        let programs = Programs::default();
        let (first, second) = (programs.remembered(file(0)), programs.remembered(file(1)));
        for inode in 2..=REMEMBERED as u64 {
            programs.remembered(file(inode));
        }
        assert_eq!(programs.known.lock().len(), REMEMBERED);
        assert!(Arc::ptr_eq(&second, &programs.remembered(file(1))));
        assert!(!Arc::ptr_eq(&first, &programs.remembered(file(0))));
    }
}
