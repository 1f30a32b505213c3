//! The command line.

use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::config::STDIN;
use crate::locate::ProviderAddress;
use crate::locate::version::Constraints;

const AFTER_HELP: &str = "\
Examples:
  terraform --provider ./terraform-provider-random schema resource random_string
  terraform --plugin-dir ~/.terraform.d/plugin-cache --address hashicorp/random \\
      --provider-version '~> 3.5' plan random_string.mine --set length=8
  terraform --provider ./terraform-provider-local apply local_file --config file.json --state file.state
  terraform --provider ./terraform-provider-time call rfc3339_parse 2023-07-25T23:43:16Z

Configurations:
  An object of JSON with the attributes by name. A block is an object, or a list of objects, or
  an object of objects by label, as its schema says. Values are converted as in Terraform (\"5\" is
  a number where one is wanted); there are no expressions. A number of more than 15 digits is
  best written as a string, which keeps all of them.

States:
  A file of one resource, in JSON, which only its owner can read: sensitive values stand in it
  in the clear. It is replaced as a whole, or stays as it was. What came of a change is written
  also if the change failed; if that cannot be written it is printed, once, with everything in
  it: to standard output, or to standard error if that takes nothing.
  All commands but plan, which only looks, lock it for as long as they run: a second one on the
  same state ends with an error at once. The lock is FILE.lock, which is removed at the end; one
  that a killed run has left is no hindrance.

Output:
  Results go to standard output, diagnostics to standard error. Attributes that the schema calls
  sensitive are shown as `(sensitive value)`, what is not known yet as `(known after apply)`.
  With --json standard output is one object, in which sensitive and unknown values are null:
    provider            always: address, protocol, and how it is talked to (dialect)
    diagnostics         always: severity, summary, detail, and address and attribute if known
    provider_schemas    schema, as of `terraform providers schema -json`
    schema              schema of one thing, from the same
    valid               validate
    resource_change     plan, apply, destroy: as in `terraform show -json`; null: nothing is there
    deferred            plan: why the provider has put it off, if it has
    added, changed, destroyed   apply, destroy, if it went well
    exists, changed     read: whether it is still there, whether it is as it was kept
    values, sensitive_values    read, import, data
    known_after_apply   data: true if its configuration is not known yet
    result, known       call
    unsaved_state       the state, if it could not be written

Exit codes:
  0    it went well, with or without changes
  1    a diagnostic is an error, or the output could not be written
  2    the command line is wrong
  130  interrupted by Ctrl-C (143: by SIGTERM, 129: by SIGHUP). The first has the provider stop, waits for the
       call that runs and keeps what came of it; the second kills the provider

Environment:
  RUST_LOG                what is logged to standard error [default: warn]; trunkline::plugin=debug
                          is the provider's own log, trunkline::plugin::stderr its other output
  TF_LOG                  how much the provider logs [default: what RUST_LOG shows]
  TF_REATTACH_PROVIDERS   providers that run already, see --reattach
  TF_DISABLE_PLUGIN_TLS   if it is set, as --no-mtls
  NO_COLOR                if it is set, no colours on a terminal";

/// Drives one Terraform provider: prints its schemas, validates configurations, plans,
/// applies, reads, imports and destroys a resource, reads a data source, calls a function.
#[derive(Debug, Parser)]
#[command(name = "terraform", after_long_help = AFTER_HELP)]
pub struct Options {
    #[command(flatten)]
    pub source: SourceOptions,

    #[command(flatten)]
    pub shared: SharedOptions,

    #[command(subcommand)]
    pub command: Command,
}

/// Which provider, and how it is talked to.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "The provider")]
pub struct SourceOptions {
    /// The provider's program
    #[arg(long, global = true, value_name = "PATH")]
    pub provider: Option<PathBuf>,

