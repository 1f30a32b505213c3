//! What may be said about TLS, in code and in the JSON of a spec file.

use std::path::PathBuf;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::Error as _;

/// How connections to a plugin are encrypted, and who is trusted.
///
/// In a `.json` spec file this is `TLSConfig`, with Docker's names:
///
/// | name | what it means | if absent |
/// |---|---|---|
/// | `CAFile` | whose certificates are trusted, beside the system's | the system's alone |
/// | `ExclusiveRootPools` | only the `CAFile` is trusted, not the system | false |
/// | `CertFile`, `KeyFile` | our own certificate, and its key | we have none |
/// | `InsecureSkipVerify` | whatever the plugin presents is taken | false |
/// | `MinVersion` | the lowest version: 771 for TLS 1.2, 772 for 1.3 | 771 |
/// | `ClientAuth` | how a plugin checks its clients: see [`ClientAuth`] | 0 |
///
/// One thing is not as in Docker. There, options without a `CAFile` switch verification off,
/// silently, and so does a `.spec` file with an address of `https`. Here a plugin is then
/// checked against the system's roots; who means it writes `"InsecureSkipVerify": true`.
/// Nothing that was secure becomes insecure by a file that is left out.
///
/// A certificate that is its own issuer is taken from a plugin only if it is not marked as an
/// authority's: an authority's must sign another, which the plugin presents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TlsOptions {
    #[serde(rename = "CAFile", deserialize_with = "path")]
    pub(super) ca_file: Option<PathBuf>,
    #[serde(rename = "CertFile", deserialize_with = "path")]
    pub(super) cert_file: Option<PathBuf>,
    #[serde(rename = "KeyFile", deserialize_with = "path")]
    pub(super) key_file: Option<PathBuf>,
    #[serde(rename = "InsecureSkipVerify")]
    pub(super) insecure: bool,
    #[serde(rename = "ClientAuth")]
    pub(super) client_auth: ClientAuth,
    #[serde(rename = "ExclusiveRootPools")]
    pub(super) exclusive_roots: bool,
    #[serde(rename = "MinVersion")]
    pub(super) min_version: MinVersion,
}

impl TlsOptions {
    /// The system's roots are trusted, and we have no certificate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificates in this PEM file, too.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Trusts the certificates of the [`ca_file`](Self::ca_file) only, if there is one.
    #[must_use]
    pub fn exclusive_roots(mut self) -> Self {
        self.exclusive_roots = true;
        self
    }

    /// Presents the certificate in one PEM file, whose key is in the other.
    #[must_use]
    pub fn identity(mut self, cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        (self.cert_file, self.key_file) = (Some(cert.into()), Some(key.into()));
        self
    }

    /// Takes whatever certificate a plugin presents: anybody can be the plugin who can be
    /// between it and us. A plugin's own side does not know this.
    #[must_use]
    pub fn insecure_skip_verify(mut self) -> Self {
        self.insecure = true;
        self
    }

    /// The lowest version that is spoken. Default 1.2.
    #[must_use]
    pub fn min_version(mut self, version: MinVersion) -> Self {
        self.min_version = version;
        self
    }

    /// How a plugin checks its clients, by the certificates in its
    /// [`ca_file`](Self::ca_file). A client does not know this.
    #[must_use]
    pub fn client_auth(mut self, auth: ClientAuth) -> Self {
        self.client_auth = auth;
        self
    }
}

/// Go writes a path that is not there as an empty text.
fn path<'de, D: Deserializer<'de>>(input: D) -> Result<Option<PathBuf>, D::Error> {
    let path = Option::<PathBuf>::deserialize(input)?;
    Ok(path.filter(|path| !path.as_os_str().is_empty()))
}

/// How a plugin that serves TLS checks its clients. In JSON, Go's numbers.
///
/// Go has two more, 1 and 2, which ask a client for a certificate and do not check it. They
/// are refused: they look like security and are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientAuth {
    /// Not at all: whoever reaches the port is served (0).
    #[default]
    None,
    /// A client may be without a certificate; one that it presents must be good (3).
    IfGiven,
    /// A client must have a good certificate (4).
    Required,
}

impl<'de> Deserialize<'de> for ClientAuth {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match i64::deserialize(input)? {
            0 => Ok(Self::None),
            3 => Ok(Self::IfGiven),
            4 => Ok(Self::Required),
            number @ (1 | 2) => Err(D::Error::custom(format!(
                "ClientAuth {number} asks for certificates without checking them: use 0, 3 or 4"
            ))),
            number => Err(D::Error::custom(format!("there is no ClientAuth {number}"))),
        }
    }
}

/// The lowest version of TLS that is spoken. In JSON, TLS's own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MinVersion {
    /// TLS 1.2 (771, or 0 for none said). There is nothing lower.
    #[default]
    Tls12,
    /// TLS 1.3 (772).
    Tls13,
}

impl<'de> Deserialize<'de> for MinVersion {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match u16::deserialize(input)? {
            0 | 0x0303 => Ok(Self::Tls12),
            0x0304 => Ok(Self::Tls13),
            number @ (0x0301 | 0x0302) => Err(D::Error::custom(format!(
                "the lowest version of TLS is {number}, which is too low: at least 771 (TLS 1.2)"
            ))),
            number => Err(D::Error::custom(format!("there is no version {number} of TLS"))),
        }
    }
}
