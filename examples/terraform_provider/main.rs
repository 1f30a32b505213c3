//! A Terraform provider in Rust: keeps notes. One binary serves OpenTofu and Terraform, in
//! version 5 and 6 of their protocol, and hosts that are built on Trunkline, in its own
//! dialect.
//!
//! # Under OpenTofu or Terraform
//!
//! With the configuration in `demo/`, and the program where a mirror in the file system has
//! it (on other machines than this, the last folder has another name):
//!
//! ```text
//! cargo build --example terraform_provider
//! folder=$PWD/target/mirror/example.com/trunkline/notebook/1.0.0/linux_amd64
//! mkdir -p $folder
//! cp target/debug/examples/terraform_provider $folder/terraform-provider-notebook_v1.0.0
//! cat > target/mirror/tofu.rc <<END
//! provider_installation {
//!   filesystem_mirror { path = "$PWD/target/mirror" }
//! }
//! END
//! export TF_CLI_CONFIG_FILE=$PWD/target/mirror/tofu.rc
//! cd examples/terraform_provider/demo
//! tofu init
//! tofu apply
//! tofu plan -detailed-exitcode    # ends with 0: there is nothing to change
//! tofu destroy
//! ```
//!
//! A development override is quicker to change, and knows no `init`: the program is called
//! `terraform-provider-notebook`, and in place of the mirror is
//! `dev_overrides { "example.com/trunkline/notebook" = "FOLDER" }` and `direct {}`.
//!
//! With `--debug` it serves by itself, in a debugger say, whatever run has the variable that
//! it prints. `NOTEBOOK_PROTOCOL=5` holds it to version 5 of the protocol, where attributes
//! have no attributes of their own: `author` is one object there.
//!
//! # Under a host that is built on Trunkline
//!
//! The same program, in Trunkline's own dialect. The example `terraform` is such a host:
//!
//! ```text
//! cargo run --example terraform -- --help
//! ```
//!
//! # Where the notes are
//!
//! In the file that the provider's configuration names with `path`. Without one, in the state
//! store of the host if that is built on Trunkline, which must grant it
//! (`trunkline.state.v1.State`). Hosts in Go have no such thing: there, in the file that
//! `NOTEBOOK_PATH` names, or `notebook.redb` in the working directory. The file is open from
//! when the provider is configured until it ends, for one process at a time.
//!
//! # What is in it
//!
//! | module | what is in it |
//! |---|---|
//! | `server` | the protocol, in both versions: what any provider needs |
//! | `notebook` | this provider |
//! | `tfplugin` | values, schemas and diagnostics: shared with the program `terraform` |

use std::collections::BTreeMap;
use std::env;
use std::io;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use trunkline::Offers;
use trunkline::goplugin::Handshake;
use trunkline::goplugin::Reattach;
use trunkline::plugin::HostHandle;
use trunkline::plugin::Plugin;
use trunkline::plugin::Servers;

use crate::server::Server;
use crate::tfplugin::COOKIE_KEY;
use crate::tfplugin::COOKIE_VALUE;
use crate::tfplugin::wire::tfplugin5;
use crate::tfplugin::wire::tfplugin6;

mod notebook;
mod server;
#[allow(dead_code, unused_imports, reason = "each of the two programs uses its part")]
#[path = "../tfplugin/mod.rs"]
mod tfplugin;

/// What configurations call the provider: the host of the registry is whichever is the
/// default of the program that reads them.
const ADDRESS: &str = "example.com/trunkline/notebook";

/// Holds the provider to one version of the protocol: `5` or `6`.
const PROTOCOL: &str = "NOTEBOOK_PROTOCOL";

/// The largest request that is read. A note may have 1 MiB, and a change has it three times;
/// beyond what the store takes, the user is to hear which note it is.
const LARGEST_REQUEST: usize = 64 * 1024 * 1024;

/// A Terraform provider that keeps notes. It is started by `tofu`, `terraform` or a host built
/// on Trunkline.
///
/// The environment variable NOTEBOOK_PATH names the file of the notes where the configuration
/// does not; NOTEBOOK_PROTOCOL=5 or 6 holds the provider to that version of the protocol.
#[derive(Parser)]
#[command(name = "terraform-provider-notebook", version)]
struct Options {
    /// Serve by itself, as in a debugger, until it is interrupted; print what hosts need to
    /// find it
    #[arg(long)]
    debug: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let servers = match servers(env::var(PROTOCOL).ok().as_deref()) {
        Ok(servers) => servers,
        Err(problem) => {
            eprintln!("terraform-provider-notebook: {problem}");
            return ExitCode::FAILURE;
        }
    };
    if options.debug {
        return debug(servers).await;
    }
    let handshake = servers.handshake(Handshake::new(COOKIE_KEY, COOKIE_VALUE));
    plugin(handshake).serve(|host| servers.offers(host)).await
}

/// What is served in each version of the protocol. `only` is what the environment says.
fn servers(only: Option<&str>) -> Result<Servers, String> {
    match only {
        None | Some("") => Ok(Servers::new().version(5, version_5).version(6, version_6)),
        Some("5") => Ok(Servers::new().version(5, version_5)),
        Some("6") => Ok(Servers::new().version(6, version_6)),
        Some(other) => Err(format!("{PROTOCOL} is {other:?}: it may be 5 or 6")),
    }
}

fn version_5(host: HostHandle) -> Offers {
    let server = Server::new(notebook::provider(host));
    let service = tfplugin5::provider_server::ProviderServer::new(server);
    Offers::new().service(service.max_decoding_message_size(LARGEST_REQUEST))
}

fn version_6(host: HostHandle) -> Offers {
    let server = Server::new(notebook::provider(host));
    let service = tfplugin6::provider_server::ProviderServer::new(server);
    Offers::new().service(service.max_decoding_message_size(LARGEST_REQUEST))
}

fn plugin(handshake: Handshake) -> Plugin {
    Plugin::new("terraform-provider-notebook", env!("CARGO_PKG_VERSION")).go_plugin(handshake)
}

/// Serves without a host, which here means without an offer of versions: the highest is
/// spoken.
async fn debug(servers: Servers) -> ExitCode {
    let highest = servers.versions().last();
    let handshake = Handshake::new(COOKIE_KEY, COOKIE_VALUE);
    let handshake = highest.into_iter().fold(handshake, Handshake::version);
    let ready = |reattach: &Reattach| {
        if let Err(error) = announce(reattach) {
            eprintln!("terraform-provider-notebook: cannot say where it listens: {error}");
        }
    };
    match plugin(handshake).serve_standalone(|host| servers.offers(host), ready).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("terraform-provider-notebook: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As providers in Go do: tools look for the line with the variable.
fn announce(reattach: &Reattach) -> io::Result<()> {
    let all = BTreeMap::from([(ADDRESS.to_owned(), reattach.clone())]);
    let all = Reattach::to_json_all(&all).map_err(io::Error::other)?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "The provider runs, until Ctrl-C. For whoever is to use it:\n")?;
    writeln!(stdout, "\tTF_REATTACH_PROVIDERS='{all}'\n")?;
    stdout.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_may_hold_the_provider_to_one_version() {
        let spoken = |only| servers(only).map(|servers| servers.versions().collect::<Vec<_>>());
        assert_eq!(spoken(None), Ok(vec![5, 6]));
        assert_eq!(spoken(Some("")), Ok(vec![5, 6]));
        assert_eq!(spoken(Some("5")), Ok(vec![5]));
        assert_eq!(spoken(Some("6")), Ok(vec![6]));
        assert!(spoken(Some("7")).is_err());
    }
}
