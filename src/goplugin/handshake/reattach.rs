//! What one needs to know of a plugin that runs already to connect to it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;
use thiserror::Error;

use crate::goplugin::handshake::address::Address;
use crate::goplugin::handshake::address::AddressError;

/// Where a plugin runs that a host did not start, go-plugin's `ReattachConfig`:
/// one that a developer has started in a debugger, or one that has outlived a host.
///
/// In JSON it is what the ecosystem agrees on, as in Terraform's variable
/// `TF_REATTACH_PROVIDERS`, which has a map of such objects by name:
///
/// ```
/// use trunkline::goplugin::Reattach;
///
/// let variable = r#"{"example.org/a/b": {"Protocol": "grpc", "ProtocolVersion": 5,
///     "Pid": 3382870, "Test": true,
///     "Addr": {"Network": "unix", "String": "/tmp/plugin713096927"}}}"#;
/// let plugins = Reattach::parse_all(variable)?;
/// assert_eq!(plugins["example.org/a/b"].protocol_version(), 5);
/// # Ok::<(), trunkline::goplugin::ReattachError>(())
/// ```
///
/// Keys that are not known are ignored. Nothing secret is in it, and nothing proves
/// that the process is the plugin: connections to it are not encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Json", into = "Json")]
pub struct Reattach {
    protocol_version: u32,
    address: Address,
    pid: u32,
    test: bool,
}

impl Reattach {
    /// A plugin that listens at `address` of `network`, `unix` or `tcp`, and runs as
    /// the process `pid`. It is not in test mode.
    ///
    /// # Errors
    ///
    /// The address is none, or no process can have that number.
    pub fn new(
        protocol_version: u32,
        network: &str,
        address: &str,
        pid: u32,
    ) -> Result<Self, ReattachError> {
        Self::at(protocol_version, Address::parse(network, address)?, pid)
    }

    pub(crate) fn at(
        protocol_version: u32,
        address: Address,
        pid: u32,
    ) -> Result<Self, ReattachError> {
        // 0 is not a process but, to a signal, a whole group; the system's numbers
        // are signed.
        if pid == 0 || i32::try_from(pid).is_err() {
            return Err(ReattachError::Pid { pid: pid.into() });
        }
        Ok(Self { protocol_version, address, pid, test: false })
    }

    /// Sets whether the plugin is in test mode: it belongs to whoever started it,
    /// and a host that is done leaves it running.
    #[must_use]
    pub fn test(mut self, test: bool) -> Self {
        self.test = test;
        self
    }

    /// The version of the application's protocol that the plugin speaks. It is 0
    /// where the JSON does not say: go-plugin did not have it before version 1.4.1.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.protocol_version
    }

    /// The network on which the plugin listens: `unix` or `tcp`.
    #[must_use]
    pub fn network(&self) -> &'static str {
        self.address.network()
    }

    /// Where it listens: the path of a socket, `@` and a name in Linux's abstract
    /// namespace, or IP address and port.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The process that is the plugin. Never 0.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the plugin is in test mode, and is left running.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.test
    }

    pub(crate) fn socket(&self) -> &Address {
        &self.address
    }

    /// Reads a map of names to plugins, as it is in `TF_REATTACH_PROVIDERS`.
    ///
    /// # Errors
    ///
    /// The text is not such JSON, or one of the plugins cannot be attached to.
    pub fn parse_all(json: &str) -> Result<BTreeMap<String, Self>, ReattachError> {
        let all: BTreeMap<String, Json> = serde_json::from_str(json)?;
        let read = |(name, plugin): (String, Json)| match Self::try_from(plugin) {
            Ok(plugin) => Ok((name, plugin)),
            Err(source) => Err(ReattachError::Plugin { name, source: Box::new(source) }),
        };
        all.into_iter().map(read).collect()
    }

    /// Writes a map of names to plugins, as it is in `TF_REATTACH_PROVIDERS`.
    ///
    /// # Errors
    ///
    /// None that is known; serde's interface leaves room for one.
    pub fn to_json_all(plugins: &BTreeMap<String, Self>) -> Result<String, ReattachError> {
        Ok(serde_json::to_string(plugins)?)
    }
}

/// The JSON, word by word.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Json {
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    protocol_version: u32,
    pid: i64,
    #[serde(default)]
    test: bool,
    addr: JsonAddress,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct JsonAddress {
    network: String,
    string: String,
}

impl TryFrom<Json> for Reattach {
    type Error = ReattachError;

