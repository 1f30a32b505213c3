//! Where the provider is: a program, one of a directory of many, or a process that runs
//! already.

pub mod address;
pub mod plugin_dir;
pub mod version;

use std::env;
use std::path::Path;
use std::path::PathBuf;

use trunkline::goplugin::Reattach;
use trunkline::goplugin::ReattachError;

pub use address::ProviderAddress;

use crate::options::SourceOptions;

/// Where Terraform, too, looks for providers that run already.
const REATTACH_VARIABLE: &str = "TF_REATTACH_PROVIDERS";

/// The version of Terraform's plugin protocol of a provider that does not say.
const UNSAID_VERSION: u32 = 5;

/// A provider that is about to be launched or connected to.
#[derive(Debug)]
pub struct Located {
    pub address: ProviderAddress,
    pub source: Source,
}

#[derive(Debug)]
pub enum Source {
    Program(PathBuf),
    Running(Reattach),
}

/// Why it is not clear which provider is meant.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error(
        "no provider is named: give --provider PATH, or --plugin-dir DIR with --address, or \
         --reattach JSON (or TF_REATTACH_PROVIDERS)"
    )]
    Nothing,

    #[error("--plugin-dir needs --address, such as --address hashicorp/random")]
    NoAddress,

    #[error(transparent)]
    Directory(Box<plugin_dir::FindError>),

    #[error("{origin} cannot be used")]
    Reattach { origin: &'static str, source: ReattachError },

    #[error("{origin} has no {wanted}; it has: {there}")]
    NotRunning { origin: &'static str, wanted: String, there: String },

    #[error("{origin} has several providers: pick one with --address; it has: {there}")]
    Several { origin: &'static str, there: String },
}

impl LocateError {
    /// Whether the command line is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Nothing | Self::NoAddress)
    }
}

/// Finds the provider. One that runs already goes before those of a directory, as in
/// Terraform; a program that is named goes before all.
pub fn locate(options: &SourceOptions) -> Result<Located, LocateError> {
    let variable = env::var(REATTACH_VARIABLE).ok();
    locate_with(options, variable.filter(|json| !json.is_empty()).as_deref())
}

fn locate_with(options: &SourceOptions, variable: Option<&str>) -> Result<Located, LocateError> {
    if let Some(program) = &options.provider {
        let address = options.address.clone().unwrap_or_else(|| guess(program));
        // A path is meant, also where it is but a name: no program of the PATH.
        let program = std::path::absolute(program).unwrap_or_else(|_| program.clone());
        return Ok(Located { address, source: Source::Program(program) });
    }
    if let Some(json) = &options.reattach {
        return running("--reattach", json, options, true)?.ok_or(LocateError::Nothing);
    }
    if let Some(json) = variable {
        let is_last_resort = options.plugin_dir.is_none();
        if let Some(found) = running(REATTACH_VARIABLE, json, options, is_last_resort)? {
            return Ok(found);
        }
    }
    let directory = options.plugin_dir.as_deref().ok_or(LocateError::Nothing)?;
    let wanted = options.address.as_ref().ok_or(LocateError::NoAddress)?;
    let platform = options.platform.clone().unwrap_or_else(plugin_dir::this_platform);
    let found = plugin_dir::find(directory, wanted, options.version.as_ref(), &platform)
        .map_err(|error| LocateError::Directory(Box::new(error)))?;
    tracing::info!(address = %found.address, version = %found.version, "picked a provider");
    Ok(Located { address: found.address, source: Source::Program(found.program) })
}

/// The provider of a reattach configuration: the one of the address, or the only one. `None`
/// if it is not there and need not be.
fn running(
    origin: &'static str,
    json: &str,
    options: &SourceOptions,
    is_needed: bool,
) -> Result<Option<Located>, LocateError> {
    let all =
        Reattach::parse_all(json).map_err(|source| LocateError::Reattach { origin, source })?;
    let there = || all.keys().cloned().collect::<Vec<_>>().join(", ");
    let entry = match &options.address {
        Some(wanted) => {
            let is_it = |name: &str| {
                let address = name.parse::<ProviderAddress>();
                address.is_ok_and(|address| match wanted.named_host() {
                    Some(host) => address.host() == host && address.is_like(wanted),
                    None => address.is_like(wanted),
                })
            };
            let found = all.iter().find(|(name, _)| is_it(name));
            if found.is_none() && is_needed {
                let wanted = wanted.to_string();
                return Err(LocateError::NotRunning { origin, wanted, there: there() });
            }
            found
        }
        None if all.len() > 1 => return Err(LocateError::Several { origin, there: there() }),
        None => all.iter().next(),
    };
    let Some((name, reattach)) = entry else { return Ok(None) };
    let address = name.parse().unwrap_or_else(|_| guess(Path::new(name)));
    let reattach = with_version(reattach, options.protocol)
        .map_err(|source| LocateError::Reattach { origin, source })?;
    Ok(Some(Located { address, source: Source::Running(reattach) }))
}

/// Before there was version 6 of the protocol, providers did not say which they speak.
fn with_version(reattach: &Reattach, wanted: Option<u32>) -> Result<Reattach, ReattachError> {
    if reattach.protocol_version() != 0 {
        return Ok(reattach.clone());
    }
    let version = wanted.unwrap_or(UNSAID_VERSION);
    let (network, address) = (reattach.network(), reattach.address());
    let said = Reattach::new(version, network, &address, reattach.pid())?;
    Ok(said.test(reattach.is_test()))
}

/// The address of a program, from its path: that of a directory of providers says all of
/// it, the customary name `terraform-provider-NAME_v1.2.3` says the name.
fn guess(program: &Path) -> ProviderAddress {
    let file = program.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
    let named = file.strip_prefix("terraform-provider-").unwrap_or(file);
    let name = named.split('_').next().unwrap_or_default();
    let folders = program.ancestors().filter_map(|folder| folder.file_name()?.to_str());
    // The file, the platform, the version, and then the address.
    if let [folder, namespace, host] = folders.skip(3).take(3).collect::<Vec<_>>()[..]
        && folder == name
        && host.contains('.')
        && let Ok(address) = ProviderAddress::new(host, namespace, folder)
    {
        return address;
    }
    name.parse().unwrap_or_else(|_| ProviderAddress::unnamed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SourceOptions {
        SourceOptions {
            provider: None,
            plugin_dir: None,
            address: None,
            version: None,
            platform: None,
            reattach: None,
            protocol: None,
            no_mtls: false,
            store: None,
            no_native: false,
        }
    }

    fn entry(pid: u32) -> String {
        format!(
            r#"{{"Protocol":"grpc","ProtocolVersion":5,"Pid":{pid},"Test":true,"Addr":{{"Network":"unix","String":"/tmp/a"}}}}"#
        )
    }

    #[test]
    fn a_path_tells_the_address() {
        let guessed = |path: &str| guess(Path::new(path)).to_string();
        assert_eq!(guessed("./terraform-provider-time"), "registry.terraform.io/hashicorp/time");
        assert_eq!(guessed("terraform-provider-a_v1.0.0_x5"), "registry.terraform.io/hashicorp/a");
        let cached = "/c/example.org/acme/a/1.0.0/linux_amd64/terraform-provider-a_v1.0.0";
        assert_eq!(guessed(cached), "example.org/acme/a");
        assert_eq!(guessed("/"), "registry.terraform.io/hashicorp/provider");
    }

    #[test]
    fn the_only_running_provider_needs_no_address_and_several_do() {
        let one = format!(r#"{{"registry.terraform.io/acme/a": {}}}"#, entry(1));
        let found = running("--reattach", &one, &options(), true).unwrap().unwrap();
        assert_eq!(found.address.to_string(), "registry.terraform.io/acme/a");
        let two = format!(r#"{{"acme/a": {}, "acme/b": {}}}"#, entry(1), entry(2));
        let several = running("--reattach", &two, &options(), true);
        assert!(matches!(several, Err(LocateError::Several { .. })));
        let wanted = SourceOptions { address: Some("acme/b".parse().unwrap()), ..options() };
        let found = running("--reattach", &two, &wanted, true).unwrap().unwrap();
        assert!(matches!(found.source, Source::Running(plugin) if plugin.pid() == 2));
    }

    #[test]
    fn a_provider_that_does_not_run_is_missed_only_where_it_is_needed() {
        let one = format!(r#"{{"acme/a": {}}}"#, entry(1));
        let wanted = SourceOptions { address: Some("acme/b".parse().unwrap()), ..options() };
        let missed = running("--reattach", &one, &wanted, true).unwrap_err().to_string();
        assert!(missed.ends_with("acme/b; it has: acme/a"), "{missed}");
        assert!(running("--reattach", &one, &wanted, false).unwrap().is_none());
    }

    #[test]
    fn a_provider_that_does_not_say_its_version_speaks_the_old_one() {
        let version = |json: &str, protocol| {
            let options = SourceOptions { protocol, ..options() };
            let found = running("--reattach", json, &options, true).unwrap().unwrap();
            match found.source {
                Source::Running(plugin) => (plugin.protocol_version(), plugin.is_test()),
                Source::Program(_) => unreachable!("it runs"),
            }
        };
        let said = format!(r#"{{"a": {}}}"#, entry(1));
        let unsaid = said.replace(r#""ProtocolVersion":5,"#, "");
        assert_eq!(version(&unsaid, None), (5, true));
        assert_eq!(version(&unsaid, Some(6)), (6, true));
        assert_eq!(version(&said, Some(6)), (5, true));
    }

    #[test]
    fn a_directory_needs_an_address() {
        let options = SourceOptions { plugin_dir: Some("/nonexistent".into()), ..options() };
        assert!(matches!(locate_with(&options, None), Err(LocateError::NoAddress)));
    }

    #[test]
    fn a_named_program_goes_before_one_that_runs_and_that_before_a_directory() {
        let variable = format!(r#"{{"acme/a": {}}}"#, entry(1));
        let program = SourceOptions { provider: Some("/p".into()), ..options() };
        let found = locate_with(&program, Some(&variable)).unwrap();
        assert!(matches!(found.source, Source::Program(_)));
        let wanted = |address: &str| SourceOptions {
            plugin_dir: Some("/nonexistent".into()),
            address: Some(address.parse().unwrap()),
            ..options()
        };
        let found = locate_with(&wanted("acme/a"), Some(&variable)).unwrap();
        assert!(matches!(found.source, Source::Running(_)));
        let missed = locate_with(&wanted("acme/b"), Some(&variable));
        assert!(matches!(missed, Err(LocateError::Directory(_))));
        assert!(matches!(locate_with(&options(), None), Err(LocateError::Nothing)));
    }
}
