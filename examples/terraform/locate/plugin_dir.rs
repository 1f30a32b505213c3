//! A directory of unpacked providers, laid out as a plugin cache or a mirror in the file
//! system is: `HOST/NAMESPACE/NAME/VERSION/OS_ARCH/terraform-provider-NAME…`.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use semver::Version;

use crate::locate::address::DEFAULT_HOST;
use crate::locate::address::ProviderAddress;
use crate::locate::version::Constraints;

/// Where a provider is looked for whose address names no host, before any other.
const PREFERRED_HOSTS: [&str; 2] = [DEFAULT_HOST, "registry.opentofu.org"];

/// A provider that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    pub address: ProviderAddress,
    pub version: Version,
    pub program: PathBuf,
}

/// Why no provider was found. Each says what is there instead.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error("the plugin directory {} cannot be read", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },

    #[error(
        "the plugin directory {} has no provider {wanted}; it has: {there}\n\
         (the layout is HOST/NAMESPACE/NAME/VERSION/OS_ARCH, unpacked)", .path.display()
    )]
    NoProvider { path: PathBuf, wanted: ProviderAddress, there: List },

    #[error("several providers may be meant; give --address in full: {there}")]
    Ambiguous { there: List },

    #[error("of {address} no version is {wanted}; there are: {there}")]
    NoVersion { address: ProviderAddress, wanted: Constraints, there: List },

    #[error("of {address} there is nothing for {platform}; there are: {there}")]
    NoPlatform { address: ProviderAddress, platform: String, there: List },

    #[error(
        "{} does not have one program named terraform-provider-{name}…; it has: {there}",
        .folder.display()
    )]
    NotOneProgram { folder: PathBuf, name: String, there: List },
}

/// Names for a message: not more than a person reads.
#[derive(Debug, PartialEq, Eq)]
pub struct List(Vec<String>);

/// How many names a message has at most.
const MOST_LISTED: usize = 20;

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let shown = &self.0[..self.0.len().min(MOST_LISTED)];
        f.write_str(&shown.join(", "))?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// This machine, as providers are published for it: `linux_amd64`.
pub fn this_platform() -> String {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{system}_{machine}")
}

/// The newest version of a provider that will do, for a platform.
pub fn find(
    directory: &Path,
    wanted: &ProviderAddress,
    constraints: Option<&Constraints>,
    platform: &str,
) -> Result<Found, FindError> {
    let address = resolve(directory, wanted)?;
    let folder = directory.join(address.to_string());
    let mut versions: Vec<Version> =
        folders(&folder)?.iter().filter_map(|name| Version::parse(name).ok()).collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    let there = List(versions.iter().map(Version::to_string).collect());
    let has_release = versions.iter().any(|version| version.pre.is_empty());
    let will_do = |version: &Version| match constraints {
        Some(constraints) => constraints.match_version(version),
        // Nobody gets a pre-release without asking for it, unless there is nothing else.
        None => version.pre.is_empty() || !has_release,
    };
    let matching: Vec<&Version> = versions.iter().filter(|version| will_do(version)).collect();
    if let (Some(constraints), true) = (constraints, matching.is_empty()) {
        return Err(FindError::NoVersion { address, wanted: constraints.clone(), there });
    }
    let mut platforms = Vec::new();
    for version in matching {
        let folder = folder.join(version.to_string());
        let found = folders(&folder)?;
        if found.iter().any(|name| name == platform) {
            let program = program(&folder.join(platform), &address.name)?;
            return Ok(Found { address, version: version.clone(), program });
        }
        platforms.extend(found.iter().map(|name| format!("{version}/{name}")));
    }
    Err(FindError::NoPlatform { address, platform: platform.to_owned(), there: List(platforms) })
}

/// The address with the host under which the directory has it.
fn resolve(directory: &Path, wanted: &ProviderAddress) -> Result<ProviderAddress, FindError> {
    let hosts = folders(directory)?;
    let has = |host: &str| directory.join(wanted.at(host).to_string()).is_dir();
    let wanted_hosts: Vec<&str> = match wanted.named_host() {
        Some(host) => vec![host],
        None => PREFERRED_HOSTS.to_vec(),
    };
    if let Some(host) = wanted_hosts.into_iter().find(|host| has(host)) {
        return Ok(wanted.at(host));
    }
    let others = hosts.iter().filter(|host| wanted.named_host().is_none() && has(host));
    match others.collect::<Vec<_>>()[..] {
        [host] => Ok(wanted.at(host)),
        [] => {
            let there = List(all(directory, &hosts)?);
            let path = directory.to_owned();
            Err(FindError::NoProvider { path, wanted: wanted.clone(), there })
        }
        ref several => {
            let addresses = several.iter().map(|host| wanted.at(host).to_string());
            Err(FindError::Ambiguous { there: List(addresses.collect()) })
        }
    }
}

/// Every provider that the directory has.
fn all(directory: &Path, hosts: &[String]) -> Result<Vec<String>, FindError> {
    let mut found = Vec::new();
    for host in hosts {
        for namespace in folders(&directory.join(host))? {
            let names = folders(&directory.join(host).join(&namespace))?;
            found.extend(names.iter().map(|name| format!("{host}/{namespace}/{name}")));
        }
    }
    Ok(found)
}

