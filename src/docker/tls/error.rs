//! Why there can be no TLS: the options are at fault, or the files that they name.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::InvalidDnsNameError;
use rustls::pki_types::pem;
use rustls::server::VerifierBuilderError;
use thiserror::Error;
use tokio::task::JoinError;

use crate::docker::address::Address;

/// Why there can be no TLS with a plugin.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There are options for an address whose connections are not encrypted. Docker ignores
    /// them there.
    #[error("there are options of TLS for {address}, which is not encrypted: write https://")]
    NotEncrypted {
        /// The address.
        address: Address,
    },

    /// No certificate can be made out to the host.
    #[error("{host:?} is not a host that a certificate can be made out to")]
    Name {
        /// The host.
        host: String,
        /// What is wrong with it.
        source: InvalidDnsNameError,
    },

    /// A file cannot be read, or has not in it what it should.
    #[error("no certificate or key can be read from {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: pem::Error,
    },

    /// A file is longer than any of certificates or of a key.
    #[error("{} has more than {limit} bytes: it is not read as a certificate or a key", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that it may have, in bytes.
        limit: usize,
    },

    /// A file of certificates has none in it.
    #[error("there is no certificate in {}", .path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },

    /// A certificate that is to be trusted cannot be.
    #[error("a certificate in {} cannot be trusted as it is", .path.display())]
    Root {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },

    /// The system trusts no certificate, or its own could not be read.
    #[error("the system has no certificates that are trusted: name a CAFile")]
    NoSystemRoots {
        /// Why they could not be read, if that is the reason.
        source: Option<io::Error>,
    },

    /// There is a certificate without its key, or a key without its certificate.
    #[error("CertFile and KeyFile belong together: there is only one of them")]
    HalfIdentity,

    /// A plugin that serves TLS has no certificate.
    #[error("a plugin that serves TLS needs a CertFile and a KeyFile")]
    NoIdentity,

    /// Clients are to be checked, and it is not said by whose certificates.
    #[error("a plugin that checks its clients needs a CAFile")]
    NoClientRoots,

    /// Clients' certificates cannot be checked.
    #[error("the CAFile cannot be used to check clients")]
    ClientRoots(#[source] VerifierBuilderError),

    /// The runtime ended, or the application's own code panicked, while files were read.
    #[error("the files of TLS were not read to their end")]
    Aborted(#[source] JoinError),

    /// Certificate and key do not fit each other, or the system has no cryptography for
    /// them.
    #[error("the certificate and its key cannot be used")]
    Setup(#[source] rustls::Error),
}