    /// A directory of unpacked providers, HOST/NAMESPACE/NAME/VERSION/OS_ARCH, from which one
    /// is picked by --address, --provider-version and --platform
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "provider")]
    pub plugin_dir: Option<PathBuf>,

    /// The provider's address, [HOST/][NAMESPACE/]NAME: picks from --plugin-dir and --reattach,
    /// and names the provider in messages and states
    #[arg(long, global = true)]
    pub address: Option<ProviderAddress>,

    /// Which versions of --plugin-dir will do: "~> 3.5", ">= 3.1, < 4.0", or exactly "3.6.0"
    /// [default: the newest]
    #[arg(long = "provider-version", visible_alias = "version", global = true)]
    #[arg(value_name = "CONSTRAINT")]
    pub version: Option<Constraints>,

    /// The platform to pick from --plugin-dir [default: this machine's]
    #[arg(long, global = true, value_name = "OS_ARCH")]
    pub platform: Option<String>,

    /// Connect to a provider that runs already: the JSON that it has printed in debug mode.
    /// Without it, and without --provider, TF_REATTACH_PROVIDERS is looked at
    #[arg(long, global = true, value_name = "JSON", conflicts_with = "provider")]
    pub reattach: Option<String>,

    /// Speak only this version of Terraform's plugin protocol [default: either]
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(5..=6))]
    pub protocol: Option<u32>,

    /// Talk to the provider without TLS, as with TF_DISABLE_PLUGIN_TLS
    #[arg(long, global = true)]
    pub no_mtls: bool,

    /// A file in which a provider that is built on Trunkline may keep something between runs;
    /// it is made if it is not there [default: none]
    #[arg(long, global = true, value_name = "FILE")]
    pub store: Option<PathBuf>,

    /// Speak go-plugin's wire even with a provider that knows Trunkline's own
    #[arg(long, global = true)]
    pub no_native: bool,
}

#[derive(Args, Clone, Debug)]
pub struct SharedOptions {
    /// The provider's own configuration: a file of JSON, or `-` for standard input
    /// [default: an empty one]
    #[arg(long, global = true, value_name = "FILE")]
    pub provider_config: Option<PathBuf>,

    /// Print one JSON document, diagnostics included, instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Prints what the provider has, or the schema of one thing
    Schema {
        #[command(subcommand)]
        of: Option<SchemaOf>,
    },
    /// Lets the provider validate a configuration
    Validate {
        #[command(subcommand)]
        what: ValidateOptions,
    },
    /// Shows what would have to be done to get from a state to a configuration
    Plan {
        /// The resource: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        #[command(flatten)]
        config: ConfigOptions,
        /// The present state; none is there if the file does not exist
        #[arg(long, value_name = "FILE")]
        state: Option<PathBuf>,
        #[command(flatten)]
        planning: PlanningOptions,
    },
    /// Plans, asks, and does it
    Apply {
        /// The resource: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        #[command(flatten)]
        config: ConfigOptions,
        /// The state, which is read if it exists, and written
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        #[command(flatten)]
        planning: PlanningOptions,
        #[command(flatten)]
        approval: ApprovalOptions,
    },
    /// Reads a resource anew, and writes what it is now to its state
    Read {
        /// The resource: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        /// The state, which must exist, and is written
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
    },
    /// Destroys a resource, and removes its state
    Destroy {
        /// The resource: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        /// The state, which is removed when nothing is there any more
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
        #[command(flatten)]
        planning: PlanningOptions,
        #[command(flatten)]
        approval: ApprovalOptions,
    },
    /// Takes a resource that exists already into a state
    Import {
        /// The resource: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        /// What the provider knows it by
        id: String,
        /// The state, which must not exist yet
        #[arg(long, value_name = "FILE")]
        state: PathBuf,
    },
    /// Reads a data source
    Data {
        /// The data source: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        #[command(flatten)]
        config: ConfigOptions,
    },
    /// Calls a function of the provider
    Call {
        /// The function, by the name that the provider has for it
        function: String,
        /// The arguments, each a value in JSON; where the function wants a string, also just
        /// its text
        #[arg(allow_negative_numbers = true)]
        arguments: Vec<String>,
        /// Makes an argument unknown, by its position from 0, as if it came from something
        /// that does not exist yet
        #[arg(long, value_name = "N")]
        unknown: Vec<usize>,
    },
}

