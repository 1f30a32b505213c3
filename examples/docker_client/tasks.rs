//! What the commands do.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use trunkline::docker::{Client, Empty, Plugin, Registry};

use crate::messages::{
    Capable, Create, Got, Listed, Mounted, Named, Use, VOLUME_DRIVER, Volume as Known,
};
use crate::{Mount, Options, Task, Volume};

type Done = Result<(), Box<dyn Error>>;

pub async fn run(registry: &Registry, options: &Options) -> Done {
    let driver = async |plugin: &str| -> Result<Driver, Box<dyn Error>> {
        let plugin = registry.get(plugin, VOLUME_DRIVER).await?;
        let timeout = Duration::from_secs_f64(options.timeout);
        Ok(Driver { client: plugin.client().clone().with_timeout(timeout), json: options.json })
    };
    match &options.task {
        Task::Plugins => plugins(registry, options.json).await,
        Task::Activate { plugin } => {
            let loaded = registry.load(plugin).await?;
            show(options.json, &described(&loaded), || loaded.interfaces().join("\n"))
        }
        Task::Create { volume: Volume { plugin, volume }, opts } => {
            let opts = opts.iter().cloned().collect();
            let create = Create { name: volume.clone(), opts: Some(opts) };
            driver(plugin).await?.ask("Create", &create, |_: Empty| String::new()).await
        }
        Task::Inspect(volume) => {
            let driver = driver(&volume.plugin).await?;
            let got: Got = driver.call("Get", &volume.named()).await?;
            let known = got.volume.ok_or("the plugin answered with no volume, and no error")?;
            show(options.json, &known, || inspected(&known))
        }
        Task::List { plugin } => {
            driver(plugin).await?.ask("List", &Empty {}, |all: Listed| listed(&all)).await
        }
        Task::Mount(Mount { volume, id }) => {
            let driver = driver(&volume.plugin).await?;
            driver.ask("Mount", &volume.used_by(id), |at: Mounted| at.mountpoint).await
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
            driver.ask("Path", &volume.named(), |at: Mounted| at.mountpoint).await
        }
        Task::Capabilities { plugin } => {
            let scope = |capable: Capable| capable.capabilities.scope;
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
                format!(
                    "{name}\t{}\t{}",
                    plugin.interfaces().join(","),
                    plugin.location().address()
                )
            }
            Err(error) => format!("{name}\t-\t{}", told(error)),
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
    let mut lines = vec![format!("name\t{}", volume.name)];
    if !volume.mountpoint.is_empty() {
        lines.push(format!("mountpoint\t{}", volume.mountpoint));
    }
    if !volume.created_at.is_empty() {
        lines.push(format!("created\t{}", volume.created_at));
    }
    if let Some(status) = &volume.status {
        lines.push(format!("status\t{status}"));
    }
    lines.join("\n")
}

fn listed(all: &Listed) -> String {
    let volumes = all.volumes.iter().flatten();
    let lines = volumes.map(|volume| format!("{}\t{}", volume.name, volume.mountpoint));
    lines.collect::<Vec<_>>().join("\n")
}

/// Prints an answer. One that says nothing prints nothing.
fn show(as_json: bool, json: &impl Serialize, lines: impl FnOnce() -> String) -> Done {
    let text = if as_json { serde_json::to_string(json)? } else { lines() };
    if !text.is_empty() {
        // A reader that has heard enough is no reason to panic.
        writeln!(io::stdout(), "{text}")?;
    }
    Ok(())
}
