//! Volumes that are folders, and what is known of them, which is in a state store.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path};
use std::sync::Arc;

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
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
    /// The name of its folder, which is in the root.
    folder: String,
    created: String,
    opts: Opts,
    /// Who uses it, and how often: Docker mounts for the same one several times.
    users: BTreeMap<String, u64>,
    /// Whether it is being removed, which nothing takes back.
    #[serde(default)]
    removing: bool,
}

/// The volumes of one plugin.
pub struct Volumes<T> {
    /// Where the state is now: a plugin's host has none before the first call.
    state: Box<OpenState<T>>,
    root: String,
}

type OpenState<T> = dyn Fn() -> Result<State<T>, trunkline::Error> + Send + Sync;

impl<T: Channel> Volumes<T> {
    /// Volumes in this folder, which is there.
    pub fn new(
        root: String,
        state: impl Fn() -> Result<State<T>, trunkline::Error> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { state: Box::new(state), root })
    }

    /// Creates a volume. One that there is already, with the same options, will do.
    pub async fn create(self: Arc<Self>, wanted: Create) -> Result<Empty, Failure> {
        to_its_end(async move { self.create_one(wanted).await }).await
    }

    async fn create_one(&self, Create { name, opts }: Create) -> Result<Empty, Failure> {
        let (key, opts) = (key(&name)?, opts.unwrap_or_default());
        if let Some(option) = opts.keys().find(|option| *option != "label") {
            return Err(Failure::new(format!("there is no option {option:?}, only \"label\"")));
        }
        // Until the volume is known, whatever ends this removes the folder.
        let made = self.make_folder(&name).await?;
        let folder = made.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let created = OffsetDateTime::now_utc().format(&Rfc3339)?;
        let record = Record { folder, created, opts, users: BTreeMap::new(), removing: false };
        let value = serde_json::to_vec(&record)?;
        match (self.state)()?.put_if(&key, value, Expected::Absent).await {
            Ok(_) => {
                let folder = made.keep();
                tracing::info!(name, folder = %folder.display(), "created");
                return Ok(Empty {});
            }
            Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        made.close()?;
        let (existing, _) = self.read(&name).await?;
        if existing.removing {
            return Err(half_removed(&name));
        }
        if existing.opts == record.opts {
            return Ok(Empty {});
        }
        Err(Failure::new(format!("there is a volume {name:?} with other options")))
    }

    /// Removes a volume that nobody uses, and all that is in it; or what is left of it.
    pub async fn remove(self: Arc<Self>, named: Named) -> Result<Empty, Failure> {
        to_its_end(async move { self.remove_one(named).await }).await
    }

    async fn remove_one(&self, Named { name }: Named) -> Result<Empty, Failure> {
        // Nobody can mount it from here on, and it is known until nothing is left of it.
        let mark = |record: &mut Record| {
            if !record.users.is_empty() {
                return Err(Failure::new(format!("the volume {name:?} is used")));
            }
            self.mountpoint(record)?;
            Ok(!std::mem::replace(&mut record.removing, true))
        };
        let (record, version) = self.change(&name, mark).await?;
        delete(self.mountpoint(&record)?).await?;
        match (self.state)()?.delete_if(key(&name)?, version).await {
            // What is being removed does not change: somebody else has finished it.
            Ok(_) | Err(StateError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(name, "removed");
        Ok(Empty {})
    }

    /// Notes that somebody uses a volume, once more, and says where it is.
    pub async fn mount(self: Arc<Self>, Use { name, id }: Use) -> Result<Mounted, Failure> {
        let count = |record: &mut Record| {
            if record.removing {
                return Err(half_removed(&name));
            }
            let times = record.users.entry(id.clone()).or_default();
            *times = times.saturating_add(1);
            Ok(true)
        };
        let (record, _) = self.change(&name, count).await?;
        Ok(Mounted { mountpoint: self.mountpoint(&record)? })
    }

    /// Notes that somebody uses a volume once less. It is no error if nobody does.
    pub async fn unmount(self: Arc<Self>, Use { name, id }: Use) -> Result<Empty, Failure> {
        let count = |record: &mut Record| {
            let Some(times) = record.users.get_mut(&id) else { return Ok(false) };
            *times = times.saturating_sub(1);
            if *times == 0 {
                record.users.remove(&id);
            }
            Ok(true)
        };
        self.change(&name, count).await?;
        Ok(Empty {})
    }

    pub async fn path(self: Arc<Self>, Named { name }: Named) -> Result<Mounted, Failure> {
        let (record, _) = self.read(&name).await?;
        Ok(Mounted { mountpoint: self.mountpoint(&record)? })
    }

    pub async fn get(self: Arc<Self>, Named { name }: Named) -> Result<Got, Failure> {
        let (record, _) = self.read(&name).await?;
        let status = serde_json::json!({ "Opts": record.opts, "Users": record.users });
        Ok(Got { volume: Some(Volume { status: Some(status), ..self.volume(&name, &record)? }) })
    }

    pub async fn list(self: Arc<Self>, _: Empty) -> Result<Listed, Failure> {
        let mut volumes = Vec::new();
        let mut items = (self.state)()?.list(PREFIX);
        while let Some(item) = items.try_next().await? {
            let name = item.key.strip_prefix(PREFIX.as_bytes()).unwrap_or_default();
            let record = serde_json::from_slice(&item.value)?;
            volumes.push(self.volume(&String::from_utf8_lossy(name), &record)?);
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
        change: impl Fn(&mut Record) -> Result<bool, Failure>,
    ) -> Result<(Record, Version), Failure> {
        for _ in 0..TRIES {
            let (mut record, version) = self.read(name).await?;
            if !change(&mut record)? {
                return Ok((record, version));
            }
            let value = serde_json::to_vec(&record)?;
            match (self.state)()?.put_if(key(name)?, value, version).await {
                Ok(version) => return Ok((record, version)),
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(busy(name))
    }

    /// A new folder, which no earlier volume of this name has had. It is removed when the
    /// guard is dropped.
    async fn make_folder(&self, name: &str) -> io::Result<TempDir> {
        let (prefix, root) = (format!("{name}."), self.root.clone());
        let made = tokio::task::spawn_blocking(move || {
            let made = tempfile::Builder::new().prefix(&prefix).tempdir_in(root)?;
            // For everybody, whatever the umask: a container's users are others than ours.
            fs::set_permissions(made.path(), fs::Permissions::from_mode(0o755))?;
            Ok(made)
        });
        made.await.map_err(io::Error::other)?
    }

    fn volume(&self, name: &str, record: &Record) -> Result<Volume, Failure> {
        Ok(Volume {
            name: name.to_owned(),
            mountpoint: self.mountpoint(record)?,
            created_at: record.created.clone(),
            status: None,
        })
    }

    /// Where a volume is: in the root, whatever the store says.
    fn mountpoint(&self, Record { folder, .. }: &Record) -> Result<String, Failure> {
        let mut components = Path::new(folder).components();
        match (components.next(), components.next()) {
            (Some(Component::Normal(name)), None) if name == folder.as_str() => {
                Ok(format!("{}/{folder}", self.root))
            }
            _ => Err(Failure::new(format!("the store is wrong: {folder:?} is no folder's name"))),
        }
    }
}

/// Does all of it, even if the caller gives up and its future is dropped.
async fn to_its_end(
    work: impl Future<Output = Result<Empty, Failure>> + Send + 'static,
) -> Result<Empty, Failure> {
    tokio::spawn(work).await?
}

/// Deletes a folder, unless it is gone.
async fn delete(folder: String) -> io::Result<()> {
    let deleted = tokio::task::spawn_blocking(move || fs::remove_dir_all(folder));
    match deleted.await.map_err(io::Error::other)? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
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

fn half_removed(name: &str) -> Failure {
    Failure::new(format!("the volume {name:?} is being removed; remove it again if that failed"))
}