fn program(folder: &Path, name: &str) -> Result<PathBuf, FindError> {
    let prefix = format!("terraform-provider-{name}");
    let there = names(folder, |path| path.is_file())?;
    // `terraform-provider-random_v3.6.0_x5`, and not that of a provider `randomly`.
    let is_it = |file: &&String| match file.strip_prefix(&prefix) {
        Some(rest) => rest.is_empty() || rest.starts_with(['_', '.']),
        None => false,
    };
    match there.iter().filter(is_it).collect::<Vec<_>>()[..] {
        [file] => Ok(folder.join(file)),
        _ => Err(FindError::NotOneProgram {
            folder: folder.to_owned(),
            name: name.to_owned(),
            there: List(there),
        }),
    }
}

fn folders(path: &Path) -> Result<Vec<String>, FindError> {
    names(path, |path| path.is_dir())
}

/// What is in a folder, in order. A name that is not UTF-8 is no part of an address.
fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, FindError> {
    let failed = |source| FindError::Unreadable { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Of a link what it leads to: caches link to each other.
        if wanted(&entry.path()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn directory(files: &[&str]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let file = directory.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        directory
    }

    fn found(files: &[&str], address: &str, version: Option<&str>) -> Result<String, FindError> {
        let directory = directory(files);
        let constraints = version.map(|version| version.parse().unwrap());
        let address = address.parse().unwrap();
        let found = find(directory.path(), &address, constraints.as_ref(), "linux_amd64")?;
        let program = found.program.strip_prefix(directory.path()).unwrap();
        Ok(program.display().to_string())
    }

    const RANDOM: [&str; 4] = [
        "registry.terraform.io/hashicorp/random/3.5.1/linux_amd64/terraform-provider-random_v3.5.1",
        "registry.terraform.io/hashicorp/random/3.10.0/linux_amd64/terraform-provider-random_x5",
        "registry.terraform.io/hashicorp/random/3.11.0/darwin_arm64/terraform-provider-random",
        "registry.terraform.io/hashicorp/random/4.0.0-rc1/linux_amd64/terraform-provider-random",
    ];

    #[test]
    fn the_newest_version_for_the_platform_is_picked_by_number() {
        assert_eq!(found(&RANDOM, "hashicorp/random", None).unwrap(), RANDOM[1]);
        assert_eq!(found(&RANDOM, "random", Some("~> 3.5.0")).unwrap(), RANDOM[0]);
        assert_eq!(found(&RANDOM, "random", Some("4.0.0-rc1")).unwrap(), RANDOM[3]);
    }

    #[test]
    fn any_host_will_do_if_none_is_named_and_the_registries_come_first() {
        let example = "example.org/hashicorp/random/1.0.0/linux_amd64/terraform-provider-random";
        assert_eq!(found(&[example], "random", None).unwrap(), example);
        let both = [example, RANDOM[0]];
        assert_eq!(found(&both, "random", None).unwrap(), RANDOM[0]);
        assert_eq!(found(&both, "example.org/hashicorp/random", None).unwrap(), example);
        let two = [example, &example.replace("example", "example2")];
        assert!(matches!(found(&two, "random", None), Err(FindError::Ambiguous { .. })));
    }

    #[test]
    fn an_error_says_what_is_there() {
        let error = found(&RANDOM, "acme/thing", None).unwrap_err().to_string();
        assert!(error.contains("it has: registry.terraform.io/hashicorp/random"), "{error}");
        let error = found(&RANDOM, "random", Some("> 9")).unwrap_err().to_string();
        assert!(error.contains("no version is > 9.0.0; there are: 4.0.0-rc1, 3.11.0"), "{error}");
        let error = found(&RANDOM[2..3], "random", None).unwrap_err().to_string();
        assert!(error.ends_with("for linux_amd64; there are: 3.11.0/darwin_arm64"), "{error}");
    }

    #[test]
    fn a_folder_without_one_program_is_refused() {
        let folder = "registry.terraform.io/hashicorp/a/1.0.0/linux_amd64";
        for file in ["README", "terraform-provider-ab"] {
            let result = found(&[&format!("{folder}/{file}")], "a", None);
            assert!(matches!(result, Err(FindError::NotOneProgram { .. })), "{file}");
        }
        let two = ["terraform-provider-a_v1", "terraform-provider-a_v2"];
        let two = two.map(|file| format!("{folder}/{file}"));
        let result = found(&[&two[0], &two[1]], "a", None);
        assert!(matches!(result, Err(FindError::NotOneProgram { .. })));
    }

    #[test]
    fn a_missing_directory_is_an_error_and_a_long_list_is_cut() {
        let missing = Path::new("/nonexistent");
        let result = find(missing, &"a".parse().unwrap(), None, "linux_amd64");
        assert!(matches!(result, Err(FindError::Unreadable { .. })));
        let list = List((0..25).map(|number| number.to_string()).collect());
        assert!(list.to_string().ends_with("18, 19 and 5 more"));
        assert_eq!(List(Vec::new()).to_string(), "nothing");
    }
}
