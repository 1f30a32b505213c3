//! A volume driver of ours, which keeps its volumes in memory.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use trunkline::docker::Empty;
use trunkline::docker::serve::Failure;
use trunkline::docker::serve::Plugin;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    name: String,
    // Go writes a map that is empty as `null`, or not at all.
    #[serde(default)]
    opts: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mount {
    name: String,
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Mounted {
    mountpoint: String,
}

/// A volume, and who has mounted it.
struct Volume {
    opts: BTreeMap<String, String>,
    mounts: BTreeSet<String>,
}

impl Volume {
    fn mountpoint(&self, name: &str) -> String {
        if self.mounts.is_empty() { String::new() } else { mountpoint(name) }
    }

    fn told(&self, name: &str) -> Value {
        json!({
            "Name": name,
            "Mountpoint": self.mountpoint(name),
            "CreatedAt": "2020-02-29T12:34:56Z",
            "Status": self.opts,
        })
    }
}

fn mountpoint(name: &str) -> String {
    Path::new("/srv/volumes").join(name).display().to_string()
}

/// All of them. Clones share them.
#[derive(Clone, Default)]
struct Volumes(Arc<Mutex<BTreeMap<String, Volume>>>);

impl Volumes {
    fn create(&self, create: Create) -> Result<Empty, Failure> {
        if create.name.is_empty() {
            return Err(Failure::new("a volume has a name"));
        }
        let opts = create.opts.unwrap_or_default();
        let mut volumes = self.0.lock();
        let volume = volumes
            .entry(create.name)
            .or_insert_with(|| Volume { opts: opts.clone(), mounts: BTreeSet::new() });
        if volume.opts != opts {
            return Err(Failure::new("the volume is there with other options"));
        }
        Ok(Empty {})
    }

    /// What becomes of a volume.
    fn with<T>(
        &self,
        name: &str,
        action: impl FnOnce(&mut Volume) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match self.0.lock().get_mut(name) {
            Some(volume) => action(volume),
            None => Err(missing(name)),
        }
    }

    fn remove(&self, name: &str) -> Result<Empty, Failure> {
        let mut volumes = self.0.lock();
        match volumes.get(name) {
            None => return Err(missing(name)),
            Some(volume) if !volume.mounts.is_empty() => {
                let by: Vec<_> = volume.mounts.iter().map(String::as_str).collect();
                return Err(Failure::new(format!("{name} is mounted by {}", by.join(", "))));
            }
            Some(_) => volumes.remove(name),
        };
        Ok(Empty {})
    }

    fn list(&self) -> Value {
        let volumes = self.0.lock();
        let told: Vec<_> = volumes.iter().map(|(name, volume)| volume.told(name)).collect();
        json!({ "Volumes": told })
    }
}

fn missing(name: &str) -> Failure {
    Failure::new(format!("there is no volume {name:?}"))
}

/// A plugin with a method for each that the interface has.
pub fn volume_driver() -> Plugin {
    let of = Volumes::default();
    let [create, remove, mount, unmount, path, get, list] = std::array::from_fn(|_| of.clone());
    Plugin::new()
        .implements("VolumeDriver")
        .method("VolumeDriver.Capabilities", |_: Empty| async {
            Ok(json!({"Capabilities": {"Scope": "global"}}))
        })
        .method("VolumeDriver.Create", move |args: Create| {
            let created = create.create(args);
            async { created }
        })
        .method("VolumeDriver.Remove", move |args: Named| {
            let removed = remove.remove(&args.name);
            async { removed }
        })
        .method("VolumeDriver.Mount", move |args: Mount| {
            let mounted = mount.with(&args.name, |volume| {
                volume.mounts.insert(args.id);
                Ok(Mounted { mountpoint: mountpoint(&args.name) })
            });
            async { mounted }
        })
        .method("VolumeDriver.Unmount", move |args: Mount| {
            let unmounted = unmount.with(&args.name, |volume| {
                let known = volume.mounts.remove(&args.id);
                let text = || format!("{} is not mounted by {}", args.name, args.id);
                known.then_some(Empty {}).ok_or_else(|| Failure::new(text()))
            });
            async { unmounted }
        })
        .method("VolumeDriver.Path", move |args: Named| {
            let path = path.with(&args.name, |volume| {
                Ok(Mounted { mountpoint: volume.mountpoint(&args.name) })
            });
            async { path }
        })
        .method("VolumeDriver.Get", move |args: Named| {
            let got = get.with(&args.name, |volume| Ok(json!({"Volume": volume.told(&args.name)})));
            async { got }
        })
        .method("VolumeDriver.List", move |_: Empty| {
            let listed = list.list();
            async { Ok(listed) }
        })
}
