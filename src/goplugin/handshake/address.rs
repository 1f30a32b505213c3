//! Where a peer listens, in the two words that go-plugin has for it: network and
//! address. Text in, address out; the sockets are in `socket.rs`.

use std::fmt;
use std::net::AddrParseError;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use thiserror::Error;

/// Where a peer listens. Made by [`parse`](Self::parse) and [`file`](Self::file),
/// which see to it that the text of every address fits into a handshake line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The path of a socket.
    Unix(String),
    /// The name of a socket in Linux's abstract namespace, without the `@` that
    /// stands for the null byte before it.
    Abstract(String),
    /// An IP address and a port.
    Tcp(SocketAddr),
}

impl Address {
    /// Reads what a peer announces: in its handshake line, by its broker, in a
    /// reattach configuration.
    ///
    /// TCP is `ip:port`; an absent IP address and `localhost` mean 127.0.0.1, which
    /// is what Go connects to then. Other host names, which Go would look up, are
    /// refused: no plugin announces one.
    pub(crate) fn parse(network: &str, address: &str) -> Result<Self, AddressError> {
        if network.len().max(address.len()) > LONGEST {
            return Err(AddressError::TooLong { length: network.len().max(address.len()) });
        }
        match network {
            "unix" => unix(address),
            "tcp" => tcp(address),
            _ => Err(AddressError::Network {
                network: network.to_owned(),
                address: address.to_owned(),
            }),
        }
    }

    /// The address of a socket with an absolute path.
    pub(crate) fn file(path: &Path) -> Result<Self, AddressError> {
        let unwritable = || AddressError::Unwritable { path: path.to_owned() };
        match path.to_str().map(unix) {
            Some(Ok(address @ Self::Unix(_))) => Ok(address),
            _ => Err(unwritable()),
        }
    }

    /// go-plugin's name of the network, which is Go's: `unix` or `tcp`.
    pub(crate) fn network(&self) -> &'static str {
        match self {
            Self::Unix(_) | Self::Abstract(_) => "unix",
            Self::Tcp(_) => "tcp",
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(path),
            Self::Abstract(name) => write!(f, "@{name}"),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// More than any system has room for in the address of a socket, in bytes.
const LONGEST: usize = 1024;

fn unix(address: &str) -> Result<Address, AddressError> {
    // What separates the fields and the lines of a handshake, and what no path has.
    if address.contains(['|', '\n', '\0']) {
        return Err(AddressError::Unwritable { path: address.into() });
    }
    match address.strip_prefix('@') {
        // "@" alone would be a name that the kernel chooses.
        Some("") => Err(AddressError::Empty),
        Some(name) => Ok(Address::Abstract(name.to_owned())),
        None if address.is_empty() => Err(AddressError::Empty),
        None => Ok(Address::Unix(address.to_owned())),
    }
}

fn tcp(address: &str) -> Result<Address, AddressError> {
    let port = address.strip_prefix("localhost").unwrap_or(address).strip_prefix(':');
    if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()) {
        return Ok(Address::Tcp((Ipv4Addr::LOCALHOST, port).into()));
    }
    let invalid = |source| AddressError::Tcp { address: address.to_owned(), source };
    address.parse().map(Address::Tcp).map_err(invalid)
}

/// Why the address of a socket cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The peer listens on a network that go-plugin does not have.
    #[error(
        "the peer listens on the network {network:?} at {address:?}, \
         but go-plugin has only \"unix\" and \"tcp\": the peer is at fault"
    )]
    Network {
        /// The network that the peer names.
        network: String,
        /// The address that the peer names.
        address: String,
    },

    /// The peer names no socket.
    #[error("the peer announces a Unix socket without saying which: the peer is at fault")]
    Empty,

    /// The peer names what no system could have.
    #[error("the peer announces a socket by a name of {length} bytes: the peer is at fault")]
    TooLong {
        /// The length of the name, in bytes.
        length: usize,
    },

    /// The peer names a TCP address that is none.
    #[error("the peer listens at {address:?}, which is not an IP address and a port")]
    Tcp {
        /// The address that the peer names.
        address: String,
        /// What is wrong with it.
        source: AddrParseError,
    },

    /// A socket has a path that cannot be told to a peer.
    #[error(
        "the socket path {} cannot be announced, because it is not UTF-8 or contains a `|`, \
         a line break or a null byte: choose another folder for sockets (TMPDIR)",
        .path.display()
    )]
    Unwritable {
        /// The path.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    fn parsed(network: &str, address: &str) -> String {
        let address = Address::parse(network, address).unwrap();
        format!("{} {address}", address.network())
    }

    #[test]
    fn addresses_are_written_as_they_are_read() {
        assert_eq!(parsed("unix", "/tmp/plugin123"), "unix /tmp/plugin123");
        assert_eq!(parsed("unix", "@name"), "unix @name");
        assert_eq!(parsed("tcp", "127.0.0.1:10000"), "tcp 127.0.0.1:10000");
        assert_eq!(parsed("tcp", "[::1]:10000"), "tcp [::1]:10000");
    }

    #[test]
    fn tcp_without_an_address_is_on_this_machine() {
        assert_eq!(parsed("tcp", ":1234"), "tcp 127.0.0.1:1234");
        assert_eq!(parsed("tcp", "localhost:1234"), "tcp 127.0.0.1:1234");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (network, address) in [("udp", "127.0.0.1:1"), ("", ""), ("UNIX", "/tmp/plugin")] {
            let error = Address::parse(network, address);
            assert!(matches!(error, Err(AddressError::Network { .. })), "{error:?}");
        }
        for address in ["", ":", "1234", "localhost", "127.0.0.1", ":65536", "example.org:1"] {
            let error = Address::parse("tcp", address);
            assert!(matches!(error, Err(AddressError::Tcp { .. })), "{error:?}");
        }
        for address in ["", "@"] {
            let error = Address::parse("unix", address);
            assert!(matches!(error, Err(AddressError::Empty)), "{error:?}");
        }
    }

    #[test]
    fn a_path_that_no_line_can_carry_is_refused() {
        for path in [b"/tmp/\xFF".as_slice(), b"/tmp/a|b", b"/tmp/a\nb", b"@name"] {
            let error = Address::file(Path::new(OsStr::from_bytes(path)));
            assert!(matches!(error, Err(AddressError::Unwritable { .. })), "{error:?}");
        }
    }
}
