//! Volumes that are folders, and what is known of them, which is in a state store.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use trunkline::docker::Empty;
use trunkline::docker::serve::Failure;
use trunkline::services::Channel;
use trunkline::services::state::{Expected, State, StateError, Version};

use crate::messages::{
    Capabilities, Capable, Create, Got, Listed, Mounted, Named, Opts, Use, Volume,
};

/// What the keys of volumes begin with.
const PREFIX: &str = "volume/";

/// How often a change is tried that others come before.
const TRIES: u32 = 64;

/// The longest name of a volume, in bytes: that of a file, with what is added to it.
const LONGEST_NAME: usize = 200;

/// What is known of a volume.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    folder: PathBuf,
    created: String,
    opts: Opts,
    /// Who uses it.
    users: BTreeSet<String>,
}

/// The volumes of one plugin.
pub struct Volumes<T> {
    /// Where the state is now: a plugin's host has none before the first call.
    state: Box<OpenState<T>>,
    root: PathBuf,
}

type OpenState<T> = dyn Fn() -> Result<State<T>, trunkline::Error> + Send + Sync;

impl<T: Channel> Volumes<T> {
    /// Volumes in this folder, which is there.
    pub fn new(
        root: PathBuf,
        state: impl Fn() -> Result<State<T>, trunkline::Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { state: Box::new(state), root })
    }

    /// Creates a volume. One that there is already, with the same options, will do.
    pub async fn create(self: Arc<Self>, Create { name, opts }: Create) -> Result<Empty, Failure> {
        let (key, opts) = (key(&name)?, opts.unwrap_or_default());
        if let Some(option) = opts.keys().find(|option| *option != "label") {
            return Err(Failure::new(format!("there is no option {option:?}, only \"label\"")));
        }
        let folder = self.make_folder(&name).await?;
        let created = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let record = Record { folder, created, opts, users: BTreeSet::new() };
        let value = serde_json::to_vec(&record)?;
        match (self.state)()?.put_if(&key, value, Expected::Absent).await {
            Ok(_) => {
                tracing::info!(name, "created");
                return Ok(Empty {});
            }
            Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        // It was made for nothing, and is empty.
        remove(record.folder).await?;
        let (existing, _) = self.read(&name).await?;
        if existing.opts == record.opts {
            return Ok(Empty {});
        }
        Err(Failure::new(format!("there is a volume {name:?} with other options")))
    }

    /// Removes a volume that nobody uses, and all that is in it.
    pub async fn remove(self: Arc<Self>, Named { name }: Named) -> Result<Empty, Failure> {
        for _ in 0..TRIES {
            let (record, version) = self.read(&name).await?;
            if !record.users.is_empty() {
                return Err(Failure::new(format!("the volume {name:?} is used")));
            }
            match (self.state)()?.delete_if(key(&name)?, version).await {
                Ok(_) => {
                    tracing::info!(name, "removed");
                    remove(record.folder).await?;
                    return Ok(Empty {});
                }
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(busy(&name))
    }

    /// Notes that somebody uses a volume, and says where it is. Doing it twice is no error:
    /// Docker asks again if it has had no answer.
    pub async fn mount(self: Arc<Self>, Use { name, id }: Use) -> Result<Mounted, Failure> {
        let record = self.change(&name, |record| record.users.insert(id.clone())).await?;
        Ok(Mounted { mountpoint: mountpoint(&record) })
    }

    /// Notes that somebody uses a volume no longer.
    pub async fn unmount(self: Arc<Self>, Use { name, id }: Use) -> Result<Empty, Failure> {
        self.change(&name, |record| record.users.remove(&id)).await?;
        Ok(Empty {})
    }

    pub async fn path(self: Arc<Self>, Named { name }: Named) -> Result<Mounted, Failure> {
        let (record, _) = self.read(&name).await?;
        Ok(Mounted { mountpoint: mountpoint(&record) })
    }

    pub async fn get(self: Arc<Self>, Named { name }: Named) -> Result<Got, Failure> {
        let (record, _) = self.read(&name).await?;
        let status = serde_json::json!({ "Opts": record.opts, "Users": record.users });
        Ok(Got { volume: Some(Volume { status: Some(status), ..volume(&name, &record) }) })
    }

    pub async fn list(self: Arc<Self>, _: Empty) -> Result<Listed, Failure> {
        let mut volumes = Vec::new();
        let mut items = (self.state)()?.list(PREFIX);
        while let Some(item) = items.try_next().await? {
            let name = item.key.strip_prefix(PREFIX.as_bytes()).unwrap_or_default();
            let record = serde_json::from_slice(&item.value)?;
            volumes.push(volume(&String::from_utf8_lossy(name), &record));
        }
        Ok(Listed { volumes: Some(volumes) })
    }

    pub async fn capabilities(self: Arc<Self>, _: Empty) -> Result<Capable, Failure> {
        Ok(Capable { capabilities: Capabilities { scope: "local".to_owned() } })
    }

    async fn read(&self, name: &str) -> Result<(Record, Version), Failure> {
        let entry = (self.state)()?.get(key(name)?).await?;
        let entry = entry.ok_or_else(|| Failure::new(format!("there is no volume {name:?}")))?;
        Ok((serde_json::from_slice(&entry.value)?, entry.version))
    }

    /// Changes what is known of a volume, unless it stays as it is.
    async fn change(
        &self,
        name: &str,
        change: impl Fn(&mut Record) -> bool,
    ) -> Result<Record, Failure> {
        for _ in 0..TRIES {
            let (mut record, version) = self.read(name).await?;
            if !change(&mut record) {
                return Ok(record);
            }
            let value = serde_json::to_vec(&record)?;
            match (self.state)()?.put_if(key(name)?, value, version).await {
                Ok(_) => return Ok(record),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(busy(name))
    }

    /// A new folder, which no earlier volume of this name has had.
    async fn make_folder(&self, name: &str) -> io::Result<PathBuf> {
        let (prefix, root) = (format!("{name}."), self.root.clone());
        let made = tokio::task::spawn_blocking(move || {
            // For everybody: a container's users are others than ours.
            let mode = fs::Permissions::from_mode(0o755);
            let mut folder = tempfile::Builder::new();
            let made = folder.prefix(&prefix).permissions(mode).tempdir_in(root)?;
            Ok(made.keep())
        });
        made.await.map_err(io::Error::other)?
    }
}

async fn remove(folder: PathBuf) -> io::Result<()> {
    let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder));
    removed.await.map_err(io::Error::other)?
}

/// The key of a volume, whose name is one that Docker gives, and is in the name of a folder.
fn key(name: &str) -> Result<String, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || !name.chars().all(is_plain) || name.len() > LONGEST_NAME {
        return Err(Failure::new(format!("{name:?} cannot be the name of a volume")));
    }
    Ok(format!("{PREFIX}{name}"))
}

fn busy(name: &str) -> Failure {
    Failure::new(format!("the volume {name:?} was changed by others each time; try again"))
}

fn volume(name: &str, record: &Record) -> Volume {
    Volume {
        name: name.to_owned(),
        mountpoint: mountpoint(record),
        created_at: record.created.clone(),
        status: None,
    }
}

fn mountpoint(record: &Record) -> String {
    Path::display(&record.folder).to_string()
}
