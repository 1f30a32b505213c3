//! The real tool, in a folder of its own, with providers from a mirror on disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;

use tempfile::TempDir;

use crate::peers;
use crate::running;
use crate::running::Said;

/// A configuration that the tool works on.
pub struct Tofu {
    folder: TempDir,
    program: PathBuf,
}

impl Tofu {
    /// A folder with this configuration, and a mirror that has these providers, by address
    /// and version. `None` if there is no tool.
    pub fn new(configuration: &str, providers: &[(&str, &str, &Path)]) -> Option<Self> {
        let program = peers::tofu()?;
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("work")).expect("a folder");
        let this = Self { folder, program };
        this.configure(configuration);
        for (address, version, provider) in providers {
            let name = address.rsplit('/').next().expect("an address");
            let folder = this.path("mirror").join(format!("{address}/{version}/{}", platform()));
            fs::create_dir_all(&folder).expect("a folder");
            let file = folder.join(format!("terraform-provider-{name}_v{version}"));
            symlink(provider, file).expect("a link");
        }
        let mirror = this.path("mirror");
        let options = format!(
            "disable_checkpoint = true\n\
             provider_installation {{\n  filesystem_mirror {{\n    path = {mirror:?}\n  }}\n}}\n"
        );
        fs::write(this.path("tofu.rc"), options).expect("there is room");
        Some(this)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the configuration.
    pub fn configure(&self, configuration: &str) {
        fs::write(self.path("work/main.tf"), configuration).expect("there is room");
    }

    /// The tool, about to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("-no-color").current_dir(self.path("work"));
        command.env_clear().env("TF_CLI_CONFIG_FILE", self.path("tofu.rc"));
        command.env("HOME", self.folder.path()).env("PATH", "/usr/bin:/bin");
        command.env("TF_IN_AUTOMATION", "1").env("TF_INPUT", "0").stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Said {
        running::run(self.command(arguments))
    }
}

/// As providers' files are sorted: `linux_amd64`.
pub fn platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{}_{architecture}", std::env::consts::OS)
}
