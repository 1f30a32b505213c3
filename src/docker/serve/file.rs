//! Files that are removed again, and only if they are still ours.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// A file that this process has made: a socket, a spec file. Dropping it removes it, unless
/// another stands in its place.
///
/// A file is known by its number. For as long as it is open the system gives that number to
/// no other, also if it has been removed.
#[derive(Debug)]
pub(super) struct OwnFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    _open: Option<File>,
}

impl OwnFile {
    /// The socket that is at `made` now and will be at `path`. It is open for as long as
    /// somebody listens.
    pub(super) fn socket(made: &Path, path: &Path) -> io::Result<Self> {
        Ok(Self::new(path, &fs::symlink_metadata(made)?, None))
    }

    /// The file that is at this path.
    pub(super) fn open(file: File, path: &Path) -> io::Result<Self> {
        Ok(Self::new(path, &file.metadata()?, Some(file)))
    }

    fn new(path: &Path, metadata: &Metadata, open: Option<File>) -> Self {
        Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino(), _open: open }
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
