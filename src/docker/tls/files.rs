//! From options to what rustls wants: files are read, roots gathered.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS12;
use rustls::version::TLS13;

use crate::docker::regular_file;
use crate::docker::tls::ClientAuth;
use crate::docker::tls::MinVersion;
use crate::docker::tls::TlsError;
use crate::docker::tls::TlsOptions;
use crate::docker::tls::insecure::AnyCertificate;

static FROM_TLS12: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
static FROM_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];

/// The most that a file of certificates or a key may have, in bytes: 1 MiB, several times what
/// a system has that trusts everybody.
const MAX_FILE: usize = 1024 * 1024;

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl TlsOptions {
    /// What a client needs. Reads files.
    pub(in crate::docker) fn client(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = provider();
        let config = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions())
            .map_err(TlsError::Setup)?;
        let config = if self.insecure {
            config.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            config.with_root_certificates(self.roots()?)
        };
        let config = match self.own()? {
            Some((chain, key)) => {
                config.with_client_auth_cert(chain, key).map_err(TlsError::Setup)?
            }
            None => config.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// What a plugin needs that serves TLS. Reads files.
    pub(in crate::docker) fn server(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = provider();
        let config = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions())
            .map_err(TlsError::Setup)?;
        let config = match self.client_auth {
            ClientAuth::None => config.with_no_client_auth(),
            auth => {
                let path = self.ca_file.as_deref().ok_or(TlsError::NoClientRoots)?;
                let mut roots = RootCertStore::empty();
                add(&mut roots, path)?;
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = match auth {
                    ClientAuth::IfGiven => verifier.allow_unauthenticated(),
                    _ => verifier,
                };
                config.with_client_cert_verifier(verifier.build().map_err(TlsError::ClientRoots)?)
            }
        };
        let (chain, key) = self.own()?.ok_or(TlsError::NoIdentity)?;
        Ok(Arc::new(config.with_single_cert(chain, key).map_err(TlsError::Setup)?))
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.min_version {
            MinVersion::Tls12 => FROM_TLS12,
            MinVersion::Tls13 => FROM_TLS13,
        }
    }

    fn own(&self) -> Result<Option<Identity>, TlsError> {
        match (&self.cert_file, &self.key_file) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => {
                let source = |source| TlsError::File { path: key.clone(), source };
                let chain = certificates(cert)?;
                let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(source)?;
                Ok(Some((chain, key)))
            }
            _ => Err(TlsError::HalfIdentity),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        let only = self.exclusive_roots && self.ca_file.is_some();
        let unreadable = if only { None } else { add_system(&mut roots) };
        if let Some(path) = &self.ca_file {
            add(&mut roots, path)?;
        } else if roots.is_empty() {
            return Err(TlsError::NoSystemRoots { source: unreadable });
        }
        Ok(roots)
    }
}

/// It is named: a process may have installed another as its default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// What the system trusts. Some of it may be unusable, as in every system.
fn add_system(roots: &mut RootCertStore) -> Option<io::Error> {
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    found.errors.into_iter().next().map(io::Error::other)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|source| TlsError::Root { path: path.to_owned(), source })?;
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { path: path.to_owned(), source };
    let pem = read(path)?;
    let read = CertificateDer::pem_slice_iter(&pem);
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { path: path.to_owned() });
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |error| TlsError::File { path: path.to_owned(), source: pem::Error::Io(error) };
    let bytes = regular_file::read(path, MAX_FILE).map_err(failed)?;
    bytes.ok_or_else(|| TlsError::TooLong { path: path.to_owned(), limit: MAX_FILE })
}
