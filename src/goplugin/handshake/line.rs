//! The handshake line: the one line on a plugin's standard output that says where
//! it listens and how. Text in, line out, and the reverse.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::engine::general_purpose::STANDARD_NO_PAD_INDIFFERENT;
use thiserror::Error;

use crate::goplugin::handshake::address::Address;
use crate::goplugin::handshake::address::AddressError;

/// The version of go-plugin's own protocol, the only one there has been.
const CORE_VERSION: &str = "1";

/// A certificate field up to this many characters is no certificate to go-plugin's
/// hosts, and is ignored.
const LONGEST_NON_CERTIFICATE: usize = 50;

/// What a plugin says in its handshake line:
/// `CORE|VERSION|NETWORK|ADDRESS|PROTOCOL|CERTIFICATE[|MULTIPLEXED]`.
///
/// Written out it is what a plugin in Go prints, with the line's end, to be written
/// at once. The protocol is `grpc` always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The version of the application's protocol that the plugin has chosen.
    pub(crate) version: u32,
    pub(crate) address: Address,
    /// The plugin's certificate, DER. A plugin may announce one only to a host that
    /// has sent its own: others written in Go crash on it.
    pub(crate) certificate: Option<Vec<u8>>,
    /// Whether the plugin has everything on one connection. A plugin may say it only
    /// to a host that has asked: to others, written in Go before version 1.6, it is
    /// the end of the certificate.
    pub(crate) multiplexed: Option<bool>,
}

impl Line {
    /// Reads a line as Go's hosts do: blanks around it and fields after the seventh
    /// are ignored.
    pub(crate) fn parse(line: &str) -> Result<Self, LineError> {
        let mut fields = line.trim().split('|');
        let mut next = || fields.next();
        let (Some(core), Some(version), Some(network), Some(address)) =
            (next(), next(), next(), next())
        else {
            return Err(LineError::Unrecognized { line: line.trim().to_owned() });
        };
        check_core(core)?;
        let invalid = || LineError::Version { version: version.to_owned() };
        let version = version.parse().map_err(|_| invalid())?;
        let address = Address::parse(network, address)?;
        match next() {
            // Plugins from before gRPC say nothing here.
            None | Some("netrpc") => return Err(LineError::NetRpc),
            Some("grpc") => {}
            Some(protocol) => {
                return Err(LineError::Protocol { protocol: protocol.to_owned() });
            }
        }
        let certificate = match next() {
            Some(text) if text.len() > LONGEST_NON_CERTIFICATE => {
                let decoded = STANDARD_NO_PAD_INDIFFERENT.decode(text);
                Some(decoded.map_err(|error| LineError::Certificate(Box::new(error)))?)
            }
            _ => None,
        };
        let multiplexed = match next() {
            None | Some("") => None,
            Some(text) => Some(boolean(text)?),
        };
        Ok(Self { version, address, certificate, multiplexed })
    }

    /// Whether a line of standard output is meant as a handshake, be it a faulty
    /// one: it begins with two numbers, or names a network in the third place, with `|`
    /// between them. Others are output that a plugin should not have written there.
    pub(crate) fn is_likely(line: &str) -> bool {
        let fields: Vec<&str> = line.trim().splitn(4, '|').collect();
        let is_number =
            |field: &str| !field.is_empty() && field.bytes().all(|byte| byte.is_ascii_digit());
        match fields[..] {
            [core, version, network, ..] => {
                is_number(core) && is_number(version) || matches!(network, "unix" | "tcp")
            }
            _ => false,
        }
    }

    /// Checks that the plugin's choice is one of the host's versions.
    pub(crate) fn expect_version(&self, ours: &BTreeSet<u32>) -> Result<(), LineError> {
        if ours.contains(&self.version) {
            return Ok(());
        }
        Err(LineError::Incompatible { theirs: self.version, ours: ours.clone() })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, address, certificate, multiplexed } = self;
        let network = address.network();
        write!(f, "{CORE_VERSION}|{version}|{network}|{address}|grpc|")?;
        if let Some(certificate) = certificate {
            f.write_str(&STANDARD_NO_PAD.encode(certificate))?;
        }
        if let Some(multiplexed) = multiplexed {
            write!(f, "|{multiplexed}")?;
        }
        f.write_str("\n")
    }
}

