//! Files that are removed again, and only if they are still ours.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// A file that this process has made: a socket, a spec file. Dropping it removes it, unless
/// another stands in its place.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OwnFile {
    /// The file that is at `made` now and will be at `path`.
    pub(super) fn new(made: &Path, path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(made)?;
        Ok(Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino() })
    }

    fn remove(&self) -> io::Result<()> {
        let metadata = fs::symlink_metadata(&self.path)?;
        if (metadata.dev(), metadata.ino()) == (self.device, self.inode) {
            fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        match self.remove() {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "a file was left behind");
            }
        }
    }
}
