//! Builds the programs in Go: our peers, and go-plugin's own examples.

use std::env;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where our sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/go");

/// Where what is built goes. Version control ignores it.
const CACHE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/cache");

/// The versions of go-plugin that are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The oldest whose plugins can call back under AutoMTLS. With a grpc-go of its
    /// time.
    V1_4_4,
    /// Early multiplexing, on a yamux before the present one.
    V1_6_3,
    /// The newest, with the newest grpc-go.
    V1_8_0,
}

impl Version {
    pub const ALL: [Self; 3] = [Self::V1_4_4, Self::V1_6_3, Self::V1_8_0];

    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_4_4 => "1.4.4",
            Self::V1_6_3 => "1.6.3",
            Self::V1_8_0 => "1.8.0",
        }
    }

    /// Whether it has GRPCBrokerMultiplex.
    pub const fn multiplexes(self) -> bool {
        !matches!(self, Self::V1_4_4)
    }

    fn module_file(self) -> &'static str {
        match self {
            Self::V1_4_4 => "v1.4.4.mod",
            Self::V1_6_3 => "v1.6.3.mod",
            Self::V1_8_0 => "go.mod",
        }
    }

    fn tags(self) -> &'static str {
        if self.multiplexes() { "" } else { "nomux" }
    }
}

/// The programs of one version.
#[derive(Clone, Debug)]
pub struct Peers {
    version: Version,
    pub host: PathBuf,
    pub plugin: PathBuf,
    folder: PathBuf,
}

impl Peers {
    /// Whether they have GRPCBrokerMultiplex.
    pub fn multiplexes(&self) -> bool {
        self.version.multiplexes()
    }

    /// One of go-plugin's published examples, by its folder there.
    pub fn example(&self, folder: &str) -> PathBuf {
        self.folder.join("examples").join(folder.replace('/', "-"))
    }
}

/// Examples, as they stand in the module.
const EXAMPLES: [&str; 7] = [
    "grpc",
    "grpc/plugin-go-grpc",
    "grpc/plugin-go-netrpc",
    "bidirectional",
    "bidirectional/plugin-go-grpc",
    "negotiated",
    "negotiated/plugin-go",
];

/// The programs of a version, built at first use; or none, and a line that says so.
pub fn peers(version: Version) -> Option<Peers> {
    static BUILT: [OnceLock<Option<Peers>>; 3] = [const { OnceLock::new() }; 3];
    let built = &BUILT[version as usize];
    built.get_or_init(|| found(version, build(version))).clone()
}

fn found(version: Version, built: Result<Peers, String>) -> Option<Peers> {
    match built {
        Ok(peers) => Some(peers),
        Err(why) if env::var_os("TRUNKLINE_REQUIRE_PEERS").is_some_and(|value| value == "1") => {
            panic!("no peers of go-plugin {}: {why}", version.name())
        }
        Err(why) => {
            say(&format!("skipped: what needs go-plugin {}: {why}", version.name()));
            None
        }
    }
}

/// The cache is for one process at a time.
fn build(version: Version) -> Result<Peers, String> {
    let folder = Path::new(CACHE).join(version.name());
    fs::create_dir_all(folder.join("examples")).map_err(|error| error.to_string())?;
    let lock = File::create(Path::new(CACHE).join("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;

    let (host, plugin) = (folder.join("gohost"), folder.join("goplugin"));
    let peers = Peers { version, host, plugin, folder };
    if !peers.host.exists() {
        say(&format!("building the peers of go-plugin {}", version.name()));
    }
    let module_file = format!("-modfile={}", version.module_file());
    // A slash at the end: every program under its own name.
    let output = format!("{}/", peers.folder.display());
    let build = ["build", &module_file, "-tags", version.tags(), "-o", &output];
    go(Path::new(SOURCES), &[&build[..], &["./gohost", "./goplugin"]].concat())?;

    let download = ["mod", "download", "-json"];
    let module = format!("github.com/hashicorp/go-plugin@v{}", version.name());
    let said = go(Path::new(SOURCES), &[&download[..], &[&module]].concat())?;
    let said: serde_json::Value = serde_json::from_str(&said).map_err(|error| error.to_string())?;
    let module = PathBuf::from(said["Dir"].as_str().ok_or("the module has no folder")?);
    for example in EXAMPLES {
        let output = peers.example(example).display().to_string();
        go(&module, &["build", "-o", &output, &format!("./examples/{example}")])?;
    }
    Ok(peers)
}

fn go(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("go").args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| format!("`go` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`go {}` failed:\n{}", arguments.join(" "), said.trim()))
}

/// Not with `eprintln!`, which a test that passes keeps to itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
