//! Where plugins are looked for.

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// Where plugins have their sockets.
pub(in crate::docker) const SOCKETS: &str = "/run/docker/plugins";

/// Where the system's administrator, and its packages, have spec files.
const SPECS: [&str; 2] = ["/etc/docker/plugins", "/usr/lib/docker/plugins"];

/// The variable that RootlessKit sets, under which a rootless daemon runs.
const ROOTLESS: &str = "ROOTLESSKIT_STATE_DIR";

/// Where plugins are looked for: one directory of sockets, and those of spec files in their
/// order.
///
/// A plugin of the name `x` is, in this order, `x.sock` or `x/x.sock` in the directory of
/// sockets; then `x.spec`, `x/x.spec`, `x.json` or `x/x.json` in each directory of spec
/// files. The first that is there wins, also if it is then found to be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    pub(super) sockets: PathBuf,
    pub(super) specs: Vec<PathBuf>,
}

impl Directories {
    /// These directories. They need not be there.
    pub fn new<P: Into<PathBuf>>(
        sockets: impl Into<PathBuf>,
        specs: impl IntoIterator<Item = P>,
    ) -> Self {
        Self { sockets: sockets.into(), specs: specs.into_iter().map(Into::into).collect() }
    }

    /// Docker's: sockets in `/run/docker/plugins`, spec files in `/etc/docker/plugins` and
    /// `/usr/lib/docker/plugins`.
    ///
    /// Where the daemon runs without root (`ROOTLESSKIT_STATE_DIR` is set), spec files are
    /// in `docker/plugins` below `$XDG_CONFIG_HOME` (or `~/.config`), and in
    /// `~/.local/lib/docker/plugins`. Docker's code means the first of these, and looks into
    /// `/etc/docker/plugins` by mistake. Without a home they are the system's.
    #[must_use]
    pub fn system() -> Self {
        Self::of(|variable| std::env::var_os(variable))
    }

    /// The same, with these variables.
    pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let system = Self::new(SOCKETS, SPECS);
        let set = |name| variable(name).filter(|value| !value.is_empty());
        if set(ROOTLESS).is_none() {
            return system;
        }
        // As the XDG specification wants it, a relative path is no path.
        let folder = |name| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = folder("HOME");
        let config = folder("XDG_CONFIG_HOME")
            .or_else(|| home.as_ref().map(|home| home.join(".config")))
            .map(|config| config.join("docker/plugins"));
        let library = home.map(|home| home.join(".local/lib/docker/plugins"));
        let [etc, lib] = SPECS.map(PathBuf::from);
        Self { specs: vec![config.unwrap_or(etc), library.unwrap_or(lib)], ..system }
    }

    /// The directory of sockets.
    #[must_use]
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// The directories of spec files, in their order.
    #[must_use]
    pub fn specs(&self) -> &[PathBuf] {
        &self.specs
    }
}

impl Default for Directories {
    fn default() -> Self {
        Self::system()
    }
}
