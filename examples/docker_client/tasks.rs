//! What the commands do.

use std::error::Error;
use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use thiserror::Error;
use trunkline::docker::{Client, Empty, Plugin, Registry};

use crate::messages::{
    Capable, Create, Got, Listed, Mounted, Named, Use, VOLUME_DRIVER, Volume as Known,
};
use crate::shown::{fields, plain, plain_json};
use crate::{Mount, Options, Task, Volume};

type Done = Result<(), Box<dyn Error>>;

pub async fn run(registry: &Registry, options: &Options) -> Done {
    let driver = async |plugin: &str| -> Result<Driver, Box<dyn Error>> {
        let plugin = registry.get(plugin, VOLUME_DRIVER).await?;
        Ok(Driver { client: plugin.client().clone(), json: options.json })
    };
    match &options.task {
        Task::Plugins => plugins(registry, options.json).await,
        Task::Activate { plugin } => {
            let loaded = registry.load(plugin).await?;
            show(options.json, &described(&loaded), || {
                let interfaces = loaded.interfaces().iter();
                interfaces.map(|name| plain(name)).collect::<Vec<_>>().join("\n")
            })
        }
        Task::Create { volume: Volume { plugin, volume }, opts } => {
            let opts = opts.iter().cloned().collect();
            let create = Create { name: volume.clone(), opts: Some(opts) };
            driver(plugin).await?.ask("Create", &create, |_: Empty| String::new()).await
        }
        Task::Inspect(volume) => {
            let driver = driver(&volume.plugin).await?;
            let got: Got = driver.call("Get", &volume.named()).await?;
            let known = got.volume.ok_or(Lacking { method: "Get", what: "volume" })?;
            show(options.json, &known, || inspected(&known))
        }
        Task::List { plugin } => {
            driver(plugin).await?.ask("List", &Empty {}, |all: Listed| listed(&all)).await
        }
        Task::Mount(Mount { volume, id }) => {
            let driver = driver(&volume.plugin).await?;
            let at: Mounted = driver.call("Mount", &volume.used_by(id)).await?;
            if at.mountpoint.is_empty() {
                return Err(Lacking { method: "Mount", what: "mountpoint" }.into());
            }
            show(options.json, &at, || plain(&at.mountpoint))
        }
        Task::Unmount(Mount { volume, id }) => {
            let driver = driver(&volume.plugin).await?;
            driver.ask("Unmount", &volume.used_by(id), |_: Empty| String::new()).await
        }
        Task::Remove(volume) => {
            let driver = driver(&volume.plugin).await?;
            driver.ask("Remove", &volume.named(), |_: Empty| String::new()).await
        }
        Task::Path(volume) => {
            let driver = driver(&volume.plugin).await?;
            // It may be nowhere, if nobody uses it.
            driver.ask("Path", &volume.named(), |at: Mounted| plain(&at.mountpoint)).await
        }
        Task::Capabilities { plugin } => {
            let scope = |capable: Capable| plain(&capable.capabilities.scope);
            driver(plugin).await?.ask("Capabilities", &Empty {}, scope).await
        }
    }
}

impl Volume {
    fn named(&self) -> Named {
        Named { name: self.volume.clone() }
    }

    fn used_by(&self, id: &str) -> Use {
        Use { name: self.volume.clone(), id: id.to_owned() }
    }
}

/// An answer that is no failure, and does not have what it is for.
#[derive(Debug, Error)]
#[error("{VOLUME_DRIVER}.{method}: the plugin answered with no {what}, and no error")]
pub struct Lacking {
    method: &'static str,
    what: &'static str,
}

/// A plugin that makes volumes.
struct Driver {
    client: Client,
    json: bool,
}

impl Driver {
    async fn call<R: DeserializeOwned>(
        &self,
        method: &str,
        args: &impl Serialize,
    ) -> Result<R, Box<dyn Error>> {
        Ok(self.client.call(&format!("{VOLUME_DRIVER}.{method}"), args).await?)
    }

    /// Calls a method, and prints the answer: for people, or as the plugin gave it.
    async fn ask<R: DeserializeOwned>(
        &self,
        method: &str,
        args: &impl Serialize,
        told: impl FnOnce(R) -> String,
    ) -> Done {
        if !self.json {
            let answer = self.call(method, args).await?;
            return show(false, &(), || told(answer));
        }
        let answer: Value = self.call(method, args).await?;
        show(true, &answer, String::new)
    }
}

async fn plugins(registry: &Registry, as_json: bool) -> Done {
    let all = registry.load_all().await?;
    let json: Vec<_> = all
        .iter()
        .map(|(name, loaded)| match loaded {
            Ok(plugin) => described(plugin),
            Err(error) => json!({ "Name": name, "Error": told(error) }),
        })
        .collect();
    let lines = || {
        let line = |(name, loaded): &(String, Result<Plugin, _>)| match loaded {
            Ok(plugin) => {
                let address = plugin.location().address().to_string();
                fields([name, &plugin.interfaces().join(","), &address])
            }
            Err(error) => fields([name, "-", &told(error)]),
        };
        all.iter().map(line).collect::<Vec<_>>().join("\n")
    };
    show(as_json, &json, lines)
}

fn described(plugin: &Plugin) -> Value {
    json!({
        "Name": plugin.name(),
        "Address": plugin.location().address().to_string(),
        "Implements": plugin.interfaces(),
    })
}

/// An error with its causes, on one line.
fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told += &format!(": {error}");
        cause = error.source();
    }
    told
}

fn inspected(volume: &Known) -> String {
    let mut lines = vec![fields(["name", &volume.name])];
    if !volume.mountpoint.is_empty() {
        lines.push(fields(["mountpoint", &volume.mountpoint]));
    }
    if !volume.created_at.is_empty() {
        lines.push(fields(["created", &volume.created_at]));
    }
    if let Some(status) = &volume.status {
        lines.push(format!("status\t{}", plain_json(&status.to_string())));
    }
    lines.join("\n")
}

fn listed(all: &Listed) -> String {
    let volumes = all.volumes.iter().flatten();
    let lines = volumes.map(|volume| fields([&volume.name, &volume.mountpoint]));
    lines.collect::<Vec<_>>().join("\n")
}

/// Prints an answer. One that says nothing prints nothing.
fn show(as_json: bool, json: &impl Serialize, lines: impl FnOnce() -> String) -> Done {
    let text = if as_json { plain_json(&serde_json::to_string(json)?) } else { lines() };
    if text.is_empty() {
        return Ok(());
    }
    match writeln!(io::stdout(), "{text}") {
        // The reader has heard enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}
