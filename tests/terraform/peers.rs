//! Real providers and the real tool, built from the Go module registry.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::go;

/// A program that is built from a module.
struct Source {
    name: &'static str,
    module: &'static str,
    version: &'static str,
    package: &'static str,
    /// Built to speak version 6 of the protocol instead of 5, which its framework can and its
    /// `main.go` has one line for.
    speaks_6: bool,
}

/// A provider that nobody here wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Of 2019, when providers were built on Terraform itself.
    Null,
    /// Of 2019, on the first plugin SDK.
    Local,
    /// Of 2023, on the plugin framework, protocol 5.
    Random,
    /// The same, protocol 6.
    Random6,
    /// The newest plugin framework, protocol 5; it has functions.
    Time,
    /// The same, protocol 6.
    Time6,
    /// Of the tool's own test suite, protocol 6, on its own server code.
    Simple6,
}

const OPENTOFU: (&str, &str) = ("github.com/opentofu/opentofu", "v1.12.6");
const TIME: (&str, &str) = ("github.com/hashicorp/terraform-provider-time", "v0.14.2");
const RANDOM: (&str, &str) = (
    "github.com/terraform-providers/terraform-provider-random",
    "v1.3.2-0.20231204135814-c6e90de46687",
);

impl Provider {
    fn source(self) -> Source {
        let (name, (module, version), package, speaks_6) = match self {
            Self::Null => {
                let module = "github.com/terraform-providers/terraform-provider-null";
                ("null", (module, "v1.0.1-0.20190430203517-8d3d85a60e20"), ".", false)
            }
            Self::Local => {
                ("local", ("github.com/hashicorp/terraform-provider-local", "v1.4.0"), ".", false)
            }
            Self::Random => ("random", RANDOM, ".", false),
            Self::Random6 => ("random6", RANDOM, ".", true),
            Self::Time => ("time", TIME, ".", false),
            Self::Time6 => ("time6", TIME, ".", true),
            Self::Simple6 => ("simple", OPENTOFU, "./internal/provider-simple-v6/main", false),
        };
        Source { name, module, version, package, speaks_6 }
    }

    /// The type in its address, as `random` in `hashicorp/random`.
    pub fn name(self) -> &'static str {
        self.source().name.trim_end_matches('6')
    }

    /// The version of the protocol that it speaks.
    pub fn protocol(self) -> u32 {
        match self {
            Self::Null | Self::Local | Self::Random | Self::Time => 5,
            Self::Random6 | Self::Time6 | Self::Simple6 => 6,
        }
    }

    /// Its program, built at first use; or none, and a line that says so.
    pub fn program(self) -> Option<PathBuf> {
        static BUILT: [OnceLock<Option<PathBuf>>; 7] = [const { OnceLock::new() }; 7];
        built(&BUILT[self as usize], &self.source())
    }
}

/// The real tool, OpenTofu; or none, and a line that says so.
pub fn tofu() -> Option<PathBuf> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let (module, version) = OPENTOFU;
    let package = "./cmd/tofu";
    built(&BUILT, &Source { name: "tofu", module, version, package, speaks_6: false })
}

fn built(cell: &OnceLock<Option<PathBuf>>, source: &Source) -> Option<PathBuf> {
    let Source { name, version, .. } = source;
    let build = || {
        let built = go::in_cache("terraform", |folder| build(source, folder));
        go::found(&format!("{name} {version}"), built)
    };
    cell.get_or_init(build).clone()
}

/// A build takes from seconds to minutes, so what is there is not built again.
fn build(source: &Source, cache: &Path) -> Result<PathBuf, String> {
    let Source { name, version, package, .. } = source;
    let program = cache.join(format!("{name}-{version}"));
    if program.exists() {
        return Ok(program);
    }
    go::say(&format!("building {name} {version}"));
    let mut module = go::module(&format!("{}@{version}", source.module))?;
    if source.speaks_6 {
        module = speaking_6(&module, &cache.join(format!("{name}.sources")))?;
    }
    let aside = cache.join(format!("{name}.new"));
    let output = aside.display().to_string();
    // Some modules lack the checksums of what only their tests need.
    go::go(&module, &["build", "-mod=mod", "-trimpath", "-o", &output, package])?;
    fs::rename(&aside, &program).map_err(|error| error.to_string())?;
    Ok(program)
}

/// A copy of the module's sources in which the one line says version 6.
fn speaking_6(module: &Path, copy: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| error.to_string();
    let _ = fs::remove_dir_all(copy);
    // The module's own files may not be written.
    let mut command = Command::new("cp");
    let status = command.args(["-R", "--no-preserve=mode"]).args([module, copy]).status();
    if !status.map_err(failed)?.success() {
        return Err(format!("{} cannot be copied", module.display()));
    }
    let main = copy.join("main.go");
    let text = fs::read_to_string(&main).map_err(failed)?;
    let changed = text.replace("ProtocolVersion: 5", "ProtocolVersion: 6");
    if changed == text {
        return Err("the provider does not say its version of the protocol".to_owned());
    }
    fs::write(&main, changed).map_err(failed)?;
    Ok(copy.to_owned())
}
