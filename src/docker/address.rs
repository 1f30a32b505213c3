//! Where a plugin listens, as spec files say it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;

use http::uri::Authority;
use http::uri::InvalidUri;
use percent_encoding::AsciiSet;
use percent_encoding::CONTROLS;
use percent_encoding::percent_decode_str;
use percent_encoding::percent_encode;
use thiserror::Error;

/// The longest path of a socket, in bytes: the size of `sun_path` less the null byte
/// at the end (`unix(7)`; on macOS and the BSDs it is smaller).
pub(super) const LONGEST_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// What in a path would be taken for something else in a URL.
const NOT_IN_A_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// Where a plugin listens: a Unix socket, or a TCP port with or without TLS.
///
/// ```
/// use trunkline::docker::Address;
///
/// let address: Address = "unix:///run/docker/plugins/flocker.sock".parse()?;
/// assert_eq!(address.socket(), Some("/run/docker/plugins/flocker.sock".as_ref()));
/// assert!("https://plugins.example.com:8443".parse::<Address>()?.is_tls());
/// # Ok::<(), trunkline::docker::AddressError>(())
/// ```
///
/// `tcp` and `http` mean the same: HTTP that is not encrypted, on port 80 if none is named.
/// `https` means TLS, on port 443. A path after host and port is ignored, as Docker does:
/// methods are always at the top.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address(Kind);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Unix(PathBuf),
    Tcp { scheme: Scheme, authority: Authority, port: u16 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Tcp,
    Http,
    Https,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        if self == Self::Https { 443 } else { 80 }
    }
}

impl Address {
    /// The socket at an absolute path.
    ///
    /// # Errors
    ///
    /// The path is relative, or longer than the system allows for sockets.
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, AddressError> {
        let path = path.into();
        if !path.is_absolute() {
            return Err(AddressError::RelativePath { path });
        }
        let length = path.as_os_str().len();
        if length > LONGEST_PATH {
            return Err(AddressError::PathTooLong { path, length });
        }
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(AddressError::NullByte { path });
        }
        Ok(Self(Kind::Unix(path)))
    }

    /// The path of the socket, if it is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Unix(path) => Some(path),
            Kind::Tcp { .. } => None,
        }
    }

    /// Host and port, if it is a TCP port. The host is a name or an IP address, that of
    /// version 6 in brackets.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(&str, u16)> {
        match &self.0 {
            Kind::Unix(_) => None,
            Kind::Tcp { authority, port, .. } => Some((authority.host(), *port)),
        }
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(&self.0, Kind::Tcp { scheme: Scheme::Https, .. })
    }

    /// What the URLs of its methods begin with: scheme and authority. A socket has no host;
    /// what stands in its place is what Docker's daemon says, and nobody looks it up.
    pub(super) fn base(&self) -> (http::uri::Scheme, Authority) {
        match &self.0 {
            Kind::Unix(_) => local_base(),
            Kind::Tcp { scheme: Scheme::Https, authority, .. } => {
                (http::uri::Scheme::HTTPS, authority.clone())
            }
            Kind::Tcp { authority, .. } => (http::uri::Scheme::HTTP, authority.clone()),
        }
    }

    fn tcp(scheme: Scheme, rest: &str) -> Result<Self, AddressError> {
        let text = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let no_host = || AddressError::NoHost { address: format!("{}://{rest}", scheme.name()) };
        if text.is_empty() {
            return Err(no_host());
        }
        if text.contains('@') {
            return Err(AddressError::UserInfo);
        }
        let authority: Authority =
            text.parse().map_err(|source| AddressError::Host { host: text.to_owned(), source })?;
        let host = authority.host();
        if host.is_empty() {
            return Err(no_host());
        }
        let port = match authority.as_str().get(host.len()..).unwrap_or_default() {
            "" => scheme.default_port(),
            port => match port.trim_start_matches(':').parse() {
                Ok(number) => number,
                Err(_) => return Err(AddressError::Port { host: text.to_owned() }),
            },
        };
        Ok(Self(Kind::Tcp { scheme, authority, port }))
    }
}

/// The base of URLs where there is no host.
pub(super) fn local_base() -> (http::uri::Scheme, Authority) {
    (http::uri::Scheme::HTTP, Authority::from_static("plugin.moby.localhost"))
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(AddressError::NoScheme { address: text.to_owned() });
        };
        match scheme.to_ascii_lowercase().as_str() {
            "unix" => {
                let path = percent_decode_str(rest).collect::<Vec<u8>>();
                Self::unix(OsString::from_vec(path))
            }
            "tcp" => Self::tcp(Scheme::Tcp, rest),
            "http" => Self::tcp(Scheme::Http, rest),
            "https" => Self::tcp(Scheme::Https, rest),
            _ => Err(AddressError::Scheme { scheme: scheme.to_owned() }),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Unix(path) => {
                write!(f, "unix://{}", percent_encode(path.as_os_str().as_bytes(), NOT_IN_A_PATH))
            }
            Kind::Tcp { scheme, authority, .. } => write!(f, "{}://{authority}", scheme.name()),
        }
    }
}

