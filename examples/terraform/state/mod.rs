//! The file in which a resource is kept between runs. It is written whole or not at all, and
//! only its owner may read it: what is sensitive stands in it in the clear.
//!
//! ```json
//! {
//!   "format_version": 1,
//!   "provider": "registry.terraform.io/hashicorp/random",
//!   "type": "random_string",
//!   "schema_version": 2,
//!   "attributes": { "length": 8, "result": "…" },
//!   "sensitive": [".result"],
//!   "private": "base64",
//!   "identity": { "schema_version": 0, "value": {} },
//!   "tainted": false
//! }
//! ```
//!
//! A run that may write a state holds a lock on it, from before it is read until what came of
//! it is kept: [`LockedState`]. A run that only looks, `plan`, needs none, for it finds the
//! state as it was or as it is, and never half of it.

mod lock;

pub use lock::LockedState;

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use tempfile::NamedTempFile;

use crate::config::Fault;
use crate::locate::ProviderAddress;
use crate::resource::Object;
use crate::resource::Resource;
use crate::tfplugin::cty::EncodeError;

/// The only one so far.
const FORMAT_VERSION: u32 = 1;

/// A resource as it is kept. The attributes are as the provider's schema of that version had
/// them: the provider reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    format_version: u32,
    pub provider: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub schema_version: i64,
    pub attributes: serde_json::Value,
    /// Where in the attributes there is what is not to be shown.
    pub sensitive: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_text")]
    pub private: Vec<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<KeptIdentity>,
    #[serde(default)]
    pub tainted: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptIdentity {
    pub schema_version: i64,
    pub value: serde_json::Value,
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Version {
    format_version: u32,
}

/// Why a state cannot be read or written. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error("the state {} cannot be read", .path.display())]
    Read { path: PathBuf, source: io::Error },

    /// Without its cause, which may show a secret.
    #[error(
        "the file {} is no state of this program, and is left as it is: it {fault}",
        .path.display()
    )]
    Broken { path: PathBuf, fault: Fault },

    #[error(
        "the state {} is of format {found}, this program knows {FORMAT_VERSION}: it was written \
         by a newer one", .path.display()
    )]
    Version { path: PathBuf, found: u32 },

    #[error("the state {} cannot be written", .path.display())]
    Write { path: PathBuf, source: io::Error },

    #[error("the state {} cannot be removed", .path.display())]
    Remove { path: PathBuf, source: io::Error },

    #[error(
        "another run works on the state {} and holds the lock {}: wait until it has ended, or \
         end it", .path.display(), .lock.display()
    )]
    InUse { path: PathBuf, lock: PathBuf },

    #[error("the lock {} cannot be taken", .lock.display())]
    Lock { lock: PathBuf, source: io::Error },
}

/// Where a state is kept.
#[derive(Clone, Debug)]
pub struct StateFile {
    path: PathBuf,
}

impl Kept {
    pub fn new(
        provider: &ProviderAddress,
        resource: &Resource,
        object: &Object,
    ) -> Result<Self, EncodeError> {
        let sensitive = resource.block().sensitive_paths(&object.value);
        let identity = match (&resource.identity, &object.identity) {
            (Some(schema), Some(identity)) => Some(KeptIdentity {
                schema_version: schema.version,
                value: identity.to_json(&schema.ty)?,
            }),
            _ => None,
        };
        Ok(Self {
            format_version: FORMAT_VERSION,
            provider: provider.to_string(),
            kind: resource.kind.clone(),
            schema_version: resource.schema.version,
            attributes: object.value.to_json(&resource.ty)?,
            sensitive: sensitive.iter().map(ToString::to_string).collect(),
            private: object.private.clone(),
            identity,
            tainted: object.is_tainted,
        })
    }
}

impl StateFile {
    /// A link is followed, so that what it leads to is made or replaced, and not the link.
    pub fn new(path: &Path) -> Self {
        Self { path: fs::canonicalize(path).unwrap_or_else(|_| followed(path)) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept; `None` if the file does not exist.
    pub fn load(&self) -> Result<Option<Kept>, StateError> {
        let path = || self.path.clone();
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateError::Read { path: path(), source }),
        };
        let broken = |error: serde_json::Error| {
            let fault = Fault::from(&error);
            StateError::Broken { path: path(), fault }
        };
        // First, because another format's fields are not known.
        let version: Version = serde_json::from_slice(&text).map_err(broken)?;
        if version.format_version != FORMAT_VERSION {
            return Err(StateError::Version { path: path(), found: version.format_version });
        }
        serde_json::from_slice(&text).map(Some).map_err(broken)
    }

    /// Whether the file can be written, as far as that shows before there is anything to
    /// write: better known before than after something was made.
    fn check_writable(&self) -> Result<(), StateError> {
        let checked = match self.path.is_dir() {
            true => Err(io::ErrorKind::IsADirectory.into()),
            false => self.beside().map(drop),
        };
        checked.map_err(|source| StateError::Write { path: self.path.clone(), source })
    }

    /// A new file in the same folder, so that it can take the place of the state. Nobody but
    /// its owner can read it.
    fn beside(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new().prefix(".state").tempfile_in(self.folder())
    }

    fn folder(&self) -> &Path {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
    }
}

/// How many links lead to a file that is not there yet, at most: as Linux has it.
const MOST_LINKS: usize = 40;

/// What a link leads to that leads to nothing yet. Of links without end it is the first.
fn followed(path: &Path) -> PathBuf {
    let mut followed = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&followed) else { return followed };
        // From the folder of the link, unless it is absolute.
        followed.pop();
        followed.push(target);
    }
    path.to_owned()
}

/// Opaque bytes in JSON.
mod base64_text {
    use serde::Deserializer;
    use serde::Serializer;
    use serde::de::Error;

    use super::Deserialize;
    use super::Engine;
    use super::STANDARD;

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests;
