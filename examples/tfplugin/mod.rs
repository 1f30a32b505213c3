//! What the two Terraform programs share: the messages of the provider protocol, the
//! values they carry, schemas and diagnostics.
//!
//! | module | what is in it |
//! |---|---|
//! | `wire` | the generated messages and services of protocol 5 and 6 |
//! | `cty` | types and values, in msgpack and in JSON; knows nothing of the wire |
//! | `schema` | what values look like, the same for both versions |
//! | `diagnostic` | what a provider tells the user |

use trunkline::goplugin::Handshake;

pub mod cty;
pub mod diagnostic;
pub mod schema;

/// The generated code. The messages that both versions share are in `tfplugin`.
pub mod wire {
    pub mod tfplugin {
        tonic::include_proto!("tfplugin");
    }
    pub mod tfplugin5 {
        tonic::include_proto!("tfplugin5");
    }
    pub mod tfplugin6 {
        tonic::include_proto!("tfplugin6");
    }
}

/// The environment variable that tells a provider that a host of providers started it.
pub const COOKIE_KEY: &str = "TF_PLUGIN_MAGIC_COOKIE";

/// What that variable is set to: the same in every Terraform, in OpenTofu and in every
/// provider. Everyone knows it; it is no secret.
pub const COOKIE_VALUE: &str = "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2";

/// The handshake of providers, for both versions of the protocol.
#[must_use]
pub fn handshake() -> Handshake {
    Handshake::new(COOKIE_KEY, COOKIE_VALUE).version(5).version(6)
}
