//! Looking for one plugin by its name.

use std::error::Error;
use std::fs;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

use crate::docker::address::Address;
use crate::docker::discovery::directories::Directories;
use crate::docker::discovery::spec::MAX_SPEC;
use crate::docker::discovery::spec::SpecError;
use crate::docker::discovery::spec::parse_json;
use crate::docker::discovery::spec::parse_text;
use crate::docker::regular_file;
use crate::docker::tls::TlsOptions;

/// Where a plugin was found, and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    name: String,
    file: PathBuf,
    address: Address,
    tls: Option<TlsOptions>,
}

impl Location {
    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that says where it is: its socket, or a spec file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How connections are encrypted, if the spec file says it.
    #[must_use]
    pub fn tls(&self) -> Option<&TlsOptions> {
        self.tls.as_ref()
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Socket,
    Text,
    Json,
}

impl Kind {
    /// Whether a file can be what its name says it is.
    fn is(self, found: &Metadata) -> bool {
        match self {
            Self::Socket => found.file_type().is_socket(),
            Self::Text | Self::Json => found.is_file(),
        }
    }
}

impl Directories {
    /// Looks for a plugin by its name. Reads the file system, and blocks for that.
    ///
    /// # Errors
    ///
    /// There is none ([`FindError::is_not_found`]), or its spec file is wrong. A directory
    /// that may not be looked into is an error only if the plugin is in no other.
    pub fn find(&self, name: &str) -> Result<Location, FindError> {
        if !is_name(name) {
            return Err(FindError::Name { name: name.to_owned() });
        }
        let mut closed = None;
        for (kind, file) in self.candidates(name) {
            match fs::metadata(&file) {
                Ok(found) if !kind.is(&found) => {}
                Ok(_) => return located(name, kind, file),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    closed.get_or_insert((file, error));
                }
                // Whatever else: there is no such file that could be used.
                Err(_) => {}
            }
        }
        match closed {
            Some((file, source)) => Err(FindError::Unreadable { file, source }),
            None => Err(FindError::NotFound { name: name.to_owned() }),
        }
    }

    /// What is told when the search itself did not come to its end.
    pub(in crate::docker) fn not_searched(
        &self,
        why: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> FindError {
        FindError::Unreadable { file: self.sockets.clone(), source: io::Error::other(why) }
    }

    fn candidates(&self, name: &str) -> Vec<(Kind, PathBuf)> {
        let in_folder = |folder: &Path, kind, extension: &str| {
            let file = format!("{name}.{extension}");
            [(kind, folder.join(&file)), (kind, folder.join(name).join(&file))]
        };
        let sockets = in_folder(&self.sockets, Kind::Socket, "sock");
        let specs = self.specs.iter().flat_map(|folder| {
            let text = in_folder(folder, Kind::Text, "spec");
            text.into_iter().chain(in_folder(folder, Kind::Json, "json"))
        });
        sockets.into_iter().chain(specs).collect()
    }
}

/// Whether this can be the name of a plugin: that of a file, and not the way to one.
pub(in crate::docker) fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

fn located(name: &str, kind: Kind, file: PathBuf) -> Result<Location, FindError> {
    let found = match kind {
        Kind::Socket => absolute(&file).and_then(|path| Ok((Address::unix(path)?, None))),
        Kind::Text => read(&file)?.and_then(|text| Ok((parse_text(&text)?, None))),
        Kind::Json => read(&file)?.and_then(|text| parse_json(&text)),
    };
    match found {
        Ok((address, tls)) => Ok(Location { name: name.to_owned(), file, address, tls }),
        Err(source) => Err(FindError::Spec { file, source }),
    }
}

fn absolute(file: &Path) -> Result<PathBuf, SpecError> {
    // Fails only where there is no working directory, and then the path shows it.
    Ok(std::path::absolute(file).unwrap_or_else(|_| file.to_owned()))
}

fn read(file: &Path) -> Result<Result<Vec<u8>, SpecError>, FindError> {
    let unreadable = |source| FindError::Unreadable { file: file.to_owned(), source };
    let text = regular_file::read(file, MAX_SPEC).map_err(unreadable)?;
    Ok(text.ok_or(SpecError::TooLong))
}

/// Why a plugin was not found.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FindError {
    /// No plugin can have this name.
    #[error("{name:?} cannot be the name of a plugin: it is empty, or the way to a file")]
    Name {
        /// The name.
        name: String,
    },

    /// There is no such plugin.
    #[error("there is no plugin {name:?}: no socket and no spec file has that name")]
    NotFound {
        /// The name.
        name: String,
    },

    /// A file cannot be read, or not be looked for, which may be the plugin's.
    #[error("{} cannot be read", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system answered.
        source: io::Error,
    },

    /// The plugin's spec file is wrong.
    #[error("the spec file {} is wrong", .file.display())]
    Spec {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: SpecError,
    },
}

impl FindError {
    /// Whether there is no such plugin.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}
