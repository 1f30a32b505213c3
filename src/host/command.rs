//! What to launch: a plugin's program, arguments, environment and pin.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::path::PathBuf;

use crate::host::pin::Sha256Pin;

/// Variables with these prefixes tell a process about the host that launched
/// *it*. A host that is itself a plugin must not hand them on.
const OF_NESTED_HOSTS: [&str; 2] = ["TRUNKLINE_", "PLUGIN_"];

/// Which of the host's own environment variables a plugin inherits.
///
/// Whatever the policy, variables named `TRUNKLINE_*` or `PLUGIN_*` are never
/// inherited, and variables set with [`PluginCommand::env`] always win.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Environment {
    /// All of them (the default).
    #[default]
    Inherit,
    /// None: the plugin sees only what [`PluginCommand::env`] sets, and no
    /// `PATH` or `HOME` unless they are among it.
    Clear,
    /// Those with exactly these names.
    Allow(Vec<OsString>),
}

/// What to launch: program, arguments, environment, working directory, pin.
///
/// A description only: nothing is checked before it is launched, no setter
/// fails, and one command can be launched any number of times.
#[derive(Clone, Debug)]
pub struct PluginCommand {
    program: PathBuf,
    args: Vec<OsString>,
    environment: Environment,
    variables: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
    pin: Option<Sha256Pin>,
}

impl PluginCommand {
    /// A plugin whose program is `program`, without arguments, with the host's
    /// environment and working directory, and not pinned.
    ///
    /// A name without a slash is looked up in the host's own `PATH`. A relative
    /// path is relative to the host's working directory, also if the plugin is
    /// given another one. The plugin sees the absolute path as its `argv[0]`.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            environment: Environment::default(),
            variables: BTreeMap::new(),
            directory: None,
            pin: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Says which variables the plugin inherits. The default is all.
    #[must_use]
    pub fn environment(mut self, policy: Environment) -> Self {
        self.environment = policy;
        self
    }

    /// Sets a variable for the plugin. It wins over an inherited one of the
    /// same name, and over an earlier call of this.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    /// Sets the working directory of the plugin. The default is the host's.
    #[must_use]
    pub fn current_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Launches the program only if its bytes have this hash. See [`Sha256Pin`]
    /// for what is promised and where it works.
    #[must_use]
    pub fn pin(mut self, pin: Sha256Pin) -> Self {
        self.pin = Some(pin);
        self
    }

    /// The program as it was named.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    pub(crate) fn arguments(&self) -> &[OsString] {
        &self.args
    }

    pub(crate) fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    pub(crate) fn sha256_pin(&self) -> Option<Sha256Pin> {
        self.pin
    }

    /// The whole environment of the plugin, of a host whose own is `inherited`.
    pub(crate) fn environment_from(
        &self,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> BTreeMap<OsString, OsString> {
        let wanted = |name: &OsString| match &self.environment {
            Environment::Inherit => true,
            Environment::Clear => false,
            Environment::Allow(names) => names.contains(name),
        };
        let kept =
            inherited.into_iter().filter(|(name, _)| wanted(name) && !is_of_a_nested_host(name));
        let mut environment: BTreeMap<_, _> = kept.collect();
        environment.extend(self.variables.clone());
        environment
    }

    /// The absolute path of the program; `None` if a name without a slash is in
    /// no directory of `search_path`, or if there is no working directory.
    ///
    /// Of several programs of that name the first that may be executed is
    /// taken, or else the first, so that the reason can be told.
    pub(crate) fn locate(&self, search_path: Option<&OsStr>) -> Option<PathBuf> {
        if self.program.as_os_str().as_bytes().contains(&b'/') {
            return std::path::absolute(&self.program).ok();
        }
        let directories = std::env::split_paths(search_path?);
        let files: Vec<PathBuf> = directories
            .filter_map(|directory| std::path::absolute(directory.join(&self.program)).ok())
            .filter(|file| file.is_file())
            .collect();
        let executable = files.iter().find(|file| may_execute(file));
        executable.or_else(|| files.first()).cloned()
    }
}

/// Whether this process's user may execute the file.
pub(crate) fn may_execute(file: &Path) -> bool {
    rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

fn is_of_a_nested_host(name: &OsStr) -> bool {
    let name = name.as_bytes();
    OF_NESTED_HOSTS.iter().any(|prefix| name.starts_with(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        let owned = pairs.iter().map(|(name, value)| (name.into(), value.into()));
        owned.collect()
    }

    fn seen(command: &PluginCommand) -> Vec<(OsString, OsString)> {
        let inherited = variables(&[
            ("HOME", "/home/me"),
            ("LANG", "C"),
            ("PLUGIN_CLIENT_CERT", "of our own host"),
            ("TRUNKLINE_RUN", "of our own host"),
        ]);
        command.environment_from(inherited).into_iter().collect()
    }

    #[test]
    fn everything_but_the_variables_of_nested_hosts_is_inherited() {
        let command = PluginCommand::new("/bin/true");
        assert_eq!(seen(&command), variables(&[("HOME", "/home/me"), ("LANG", "C")]));
    }

    #[test]
    fn a_cleared_environment_holds_only_what_was_set() {
        let command = PluginCommand::new("/bin/true").environment(Environment::Clear).env("A", "1");
        assert_eq!(seen(&command), variables(&[("A", "1")]));
    }

    #[test]
    fn an_allow_list_cannot_let_the_variables_of_nested_hosts_through() {
        let allowed = vec!["LANG".into(), "TRUNKLINE_RUN".into(), "MISSING".into()];
        let command = PluginCommand::new("/bin/true").environment(Environment::Allow(allowed));
        assert_eq!(seen(&command), variables(&[("LANG", "C")]));
    }

    #[test]
    fn what_is_set_wins_over_what_is_inherited() {
        let command = PluginCommand::new("/bin/true")
            .env("LANG", "fr")
            .env("LANG", "de")
            .env("PLUGIN_COLOUR", "set on purpose");
        let expected = [("HOME", "/home/me"), ("LANG", "de"), ("PLUGIN_COLOUR", "set on purpose")];
        assert_eq!(seen(&command), variables(&expected));
    }

    #[test]
    fn a_bare_name_is_searched_and_a_path_is_not() {
        let search = Some(OsStr::new("/nonexistent:/bin"));
        let bare = PluginCommand::new("sh").locate(search);
        assert_eq!(bare, Some(PathBuf::from("/bin/sh")));
        assert_eq!(PluginCommand::new("sh").locate(Some(OsStr::new("/nonexistent"))), None);
        let path = PluginCommand::new("/nonexistent/sh").locate(search);
        assert_eq!(path, Some(PathBuf::from("/nonexistent/sh")));
    }

    #[test]
    fn a_relative_path_is_relative_to_the_host() {
        let located = PluginCommand::new("./plugin").locate(None);
        let here = std::env::current_dir().unwrap();
        assert_eq!(located, Some(here.join("plugin")));
    }

    #[test]
    fn an_empty_name_is_found_nowhere() {
        assert_eq!(PluginCommand::new("").locate(Some(OsStr::new("/bin"))), None);
    }
}