/// Why a text is no address: whoever has written it is at fault.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// It does not say how to connect.
    #[error(
        "the address {address:?} has no scheme: write unix:///path/to.sock, tcp://host:port \
         or https://host:port"
    )]
    NoScheme {
        /// The address.
        address: String,
    },

    /// It names a way to connect that is not known here. Named pipes (`npipe`) are
    /// Windows's.
    #[error("the scheme {scheme:?} is not known: use unix, tcp, http or https")]
    Scheme {
        /// The scheme.
        scheme: String,
    },

    /// The path of the socket is not absolute. `unix://run/x.sock` with two slashes is one.
    #[error(
        "the path {} of the socket is not absolute: write unix:///path/to.sock, with three \
         slashes",
        .path.display()
    )]
    RelativePath {
        /// The path.
        path: PathBuf,
    },

    /// The system cannot have sockets with paths of this length.
    #[error(
        "the path {} of the socket has {length} bytes, at most {LONGEST_PATH} are possible",
        .path.display()
    )]
    PathTooLong {
        /// The path.
        path: PathBuf,
        /// Its length, in bytes.
        length: usize,
    },

    /// There is a null byte in the path.
    #[error("there is a null byte in the path {} of the socket", .path.display())]
    NullByte {
        /// The path.
        path: PathBuf,
    },

    /// There is no host in it.
    #[error("the address {address:?} names no host")]
    NoHost {
        /// The address.
        address: String,
    },

    /// There is a user's name in it, and perhaps a password, which the protocol has no use
    /// for.
    #[error("the address has a user in it: the protocol knows none")]
    UserInfo,

    /// It is no host.
    #[error("{host:?} is not a host")]
    Host {
        /// What stands in its place.
        host: String,
        /// What is wrong with it.
        source: InvalidUri,
    },

    /// The port is no number from 0 to 65535.
    #[error("the port of {host:?} is not a number from 0 to 65535")]
    Port {
        /// Host and port.
        host: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn error(text: &str) -> AddressError {
        text.parse::<Address>().unwrap_err()
    }

    /// moby's TestClientScheme.
    #[test]
    fn only_https_is_encrypted() {
        let schemes = [
            ("tcp://127.0.0.1:8080", "http", "127.0.0.1:8080"),
            ("unix:///usr/local/plugins/foo", "http", "plugin.moby.localhost"),
            ("http://127.0.0.1:8080", "http", "127.0.0.1:8080"),
            ("https://127.0.0.1:8080", "https", "127.0.0.1:8080"),
        ];
        for (text, scheme, host) in schemes {
            let (is, authority) = parsed(text).base();
            assert_eq!((is.as_str(), authority.as_str()), (scheme, host));
            assert_eq!(parsed(text).is_tls(), scheme == "https");
            assert_eq!(parsed(text).to_string(), text);
        }
    }

    #[test]
    fn a_port_that_is_not_named_is_that_of_the_scheme() {
        assert_eq!(parsed("tcp://host").host_and_port(), Some(("host", 80)));
        assert_eq!(parsed("http://[::1]").host_and_port(), Some(("[::1]", 80)));
        assert_eq!(parsed("HTTPS://host/docker/plugin").host_and_port(), Some(("host", 443)));
        assert_eq!(parsed("https://[::1]:9").host_and_port(), Some(("[::1]", 9)));
    }

    #[test]
    fn a_path_may_have_anything_in_it_that_a_file_may() {
        let path = "/run/a b/%41?#é.sock";
        let address = Address::unix(path).unwrap();
        assert_eq!(address.to_string(), "unix:///run/a%20b/%2541%3F%23%C3%A9.sock");
        assert_eq!(parsed(&address.to_string()).socket(), Some(Path::new(path)));
        assert_eq!(parsed(" unix:///run/x.sock\n"), Address::unix("/run/x.sock").unwrap());
    }

    #[test]
    fn each_fault_has_an_error_of_its_own() {
        assert!(matches!(error("localhost:8080"), AddressError::NoScheme { .. }));
        assert!(matches!(error(""), AddressError::NoScheme { .. }));
        assert!(matches!(error("npipe:////./pipe/x"), AddressError::Scheme { .. }));
        assert!(matches!(error("unix://var/lib/x.sock"), AddressError::RelativePath { .. }));
        assert!(matches!(error("unix://"), AddressError::RelativePath { .. }));
        assert!(matches!(error("unix:///a%00b"), AddressError::NullByte { .. }));
        assert!(matches!(error("tcp://"), AddressError::NoHost { .. }));
        assert!(matches!(error("https:///path"), AddressError::NoHost { .. }));
        assert!(matches!(error("tcp://me:secret@host"), AddressError::UserInfo));
        assert!(matches!(error("tcp://ho st"), AddressError::Host { .. }));
        assert!(matches!(error("tcp://host:65536"), AddressError::Port { .. }));
        assert!(matches!(error("tcp://host:"), AddressError::Port { .. }));
    }

    #[test]
    fn a_path_is_as_long_as_the_system_allows_and_no_longer() {
        let longest = format!("/{}", "x".repeat(LONGEST_PATH - 1));
        assert!(Address::unix(&longest).is_ok());
        let longer = Address::unix(longest + "x").unwrap_err();
        assert!(
            matches!(longer, AddressError::PathTooLong { length, .. } if length > LONGEST_PATH)
        );
    }

    #[test]
    fn a_password_is_not_repeated_in_the_error() {
        assert!(!format!("{:?}", error("tcp://me:secret@host")).contains("secret"));
    }
}