fn check_core(core: &str) -> Result<(), LineError> {
    match core.parse::<i64>() {
        Ok(1) => Ok(()),
        Ok(_) => Err(LineError::IncompatibleCore { core: core.to_owned() }),
        Err(_) => Err(LineError::Core { core: core.to_owned() }),
    }
}

/// Reads the spellings of Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Result<bool, LineError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(LineError::Multiplexed { text: text.to_owned() }),
    }
}

/// What is wrong with the line in which a plugin says where it listens. In all of
/// these it is the plugin that the host cannot use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LineError {
    /// The line has fewer than four fields.
    #[error(
        "the plugin's handshake is not recognized: {line:?}; check that the program is a plugin, \
         and that it prints nothing else on its standard output"
    )]
    Unrecognized {
        /// The line.
        line: String,
    },

    /// The version of go-plugin's protocol is not a number.
    #[error("the plugin's handshake begins with {core:?} instead of go-plugin's version 1")]
    Core {
        /// What is there instead.
        core: String,
    },

    /// The plugin speaks another version of go-plugin's protocol.
    #[error(
        "the plugin speaks version {core} of go-plugin's protocol, this host only version 1: \
         rebuild the plugin"
    )]
    IncompatibleCore {
        /// The plugin's version.
        core: String,
    },

    /// The version of the application's protocol is not a number.
    #[error("the plugin names {version:?} as the version of the application's protocol")]
    Version {
        /// What the plugin names.
        version: String,
    },

    /// The plugin speaks no version of the application's protocol that the host does.
    #[error(
        "the plugin speaks version {theirs} of the application's protocol, \
         the host speaks {ours:?}: update the older of the two"
    )]
    Incompatible {
        /// The plugin's version.
        theirs: u32,
        /// The host's versions.
        ours: BTreeSet<u32>,
    },

    /// The host cannot tell where the plugin listens.
    #[error(transparent)]
    Address(#[from] AddressError),

    /// The plugin speaks `net/rpc` with gob, which only programs in Go can.
    #[error(
        "the plugin speaks net/rpc with gob, which only programs in Go can: \
         serve the plugin over gRPC (`GRPCServer` in its `ServeConfig`, a `GRPCPlugin`)"
    )]
    NetRpc,

    /// The plugin speaks a protocol that go-plugin does not have.
    #[error("the plugin speaks the protocol {protocol:?}; this host speaks \"grpc\"")]
    Protocol {
        /// The protocol that the plugin names.
        protocol: String,
    },

    /// The plugin's certificate is not base64.
    #[error("the plugin's certificate is not base64")]
    Certificate(#[source] Box<dyn Error + Send + Sync>),

    /// Whether the plugin has everything on one connection is not a boolean.
    #[error("the plugin says {text:?} to whether it multiplexes, neither true nor false")]
    Multiplexed {
        /// What the plugin says.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn plain() -> Line {
        let address = Address::parse("unix", "/tmp/plugin123").unwrap();
        Line { version: 5, address, certificate: None, multiplexed: None }
    }

    fn error(line: &str) -> LineError {
        Line::parse(line).unwrap_err()
    }

    #[test]
    fn a_line_is_what_a_plugin_in_go_prints() {
        let line = plain();
        assert_eq!(line.to_string(), "1|5|unix|/tmp/plugin123|grpc|\n");
        let line = Line { multiplexed: Some(true), ..line };
        assert_eq!(line.to_string(), "1|5|unix|/tmp/plugin123|grpc||true\n");
        let line = Line { certificate: Some(b"DER?".to_vec()), multiplexed: None, ..line };
        assert_eq!(line.to_string(), "1|5|unix|/tmp/plugin123|grpc|REVSPw\n");
    }

    #[test]
    fn lines_of_all_ages_and_ends_are_read() {
        let lines = [
            "1|5|unix|/tmp/plugin123|grpc",
            "1|5|unix|/tmp/plugin123|grpc|\n",
            "  1|5|unix|/tmp/plugin123|grpc|\r\n",
            "1|5|unix|/tmp/plugin123|grpc|too-short-for-a-certificate",
            "1|5|unix|/tmp/plugin123|grpc|||ignored|too",
        ];
        for line in lines {
            assert_eq!(Line::parse(line).unwrap(), plain(), "{line:?}");
        }
    }

    #[test]
    fn a_certificate_is_read_with_padding_and_without() {
        let line = Line { certificate: Some(vec![7; 100]), ..plain() };
        let text = line.to_string();
        assert_eq!(Line::parse(&text).unwrap(), line);
        let padded = format!("{}==|true", text.trim());
        assert_eq!(Line::parse(&padded).unwrap(), Line { multiplexed: Some(true), ..line });
    }

    #[test]
    fn booleans_have_the_spellings_of_go() {
        for (text, expected) in [("true", true), ("1", true), ("F", false), ("False", false)] {
            let line = Line::parse(&format!("1|1|tcp|:1|grpc||{text}")).unwrap();
            assert_eq!(line.multiplexed, Some(expected));
        }
    }

    #[test]
    fn each_fault_has_an_error_of_its_own() {
        assert!(matches!(error(""), LineError::Unrecognized { .. }));
        assert!(matches!(error("1|1|unix"), LineError::Unrecognized { .. }));
        assert!(matches!(error("one|1|unix|/s|grpc"), LineError::Core { .. }));
        assert!(matches!(error("2|1|unix|/s|grpc"), LineError::IncompatibleCore { .. }));
        assert!(matches!(error("-1|1|unix|/s|grpc"), LineError::IncompatibleCore { .. }));
        assert!(matches!(error("1|-1|unix|/s|grpc"), LineError::Version { .. }));
        assert!(matches!(error("1|1|udp|/s|grpc"), LineError::Address(_)));
        assert!(matches!(error("1|1|unix||grpc"), LineError::Address(_)));
        assert!(matches!(error("1|1|unix|/s"), LineError::NetRpc));
        assert!(matches!(error("1|1|unix|/s|netrpc|"), LineError::NetRpc));
        assert!(matches!(error("1|1|unix|/s|"), LineError::Protocol { .. }));
        assert!(matches!(error("1|1|unix|/s|http"), LineError::Protocol { .. }));
        let certificate = "?".repeat(51);
        let line = format!("1|1|unix|/s|grpc|{certificate}");
        assert!(matches!(error(&line), LineError::Certificate(_)));
        assert!(matches!(error("1|1|unix|/s|grpc||yes"), LineError::Multiplexed { .. }));
    }

    #[test]
    fn a_version_that_the_host_lacks_is_an_error_of_its_own() {
        assert!(plain().expect_version(&BTreeSet::from([5, 6])).is_ok());
        let error = plain().expect_version(&BTreeSet::from([6, 7])).unwrap_err();
        assert!(matches!(error, LineError::Incompatible { theirs: 5, .. }));
    }

    #[test]
    fn stray_output_is_not_taken_for_a_handshake() {
        for line in ["", "hello", "|", "1", "1|2", "a|b|c|d", "12%|1|x", "2026|", "| 1 | 2 |"] {
            assert!(!Line::is_likely(line), "{line:?}");
        }
        for line in ["1|5|unix|/s|grpc|\r", " 2|5|unix", "1|1|udp|x|y"] {
            assert!(Line::is_likely(line), "{line:?}");
        }
    }

    fn address() -> impl Strategy<Value = Address> {
        prop_oneof![
            any::<std::net::SocketAddr>().prop_map(|address| {
                // The flow of an address of version 6 has no text.
                Address::Tcp((address.ip(), address.port()).into())
            }),
            "[^@|\n\0][^|\n\0]{0,99}".prop_map(Address::Unix),
            "[^|\n\0]{1,99}".prop_map(Address::Abstract),
        ]
    }

    /// Text that comes close to a line.
    fn almost() -> impl Strategy<Value = String> {
        let field = prop_oneof![
            Just("1".to_owned()),
            Just("unix".to_owned()),
            Just("tcp".to_owned()),
            Just("grpc".to_owned()),
            Just("true".to_owned()),
            "[A-Za-z0-9+/=]{0,60}",
            any::<String>(),
        ];
        vec(field, 0..9).prop_map(|fields| fields.join("|"))
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange_to_be_parsed(text in any::<String>(), almost in almost()) {
            let _ = Line::parse(&text);
            let _ = Line::is_likely(&text);
            let _ = Line::parse(&almost);
        }

        #[test]
        fn what_is_written_is_read_again(
            version in any::<u32>(),
            address in address(),
            certificate in option::of(vec(any::<u8>(), 40..1000)),
            multiplexed in any::<Option<bool>>(),
        ) {
            let line = Line { version, address, certificate, multiplexed };
            let text = line.to_string();
            prop_assert!(Line::is_likely(&text));
            prop_assert_eq!(Line::parse(&text).unwrap(), line);
        }
    }
}
