//! Our command-line program, in a folder of its own, with one provider.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::peers::Provider;
use crate::programs;
use crate::running;
use crate::running::Said;

/// Where states and configurations are, and which provider is driven.
pub struct Cli {
    folder: TempDir,
    provider: Vec<String>,
}

impl Cli {
    /// Drives a provider that nobody here wrote. `None` if it is not there.
    pub fn new(provider: Provider) -> Option<Self> {
        let program = provider.program()?.display().to_string();
        let address = format!("hashicorp/{}", provider.name());
        Some(Self::with(&["--provider", &program, "--address", &address]))
    }

    /// Drives the provider that these options lead to.
    pub fn with(provider: &[&str]) -> Self {
        let provider = provider.iter().map(|&option| option.to_owned()).collect();
        Self { folder: TempDir::new().expect("a folder"), provider }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: &Value) {
        fs::write(self.path(name), content.to_string()).expect("there is room");
    }

    /// The names of what is in its folder.
    pub fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// A state that was kept.
    pub fn state(&self, name: &str) -> Value {
        let text = fs::read_to_string(self.path(name)).expect("a state");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The program, about to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(programs::terraform());
        command.args(&self.provider).args(arguments);
        self.prepare(&mut command);
        command
    }

    /// Where and in which surroundings it runs.
    fn prepare(&self, command: &mut Command) {
        command.current_dir(self.folder.path());
        for variable in ["TF_REATTACH_PROVIDERS", "TF_DISABLE_PLUGIN_TLS", "RUST_LOG"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Said {
        running::run(self.command(arguments))
    }

    /// Runs it where no file can have anything in it. What goes through pipes and sockets
    /// does not count.
    #[track_caller]
    pub fn run_without_room(&self, arguments: &[&str]) -> Said {
        let program = self.command(arguments);
        let mut command = Command::new("/bin/sh");
        // Without the trap, whoever writes is killed instead of told.
        let script = r#"trap "" XFSZ; ulimit -f 0; exec "$@""#;
        command.args(["-c", script, "sh"]).arg(program.get_program()).args(program.get_args());
        self.prepare(&mut command);
        running::run(command)
    }

    /// What it prints with `--json`, which is one document, whatever comes of it.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let said = self.run(&[&["--json"], arguments].concat());
        let document = serde_json::from_str(&said.stdout);
        (said.code, document.unwrap_or_else(|error| panic!("{error}: {said:#?}")))
    }
}

/// A folder with providers as Terraform's plugin cache has them.
pub fn plugin_dir(providers: &[(&str, &str, &str, &Path)]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (address, version, platform, program) in providers {
        let name = address.rsplit('/').next().expect("an address");
        let place = folder.path().join(address).join(version).join(platform);
        fs::create_dir_all(&place).expect("a folder");
        let link = place.join(format!("terraform-provider-{name}_v{version}_x5"));
        std::os::unix::fs::symlink(program, link).expect("a link");
    }
    folder
}