#[derive(Debug, Subcommand)]
pub enum SchemaOf {
    /// The provider's own configuration
    Provider,
    /// A resource
    Resource { name: String },
    /// A data source
    Data { name: String },
    /// A function
    Function { name: String },
}

#[derive(Debug, Subcommand)]
pub enum ValidateOptions {
    /// The configuration of the provider: --provider-config, or --config
    Provider {
        #[command(flatten)]
        config: ConfigOptions,
    },
    /// That of a resource
    Resource {
        /// The resource: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        #[command(flatten)]
        config: ConfigOptions,
    },
    /// That of a data source
    Data {
        /// The data source: its type, and a name for messages
        #[arg(value_name = "TYPE[.NAME]")]
        resource: ResourceName,
        #[command(flatten)]
        config: ConfigOptions,
    },
}

/// Where a configuration comes from.
#[derive(Args, Clone, Debug, Default)]
pub struct ConfigOptions {
    /// A file with the configuration, an object of JSON, or `-` for standard input
    /// [default: an empty one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Sets one attribute or block. The value is JSON; where a string is wanted, also just its
    /// text
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<Setting>,

    /// Makes a value unknown, as if it came from something that does not exist yet: `length`,
    /// `tags["a"].list[0]`
    #[arg(long, value_name = "PATH")]
    pub unknown: Vec<String>,
}

#[derive(Args, Clone, Copy, Debug, Default)]
pub struct PlanningOptions {
    /// Allow the provider to defer what it cannot plan yet
    #[arg(long)]
    pub allow_deferral: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct ApprovalOptions {
    /// Do not ask before anything is done
    #[arg(long)]
    pub auto_approve: bool,
}

impl Options {
    /// What contradicts itself in a way that is not seen option by option.
    pub fn check(&self) -> Result<(), &'static str> {
        let Self { source, shared, command } = self;
        if source.plugin_dir.is_none() && (source.version.is_some() || source.platform.is_some()) {
            return Err(
                "--provider-version and --platform pick from --plugin-dir, which is missing",
            );
        }
        let config = command.config().and_then(|config| config.config.as_deref());
        let is_stdin = |file: Option<&Path>| file.is_some_and(|file| file.as_os_str() == STDIN);
        let (ours, providers) = (is_stdin(config), is_stdin(shared.provider_config.as_deref()));
        if ours && providers {
            return Err("standard input can only be one of two configurations");
        }
        if let Command::Validate { what: ValidateOptions::Provider { .. } } = command
            && config.is_some()
            && shared.provider_config.is_some()
        {
            return Err(
                "--config and --provider-config are both the provider's configuration here",
            );
        }
        match command.approval() {
            Some(approval) if !approval.auto_approve && (ours || providers) => Err(
                "nobody can be asked where standard input is a configuration: add --auto-approve",
            ),
            Some(approval) if !approval.auto_approve && shared.json => {
                Err("nobody is asked where a document is printed: add --auto-approve")
            }
            _ => Ok(()),
        }
    }
}

impl Command {
    pub fn config(&self) -> Option<&ConfigOptions> {
        match self {
            Self::Plan { config, .. } | Self::Apply { config, .. } | Self::Data { config, .. } => {
                Some(config)
            }
            Self::Validate { what } => Some(match what {
                ValidateOptions::Provider { config }
                | ValidateOptions::Resource { config, .. }
                | ValidateOptions::Data { config, .. } => config,
            }),
            _ => None,
        }
    }

    fn approval(&self) -> Option<ApprovalOptions> {
        match self {
            Self::Apply { approval, .. } | Self::Destroy { approval, .. } => Some(*approval),
            _ => None,
        }
    }
}

