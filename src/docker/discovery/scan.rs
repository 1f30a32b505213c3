//! Listing the plugins that there are.

use std::collections::HashSet;
use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

use crate::docker::discovery::directories::Directories;
use crate::docker::discovery::find::is_name;

/// Where the system says which users there are in this namespace.
const UID_MAP: &str = "/proc/self/uid_map";

impl Directories {
    /// The names of all plugins that [`find`](Self::find) would find: those with sockets
    /// first, then those of each directory of spec files, by name, each once. Nothing is
    /// said of whether they run, or of what is in a spec file. Reads the file system, and
    /// blocks for that.
    ///
    /// # Errors
    ///
    /// A directory is there and cannot be read. In a user namespace, one that may not be
    /// read is the system's, and left out.
    pub fn scan(&self) -> Result<Vec<String>, ScanError> {
        let mut names = Vec::new();
        let sockets = std::iter::once((&self.sockets, is_socket as fn(&Path) -> bool));
        let specs = self.specs.iter().map(|folder| (folder, is_spec as fn(&Path) -> bool));
        for (folder, is_plugin) in sockets.chain(specs) {
            names.extend(scan_folder(folder, is_plugin)?);
        }
        let mut seen = HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        Ok(names)
    }

    /// What is told when the scan itself did not come to its end.
    pub(in crate::docker) fn not_scanned(
        &self,
        why: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> ScanError {
        ScanError { folder: self.sockets.clone(), source: io::Error::other(why) }
    }
}

fn scan_folder(folder: &Path, is_plugin: fn(&Path) -> bool) -> Result<Vec<String>, ScanError> {
    let failed = |source| ScanError { folder: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && is_in_namespace() => {
            tracing::debug!(folder = %folder.display(), "plugins of the system are left out");
            return Ok(Vec::new());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?.path();
        names.extend(name_of(&entry, is_plugin));
    }
    names.sort_unstable();
    Ok(names)
}

/// The plugin that a file is, or that a folder has in it under its own name.
fn name_of(entry: &Path, is_plugin: fn(&Path) -> bool) -> Option<String> {
    let name = if entry.is_dir() {
        let name = entry.file_name()?.to_str()?;
        // Not `with_extension`: the name may have a dot in it.
        let inner = ["sock", "spec", "json"].map(|end| entry.join(format!("{name}.{end}")));
        inner.iter().any(|file| is_plugin(file)).then_some(name)
    } else {
        is_plugin(entry).then(|| entry.file_stem()?.to_str()).flatten()
    };
    name.filter(|name| is_name(name)).map(str::to_owned)
}

fn is_socket(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "sock")
        && fs::metadata(file).is_ok_and(|found| found.file_type().is_socket())
}

fn is_spec(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "spec" || extension == "json")
        && file.is_file()
}

fn is_in_namespace() -> bool {
    fs::read_to_string(UID_MAP).is_ok_and(|map| !is_all_users(&map))
}

/// Whether a map of users (`user_namespaces(7)`) is that of the system itself: every user
/// is who they are.
pub(super) fn is_all_users(map: &str) -> bool {
    let fields = map.split_ascii_whitespace().collect::<Vec<_>>();
    fields == ["0", "0", "4294967295"]
}

/// A directory of plugins cannot be read.
#[derive(Debug, Error)]
#[error("the directory {} of plugins cannot be read", .folder.display())]
pub struct ScanError {
    folder: PathBuf,
    source: io::Error,
}

impl ScanError {
    /// The directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
