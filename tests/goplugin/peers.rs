//! Builds the programs in Go: our peers, and go-plugin's own examples.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::support::go;

/// Where our sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/go");

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
    let built = BUILT[version as usize].get_or_init(|| {
        let built = go::in_cache(version.name(), |folder| build(version, folder));
        go::found(&format!("go-plugin {}", version.name()), built)
    });
    built.clone()
}

fn build(version: Version, folder: &Path) -> Result<Peers, String> {
    fs::create_dir_all(folder.join("examples")).map_err(|error| error.to_string())?;
    let (host, plugin) = (folder.join("gohost"), folder.join("goplugin"));
    let peers = Peers { version, host, plugin, folder: folder.to_owned() };
    if !peers.host.exists() {
        go::say(&format!("building the peers of go-plugin {}", version.name()));
    }
    let module_file = format!("-modfile={}", version.module_file());
    // A slash at the end: every program under its own name.
    let output = format!("{}/", peers.folder.display());
    let build = ["build", &module_file, "-tags", version.tags(), "-o", &output];
    go::go(Path::new(SOURCES), &[&build[..], &["./gohost", "./goplugin"]].concat())?;

    let module = go::module(&format!("github.com/hashicorp/go-plugin@v{}", version.name()))?;
    for example in EXAMPLES {
        let output = peers.example(example).display().to_string();
        go::go(&module, &["build", "-o", &output, &format!("./examples/{example}")])?;
    }
    Ok(peers)
}