    fn try_from(json: Json) -> Result<Self, ReattachError> {
        match json.protocol.as_str() {
            "grpc" => {}
            "" | "netrpc" => return Err(ReattachError::NetRpc),
            _ => return Err(ReattachError::Protocol { protocol: json.protocol }),
        }
        let pid = u32::try_from(json.pid).map_err(|_| ReattachError::Pid { pid: json.pid })?;
        let JsonAddress { network, string } = json.addr;
        Ok(Self::new(json.protocol_version, &network, &string, pid)?.test(json.test))
    }
}

impl From<Reattach> for Json {
    fn from(plugin: Reattach) -> Self {
        Self {
            protocol: "grpc".to_owned(),
            protocol_version: plugin.protocol_version,
            pid: plugin.pid.into(),
            test: plugin.test,
            addr: JsonAddress { network: plugin.network().to_owned(), string: plugin.address() },
        }
    }
}

/// Why a running plugin cannot be attached to: its configuration is at fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReattachError {
    /// The text is not the JSON that the ecosystem agrees on.
    #[error("the reattach configuration is not a JSON map of names to plugins")]
    Json(#[from] serde_json::Error),

    /// One of several plugins cannot be attached to.
    #[error("the reattach configuration of the plugin {name:?} cannot be used")]
    Plugin {
        /// Its name in the map.
        name: String,
        /// What is wrong with it.
        source: Box<Self>,
    },

    /// The plugin speaks `net/rpc` with gob, which only programs in Go can. So do
    /// plugins whose configuration names no protocol.
    #[error(
        "the plugin speaks net/rpc with gob, which only programs in Go can: serve it over gRPC, \
         and see that its configuration says \"Protocol\": \"grpc\""
    )]
    NetRpc,

    /// The plugin speaks a protocol that go-plugin does not have.
    #[error("the plugin speaks the protocol {protocol:?}; this host speaks \"grpc\"")]
    Protocol {
        /// The protocol that the configuration names.
        protocol: String,
    },

    /// No process can have this number.
    #[error("{pid} is not the number of a process")]
    Pid {
        /// The number.
        pid: i64,
    },

    /// The host cannot tell where the plugin listens.
    #[error(transparent)]
    Address(#[from] AddressError),
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"Protocol":"grpc","ProtocolVersion":5,"Pid":1,"Test":true,"Addr":{"Network":"unix","String":"/tmp/plugin"}}"#;

    fn error(json: &str) -> ReattachError {
        match Reattach::parse_all(&format!(r#"{{"name": {json}}}"#)) {
            Err(ReattachError::Plugin { name, source }) => {
                assert_eq!(name, "name");
                *source
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_json_is_that_of_the_ecosystem() {
        let plugin = Reattach::new(5, "unix", "/tmp/plugin", 1).unwrap().test(true);
        assert_eq!(serde_json::to_string(&plugin).unwrap(), JSON);
        assert_eq!(serde_json::from_str::<Reattach>(JSON).unwrap(), plugin);
        let all = BTreeMap::from([("a/b".to_owned(), plugin)]);
        let json = Reattach::to_json_all(&all).unwrap();
        assert_eq!(json, format!(r#"{{"a/b":{JSON}}}"#));
        assert_eq!(Reattach::parse_all(&json).unwrap(), all);
    }

    #[test]
    fn what_may_be_absent_has_a_default_and_what_is_unknown_is_ignored() {
        let json = r#"{"Protocol":"grpc","Pid":7,"Addr":{"Network":"tcp","String":":80"},"X":[]}"#;
        let plugin: Reattach = serde_json::from_str(json).unwrap();
        assert_eq!(plugin, Reattach::new(0, "tcp", "127.0.0.1:80", 7).unwrap());
        assert!(!plugin.is_test());
    }

    #[test]
    fn each_fault_has_an_error_of_its_own() {
        let with = |from: &str, to: &str| error(&JSON.replace(from, to));
        assert!(matches!(with("grpc", "netrpc"), ReattachError::NetRpc));
        assert!(matches!(with("grpc", ""), ReattachError::NetRpc));
        assert!(matches!(with(r#""Protocol":"grpc","#, ""), ReattachError::NetRpc));
        assert!(matches!(with("grpc", "http"), ReattachError::Protocol { .. }));
        for pid in ["0", "-1", "2147483648", "4294967297"] {
            let with_pid = with(r#""Pid":1"#, &format!(r#""Pid":{pid}"#));
            assert!(matches!(with_pid, ReattachError::Pid { .. }), "{with_pid:?}");
        }
        assert!(matches!(with("unix", "udp"), ReattachError::Address(_)));
        for json in ["", "[]", r#"{"name":1}"#] {
            assert!(matches!(Reattach::parse_all(json), Err(ReattachError::Json(_))), "{json}");
        }
    }
}