/// What a resource is called: `random_string.mine`, or `random_string` alone, which is
/// `random_string.example`. The name is for messages only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceName {
    pub kind: String,
    pub name: String,
}

#[derive(Clone, Debug)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

impl FromStr for ResourceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('.').unwrap_or((text, "example"));
        let is_name = |text: &str| {
            let allowed = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
            !text.is_empty() && text.chars().all(allowed)
        };
        if is_name(kind) && is_name(name) {
            return Ok(Self { kind: kind.to_owned(), name: name.to_owned() });
        }
        Err("a resource is TYPE or TYPE.NAME, such as random_string.mine".to_owned())
    }
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("write NAME=VALUE, such as length=8".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn check(arguments: &[&str]) -> Result<(), &'static str> {
        let all = ["terraform", "--provider", "p"].iter().chain(arguments);
        Options::try_parse_from(all).expect("it can be parsed").check()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
    }

    #[test]
    fn every_option_and_argument_has_a_text() {
        let mut commands = vec![Options::command()];
        while let Some(command) = commands.pop() {
            let lacking = command.get_arguments().find(|argument| argument.get_help().is_none());
            // A `NAME` of `schema` is what its command says.
            let lacking = lacking.filter(|argument| argument.get_id() != "name");
            assert_eq!(lacking.map(|argument| argument.get_id()), None, "{}", command.get_name());
            commands.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn options_of_the_provider_stand_before_the_command_or_after_it() {
        let after = ["terraform", "schema", "--provider", "p", "--json"];
        let options = Options::try_parse_from(after).unwrap();
        assert_eq!(options.source.provider, Some(PathBuf::from("p")));
        assert!(options.shared.json);
    }

    #[test]
    fn nobody_is_asked_where_nobody_can_answer() {
        assert_eq!(check(&["apply", "a.b", "--state", "s"]), Ok(()));
        assert!(check(&["apply", "a.b", "--state", "s", "--json"]).is_err());
        assert!(check(&["destroy", "a.b", "--state", "s", "--json"]).is_err());
        assert!(check(&["apply", "a.b", "--state", "s", "--config", "-"]).is_err());
        let approved = ["apply", "a", "--state", "s", "--config", "-", "--auto-approve", "--json"];
        assert_eq!(check(&approved), Ok(()));
    }

    #[test]
    fn standard_input_is_one_thing() {
        assert!(check(&["plan", "a", "--config", "-", "--provider-config", "-"]).is_err());
        assert_eq!(check(&["plan", "a", "--config", "-", "--provider-config", "f"]), Ok(()));
        let twice = ["validate", "provider", "--config", "a", "--provider-config", "b"];
        assert!(check(&twice).is_err());
    }

    #[test]
    fn a_version_is_picked_from_a_directory_only() {
        assert!(check(&["schema", "--version", "1.0"]).is_err());
        let picked = ["schema", "--plugin-dir", "d", "--provider-version", "~> 1.0"];
        let picked = ["terraform"].iter().chain(&picked);
        assert!(Options::try_parse_from(picked).unwrap().check().is_ok());
    }

    #[test]
    fn a_resource_has_a_type_and_maybe_a_name() {
        let name = |text: &str| text.parse::<ResourceName>().map(|name| (name.kind, name.name));
        assert_eq!(name("a_b"), Ok(("a_b".to_owned(), "example".to_owned())));
        assert_eq!(name("a_b.c-d"), Ok(("a_b".to_owned(), "c-d".to_owned())));
        for wrong in ["", ".a", "a.", "a.b.c", "a b", "a/b"] {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_setting_has_a_name_and_a_value_which_may_be_empty() {
        let setting: Setting = "a=b=c".parse().unwrap();
        assert_eq!((setting.name.as_str(), setting.value.as_str()), ("a", "b=c"));
        assert_eq!("a=".parse::<Setting>().unwrap().value, "");
        assert!("a".parse::<Setting>().is_err() && "=a".parse::<Setting>().is_err());
    }
}
